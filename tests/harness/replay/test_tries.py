"""Tier C: recorded operations and faults pinned in a plan, tried over seeds, compared by failure and by outcomes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tribulation.checkers.base.result import Fault, RunRecord
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.errors import CampaignError
from tribulation.harness.failures.folder import read_plan, read_record
from tribulation.harness.nemesis.faults.fault import CLIENTS, Situation
from tribulation.harness.nemesis.topology.resolve import resolve
from tribulation.harness.replay.compare.distance import Distance, distance
from tribulation.harness.replay.describe import describe_tries
from tribulation.harness.replay.runs.pinning import intents_of, plan_of_history, plan_of_run
from tribulation.harness.replay.runs.reproduce import Asked, reproduce
from tribulation.harness.replay.runs.simulated import replay_simulated
from tribulation.harness.run.simulated import simulate
from tribulation.histories import History
from tribulation.histories.model.operation import Event, Type

from .conftest import run_folder

FLAWED = """
name: flawed
hosts: {provider: sim, nodes: 3}
system: {name: reference, timing: fast, flaws: [stale-read-from-deposed-leader]}
seed: 3
duration: 3s
settle: 200ms
workloads:
  - register: {keys: 1, clients: 6, rate: 100/s, mix: {read: 60, write: 40}}
faults:
  - partition: {shape: isolate-one, target: leader, after: 1s, for: 1500ms}
checkers: [linearizable]
expect: invalid
"""


@pytest.fixture(scope="module")
def flawed_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_folder(FLAWED, tmp_path_factory.mktemp("flawed"))


def silent(phase: str, detail: str) -> None:
    pass


def test_the_same_failure_is_found_again_and_kept(flawed_run: Path, tmp_path: Path) -> None:
    found = reproduce(flawed_run, Asked(tries=4, runs=tmp_path), silent)
    tries = found.tries
    assert tries.tried == 4 and tries.looked_at > 4 and tries.leader in ("n1", "n2", "n3")
    assert len(tries.alike) >= 2
    assert found.kept is not None
    kept = json.loads((found.kept / "replay.json").read_text(encoding="utf-8"))
    assert kept["alike"] == list(tries.alike) and kept["source"] == str(flawed_run)
    assert read_plan(found.kept).seed == tries.alike[0]
    assert replay_simulated(found.kept).equal
    assert load_campaign(found.kept / "campaign.yaml").expect == "invalid"
    assert describe_tries(tries)[0].startswith(f"tier C: {len(tries.alike)} of 4 seeds fail in the same way")


def test_jobs_change_nothing_but_time(flawed_run: Path, tmp_path: Path) -> None:
    one = reproduce(flawed_run, Asked(tries=2, runs=tmp_path / "one"), silent).tries
    two = reproduce(flawed_run, Asked(tries=2, jobs=2, runs=tmp_path / "two"), silent).tries
    assert (one.alike, one.nearest, one.nearest_alike) == (two.alike, two.nearest, two.nearest_alike)


def test_a_history_and_a_ledger_are_enough(flawed_run: Path, tmp_path: Path) -> None:
    for name in ("history.jsonl", "ledger.jsonl"):
        shutil.copy(flawed_run / name, tmp_path / name)
    asked = Asked(tries=6, failure="linearizable", flaws=["stale-read-from-deposed-leader"], runs=tmp_path / "runs")
    found = reproduce(tmp_path / "history.jsonl", asked, silent)
    assert found.kept is not None and found.tries.leader is None
    assert len(found.plan.intents) == 1 and found.plan.intents[0].parameters["shape"] == "grudge"
    correct = reproduce(tmp_path / "history.jsonl", Asked(tries=2, runs=tmp_path / "runs"), silent)
    assert correct.kept is None and correct.tries.alike == ()
    assert "nothing was reproduced" in describe_tries(correct.tries)[-1]


def test_a_plan_tries_what_was_recorded(flawed_run: Path) -> None:
    """Of a simulated run with the same seed, the operations before the fault come to what they had come to."""
    plan, record = read_plan(flawed_run), read_record(flawed_run)
    pinned = plan_of_run(plan, record)
    done = simulate(pinned.plan)
    before = [e for e in record.history.events if isinstance(e.process, int) and e.time_ns < 1_000_000_000]
    again = [e for e in done.record.history.events if isinstance(e.process, int) and e.time_ns < 1_000_000_000]
    assert before == again and len(before) > 100
    assert [f.intended for f in done.record.faults] == [f.intended for f in record.faults]


SITUATION = Situation(("n1", "n2", "n3"), {"n1": 1, "n2": 1, "n3": 1}, "n3", ("n1", "n2", "n3"))
EDGES = [["n1", "n2"], ["n2", "n1"], ["n3", CLIENTS]]


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("cut", {"edges": EDGES}),
        ("link", {"edges": EDGES, "loss_ppm": 5000, "delay_ns": 7, "jitter_ns": 3}),
        ("clog", {"edges": EDGES}),
        ("flap", {"edges": EDGES, "period_ns": 9}),
        ("reset", {"edges": [["n1", "n2"]], "period_ns": 9}),
        ("kill", {"nodes": ["n2"]}),
        ("pause", {"nodes": ["n1", "n3"]}),
        ("power", {"nodes": ["n2"]}),
        ("wipe", {"nodes": ["n2"], "calibration": True}),
        ("disk", {"nodes": ["n2"], "effect": "slow", "delay_ns": 50}),
        ("clock", {"drift_ppm": {"n1": 500}}),
        ("clock", {"strobe_ns": {"n1": 500}, "period_ns": 20}),
        ("voters", {"voters": {"n1": 1, "n3": 2}}),
    ],
)
def test_a_recorded_fault_is_the_same_fault_in_any_situation(kind: str, what: dict[str, Any]) -> None:
    fault = Fault("f", kind, what, what, True, 10, 12, 112, 120)
    (intent,) = intents_of([fault], load_end_ns=1000)
    assert (intent.at_ns, intent.for_ns) == (12, None if kind == "voters" else 100)
    assert resolve(intent, SITUATION, 99).what == what


def test_clocks_set_to_several_times_are_several_faults() -> None:
    what = {"offsets_ns": {"n1": 5, "n2": -5, "n3": 5}}
    intents = intents_of([Fault("f", "clock", what, None, False, 10, 12, None, None)], load_end_ns=None)
    assert [resolve(i, SITUATION, 0).what["offsets_ns"] for i in intents] == [{"n1": 5, "n3": 5}, {"n2": -5}]
    assert len({i.id for i in intents}) == 2 and all(i.for_ns is None for i in intents)


def test_a_fault_that_never_was_is_left_out_and_one_that_the_final_heal_ended_lasts() -> None:
    never = Fault("a", "kill", {"nodes": ["n1"]}, None, False, 10, None, None, None)
    lasting = Fault("b", "kill", {"nodes": ["n1"]}, None, True, 10, 12, 60, 61)
    assert [(i.id, i.for_ns) for i in intents_of([never, lasting], load_end_ns=50)] == [("b", None)]


def history(*rows: tuple[Any, str, str, str | None]) -> RunRecord:
    """(process, type, f, node)"""
    events = [
        Event(index, index * 1000, process, Type(kind), f, 1, "k", node=node)
        for index, (process, kind, f, node) in enumerate(rows)
    ]
    return RunRecord(history=History(events))


def test_a_process_that_was_retired_makes_room_for_the_next() -> None:
    record = history(
        (0, "invoke", "write", "a"),
        (1, "invoke", "write", "b"),
        (0, "info", "write", "a"),
        (7, "invoke", "write", "b"),
        (9, "invoke", "write", "a"),
    )
    pinned = plan_of_history("h", record)
    assert pinned.slots == {0: 0, 1: 1, 7: 2, 9: 0}
    assert [(slot.slot, slot.node) for slot in pinned.plan.slots] == [(0, "a"), (1, "b"), (2, "b")]
    assert [p.at_ns for p in pinned.plan.pinned or ()] == [0, 1000, 3000, 4000]
    assert pinned.plan.nodes == ["a", "b"] and list(pinned.plan.workloads) == ["register"]


def test_what_the_simulator_lacks_is_refused_with_its_place() -> None:
    with pytest.raises(CampaignError, match=r"no operation 'fly' \(index 1"):
        plan_of_history("h", history((0, "invoke", "write", None), (1, "invoke", "fly", None)))
    with pytest.raises(CampaignError, match="has no operation"):
        plan_of_history("h", history())
    with pytest.raises(CampaignError, match="fault f is of kind 'flood'"):
        intents_of([Fault("f", "flood", {}, None, True, 10, 12, 60, 61)], None)


def test_a_run_that_did_not_fail_has_nothing_to_look_for(small_run: Path) -> None:
    with pytest.raises(CampaignError, match="did not fail"):
        reproduce(small_run, Asked(), silent)


def test_an_edit_is_another_outcome_or_an_operation_more_or_less() -> None:
    assert distance({0: ["a", "b"]}, {0: ["a", "b"]}) == Distance(0, 2)
    assert distance({0: ["a", "b"], 1: ["c"]}, {0: ["a", "x", "y"]}) == Distance(3, 4)


def test_the_time_limit_ends_a_seed_under_way(flawed_run: Path, tmp_path: Path) -> None:
    """It was looked at between seeds only, and finding one with the recorded first leader may take hundreds of elections."""
    tries = reproduce(flawed_run, Asked(tries=100, time_s=0.001, runs=tmp_path), silent).tries
    assert tries.tried == 0 and tries.nearest is None
