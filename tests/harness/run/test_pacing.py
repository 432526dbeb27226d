"""Faults are held until operations meet them, and loads last until every workload changed something: within bounds that stand in the plan."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribulation.checkers.soundness.exercised import FEW_TRIES
from tribulation.harness.nemesis.faults.fault import Intent
from tribulation.harness.run.drive.actions import Verb
from tribulation.harness.run.drive.runner import Phase
from tribulation.harness.run.plan.pacing import HOLD_LEAST_NS, Unacknowledged, held_for_ns, pace_of
from tribulation.harness.run.plan.plan import Pace, Pinned, Plan
from tribulation.harness.systems.base import Op, Outcome
from tribulation.harness.workloads.base import Workload
from tribulation.harness.workloads.isolation.bank import Bank, BankSpec

from .test_runner import SECOND, make_plan, play

LOAD_NS = 4 * SECOND
PACE = Pace(hold_most_ns=3 * SECOND, load_more_ns=5 * SECOND)


def cut(at_ns: int, for_ns: int | None) -> Intent:
    return Intent("f1", "cut", {"shape": "halves"}, at_ns, for_ns, "f1")


def pinned(ops: list[tuple[int, str, str]], intents: tuple[Intent, ...] = (), pace: Pace | None = PACE) -> Plan:
    """These operations and no others: (at, workload, f)."""
    plan = make_plan(intents)
    slots = {slot.workload: slot.slot for slot in plan.slots}
    chosen = [Pinned(slots[name], at_ns, Op(f, "k", 1, workload=name)) for at_ns, name, f in ops]
    return replace(plan, pinned=chosen, pace=pace)


def times(log: list) -> dict[str, int]:
    return {entry[1].value: entry[0] for entry in log if isinstance(entry[1], Verb)}


BOTH = [(100, "register", "write"), (100, "set", "add")]


def test_a_fault_is_held_until_an_operation_meets_it_and_then_a_little_longer():
    runner, log = play(pinned([*BOTH, (3 * SECOND, "register", "read")], (cut(SECOND, SECOND),)))
    assert times(log)["inject"] == SECOND
    assert times(log)["heal"] == 3 * SECOND + SECOND // 2
    assert runner.marks["load_end"] == LOAD_NS


def test_a_fault_that_met_an_operation_in_its_time_lasts_its_time():
    plan = pinned([*BOTH, (3 * SECOND // 2, "set", "add")], (cut(SECOND, SECOND),))
    for pace in (PACE, None):
        _, log = play(replace(plan, pace=pace))
        assert times(log)["heal"] == 2 * SECOND + 5_000_000


@pytest.mark.parametrize(("drawn", "held"), [(True, False), (False, True)])
def test_a_short_restart_that_a_search_drew_is_as_short_as_drawn(drawn, held):
    blink = replace(cut(SECOND, 10_000_000), kind="kill", parameters={"target": "leader"}, drawn=drawn)
    _, log = play(pinned([*BOTH, (3 * SECOND, "register", "read")], (blink,)))
    assert (times(log)["heal"] > 3 * SECOND) is held
    longer = replace(blink, for_ns=SECOND)
    _, log = play(pinned([*BOTH, (3 * SECOND, "register", "read")], (longer,)))
    assert times(log)["heal"] > 3 * SECOND


def test_a_fault_is_not_held_when_no_operation_can_come():
    _, log = play(pinned(BOTH, (cut(SECOND, SECOND),)))
    assert times(log)["heal"] == 2 * SECOND + 5_000_000


def test_a_fault_is_held_no_longer_than_its_bound():
    _, log = play(pinned([*BOTH, (39 * SECOND // 10, "set", "read")], (cut(100_000_000, 200_000_000),)))
    assert times(log)["heal"] == 100_000_000 + 5_000_000 + 200_000_000 + HOLD_LEAST_NS


def test_a_load_lasts_until_a_fault_that_came_at_its_end_met_an_operation():
    runner, log = play(pinned([*BOTH, (5 * SECOND, "set", "read")], (cut(LOAD_NS - 1_000_000, None),)))
    assert runner.marks["load_end"] == 5 * SECOND + 1_000_000
    assert times(log)["heal-all"] >= runner.marks["load_end"]


def test_a_load_lasts_until_every_workload_had_a_change_acknowledged():
    ops = [(100, "register", "write"), (200, "set", "add"), (5 * SECOND, "set", "read"), (6 * SECOND, "set", "add")]
    ops.append((8 * SECOND, "set", "add"))
    refused = [Op("add", "k", 1, workload="set")]

    def outcome(op: Op) -> Outcome:
        if op in refused:
            refused.remove(op)
            return Outcome("fail", error="no-quorum")
        return Outcome("ok", op.value)

    runner, log = play(pinned(ops), outcome)
    assert runner.marks["load_end"] == 6 * SECOND + 1_000_000
    assert [entry[0] for entry in log if isinstance(entry[2], Op) and entry[3] is Phase.LOAD][-1] == 6 * SECOND


def shown(*ended: tuple[str, str, str | None], of: Workload | None = None) -> list[str]:
    """Which workloads show too little after these operations of `set`."""
    plan = replace(make_plan(), pace=PACE, options={"system": {"name": "reference"}})
    workloads = plan.workloads if of is None else {**plan.workloads, "set": of}
    missing = Unacknowledged(replace(plan, workloads=workloads))
    missing.completed(Op("write", "k", 1, workload="register"), Outcome("ok"))
    for f, kind, error in ended:
        missing.completed(Op(f, "k", 1, workload="set"), Outcome(kind, error=error))
    return missing.workloads


def test_a_workload_shows_enough_when_something_changed_and_no_kind_failed_many_times():
    assert shown() == ["set"]
    assert shown(("add", "ok", None)) == []
    assert shown(("read", "ok", None)) == ["set"], "looks change nothing"
    bank = Bank("set", BankSpec())
    assert shown(("read", "ok", None), ("create", "ok", None), of=bank) == ["set"], "preparations show nothing"
    assert shown(("transfer", "ok", None), of=bank) == []
    assert shown(("cas", "fail", "mismatch")) == [], "it ran"
    often = [("write", "fail", "no-quorum")] * FEW_TRIES
    assert shown(("add", "ok", None), *often) == ["set"]
    assert shown(("add", "ok", None), *often[1:]) == []
    assert shown(("add", "ok", None), *often, ("write", "ok", None)) == []


def test_a_load_that_shows_nothing_ends_at_its_bound():
    ops = [(n * SECOND, "set", "add") for n in range(30)]
    runner, _ = play(pinned(ops), lambda op: Outcome("fail", error="no-quorum"))
    assert runner.marks["load_end"] == LOAD_NS + PACE.load_more_ns


def test_drawn_operations_go_on_past_the_load_only_while_something_is_missing():
    plan = replace(make_plan(), pace=PACE, options={"system": {"name": "reference"}})
    runner, log = play(plan)
    assert runner.marks["load_end"] == LOAD_NS
    assert play(replace(plan, pace=None))[1] == log, "nothing needed time: nothing changed"
    stubborn, log = play(plan, lambda op: Outcome("fail", error="no-quorum"))
    assert stubborn.marks["load_end"] == LOAD_NS + PACE.load_more_ns
    assert max(entry[0] for entry in log if entry[3] is Phase.LOAD) > LOAD_NS + 4 * SECOND


def test_the_pace_stands_in_the_plan_and_a_plan_without_one_is_as_before():
    plan = replace(make_plan(), pace=PACE, options={"system": {"name": "reference"}})
    assert Plan.from_json(plan.to_json()).pace == PACE
    old = {name: value for name, value in plan.to_json().items() if name != "pace"}
    assert Plan.from_json(old).pace is None and "pace" not in Plan.from_json(old).to_json()


@pytest.mark.parametrize(("load_s", "more_s"), [(2, 5), (20, 10), (110, 30), (3600, 30)])
def test_a_load_may_last_half_as_long_again_within_bounds(load_s, more_s):
    assert pace_of(load_s * SECOND).load_more_ns == more_s * SECOND


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9 * SECOND), st.sampled_from(["register", "set"])), max_size=6),
    st.lists(st.tuples(st.integers(0, LOAD_NS), st.integers(1, LOAD_NS)), max_size=3),
)
def test_every_run_ends_within_its_bounds(ops, faults):
    intents = tuple(replace(cut(at_ns, for_ns), id=f"f{i}", key=f"f{i}") for i, (at_ns, for_ns) in enumerate(faults))
    runner, log = play(pinned([(at_ns, name, "read") for at_ns, name in ops], intents))
    assert runner.marks["load_end"] <= LOAD_NS + PACE.load_more_ns
    begun = {entry[2]: entry[0] for entry in log if entry[1] is Verb.INJECT}
    for at_ns, verb, name, _ in log:
        if verb is Verb.HEAL:
            for_ns = next(intent.for_ns for intent in intents if intent.id == name)
            longest_ns = for_ns + held_for_ns(for_ns, PACE.hold_most_ns) + SECOND
            assert for_ns <= at_ns - begun[name] <= longest_ns
