"""Guards that carry cells of the table: without the guard its cell ends otherwise, so the cell would notice that it is gone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

import tribulation.checkers.run_all
import tribulation.harness.nemesis.agent_client.agents
import tribulation.harness.nemesis.agent_client.answers
import tribulation.harness.nemesis.cluster.cluster
import tribulation.harness.nemesis.cluster.control
import tribulation.harness.nemesis.cluster.reachability
import tribulation.harness.nemesis.inject.host_states
import tribulation.harness.nemesis.inject.leases
import tribulation.harness.run.drive.worker
import tribulation.harness.run.driving
import tribulation.harness.run.outcome.verdict
from tribulation.harness.run.outcome.doubts import Doubts

from .running import run
from .table import EXITS, HARMLESS, cells

CELLS = {cell.name: cell for cell in cells()}
Patch = Callable[[pytest.MonkeyPatch], None]


def no_doubts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tribulation.harness.run.outcome.verdict, "doubts_of", lambda record: Doubts((), (), {}, ()))
    patch.setitem(tribulation.checkers.run_all.CHECKERS, "vacuity", ("availability", "AvailabilityChecker"))


def no_shapes(patch: pytest.MonkeyPatch) -> None:
    answers = tribulation.harness.nemesis.agent_client.answers
    patch.setattr(answers, "_shaped", lambda vertex, question, found, text: answers.Answer(vertex, found))


def no_leases(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tribulation.harness.nemesis.inject.leases.Leases, "overdue", lambda self, names, now_s: {})


def no_final_reads(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tribulation.harness.run.outcome.verdict, "_checks", lambda record, facts: facts.checks)


def no_check_of_the_pid(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tribulation.harness.nemesis.cluster.control, "pid_of", lambda service, host: service.pid(host))


def no_parser_of_answers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        tribulation.harness.nemesis.agent_client.agents, "parsed", lambda vertex, verb, line: json.loads(line)
    )


def no_check_of_the_status(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tribulation.harness.run.driving, "status_of", lambda service, host, dial: service.status(host, dial))


def no_check_of_outcomes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tribulation.harness.run.drive.worker, "checked", lambda answer: answer)


def no_second_try_of_a_question(patch: pytest.MonkeyPatch) -> None:
    ask = tribulation.harness.nemesis.agent_client.agents.ask
    for module in (
        tribulation.harness.nemesis.inject.host_states,
        tribulation.harness.nemesis.cluster.reachability,
        tribulation.harness.nemesis.cluster.cluster,
    ):
        patch.setattr(
            module, "ask", lambda agents, requests, **more: ask(agents, requests, **{**more, "patient": False})
        )


GUARDS: dict[str, tuple[Patch, str]] = {
    "a fault counts only when it was seen": (no_doubts, "load: set does nothing"),
    "answers of agents have a shape": (no_shapes, "agents: heard has wrong types"),
    "a lease that ran out is an error": (no_leases, "load: renew dies for longer than a lease"),
    "final reads are owed": (no_final_reads, "final: every read is refused"),
    "refused connections are no final reads": (no_final_reads, "final: every connection is refused"),
    "a pid has a type": (no_check_of_the_pid, "agents: pid is a word"),
    "a status has a type": (no_check_of_the_status, "end: status is a word"),
    "an outcome has a type": (no_check_of_outcomes, "load: n1's invoke answers an unknown outcome once"),
    "a lost question is asked again": (no_second_try_of_a_question, "load: a question dies once and comes back"),
    "a refusal of an agent is one": (no_parser_of_answers, "agents: renew refuses"),
}


def test_there_are_ten():
    assert len(GUARDS) >= 10


@pytest.mark.full
@pytest.mark.parametrize("name", GUARDS)
def test_without_the_guard_the_cell_fails(name, tmp_path, monkeypatch):
    remove, cell_name = GUARDS[name]
    cell = CELLS[cell_name]
    remove(monkeypatch)
    saboteur = cell.saboteur()
    ended = run(saboteur, tmp_path, cell.changed)
    assert saboteur.hits
    passes = (
        ended.exit_code in EXITS[cell.outcome]
        and (ended.verdict == "valid") == (cell.outcome == HARMLESS)
        and bool(re.search(cell.reason, ended.words))
    )
    assert not passes, (ended.exit_code, ended.verdict, ended.words)
