"""A run whose system never came back is unknown, whatever its campaign checks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tribulation.checkers import Budget
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.run.outcome.verdict import EXIT_UNKNOWN, EXIT_VALID, Judgement, judge_record
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.simulated import Simulated, simulate
from tribulation.histories import History, Type

CAMPAIGN = """\
name: back
hosts: {provider: sim, nodes: 3}
seed: 3
duration: 4s
settle: 1s
workloads: [{register: {keys: 2, clients: 3, rate: 60/s}}]
"""


@pytest.fixture(scope="module", params=["auto", ["linearizable"]], ids=["auto", "one checker"])
def done(request: Any, tmp_path_factory: Any) -> Simulated:
    folder: Path = tmp_path_factory.mktemp("campaign")
    (folder / "back.yaml").write_text(f"{CAMPAIGN}checkers: {request.param}\n")
    return simulate(make_plan(load_campaign(folder / "back.yaml"), folder))


def judged(done: Simulated, history: History) -> Judgement:
    return judge_record(replace(done.record, history=history), done.facts, Budget(), "run")


def test_a_run_that_was_read_at_the_end_is_valid(done: Simulated) -> None:
    judgement = judged(done, done.record.history)
    assert judgement.exit_code == EXIT_VALID, judgement.document
    assert judgement.results["final-reads"].stats["not_read"] == 0


@pytest.mark.parametrize("outcome", [Type.FAIL, Type.INFO])
def test_a_run_in_which_nothing_was_answered_after_the_heal_is_unknown(done: Simulated, outcome: Type) -> None:
    healed_ns = done.record.phases["healed"]
    dead = History(
        replace(event, type=outcome, error="no answer")
        if event.type is Type.OK and event.time_ns >= healed_ns and outcome is Type.FAIL
        else event
        for event in done.record.history.events
        if outcome is Type.FAIL or event.time_ns < healed_ns or event.type is Type.INVOKE
    )
    if outcome is Type.INFO:
        # A process whose operation stays open asks nothing more.
        seen: set[object] = set()
        asked = [event for event in dead.events if event.time_ns >= healed_ns]
        first = [event for event in asked if not (event.process in seen or seen.add(event.process))]
        dead = History([event for event in dead.events if event.time_ns < healed_ns] + first)
    judgement = judged(done, dead)
    assert judgement.exit_code == EXIT_UNKNOWN
    reason = judgement.results["final-reads"].reason
    assert reason is not None and reason.startswith("the system did not come back: its last ok operation ended at ")
    assert "register-0" in reason and "register-1" in reason
