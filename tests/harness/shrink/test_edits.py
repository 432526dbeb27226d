"""Edits of plans: what they leave out is gone, and what is left is as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.nemesis.faults.fault import Intent
from tribulation.harness.run.plan.plan import Pinned, Plan, Timing, make_slots
from tribulation.harness.shrink import edits
from tribulation.harness.systems.base import Op
from tribulation.harness.workloads import WORKLOADS

MS = 1_000_000
SECOND = 1_000 * MS
NODES = ["n1", "n2", "n3", "n4", "n5"]


def workloads(*names: str) -> dict[str, object]:
    return {name: WORKLOADS[name][1](name, WORKLOADS[name][0](clients=3)) for name in names}


def plan_of(intents: list[Intent], pinned: list[Pinned], load_ns: int = 10 * SECOND) -> Plan:
    made = workloads("register", "set")
    system = {"name": "reference", "flaws": ["vote-not-durable"]}
    return Plan(
        "small", 1, NODES, dict.fromkeys(NODES, 1), Timing(load_ns, SECOND, SECOND, SECOND), made,
        make_slots(made, NODES), intents, {"system": system, "hosts": {"nodes": 5}}, {}, pinned,
    )  # fmt: skip


def write(slot: int, at_ns: int, value: int, key: str = "register-0") -> Pinned:
    return Pinned(slot, at_ns, Op("write", key, value, workload="register"))


def cut(name: str, edges: list[list[str]], at_ns: int = 0, for_ns: int | None = None) -> Intent:
    return Intent(name, "cut", {"shape": "grudge", "edges": edges}, at_ns, for_ns, name)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    load_ns = draw(st.integers(1, 10 * SECOND))
    times = st.integers(0, load_ns - 1)
    intents = [
        Intent(f"f{n}", "kill", {"target": draw(st.sampled_from(["leader", ["n1"], ["n4", "n5"]]))}, draw(times),
               draw(st.none() | st.integers(1, 2 * load_ns)), f"f{n}")
        for n in range(draw(st.integers(0, 5)))
    ]  # fmt: skip
    slots = draw(st.lists(st.tuples(st.integers(0, 2), times), max_size=8))
    pinned = [write(slot, at_ns, n) for n, (slot, at_ns) in enumerate(sorted(slots, key=lambda one: one[1]))]
    return plan_of(intents, pinned, load_ns)


def survives(plan: Plan) -> bool:
    return Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


@given(plans(), st.integers(1, 12 * SECOND))
def test_an_earlier_end_leaves_what_came_before(plan: Plan, load_ns: int) -> None:
    short = edits.until(plan, load_ns)
    assert list(short.intents) == [intent for intent in plan.intents if intent.at_ns < load_ns]
    assert list(edits.operations(short)) == [op for op in edits.operations(plan) if op.at_ns < load_ns]
    assert survives(short)


@given(plans(), st.sets(st.sampled_from(NODES), min_size=1))
def test_fewer_nodes_are_named_nowhere_else(plan: Plan, kept: set[str]) -> None:
    less = edits.on_nodes(plan, kept)
    assert set(less.nodes) == set(less.voters) == kept
    assert {slot.node for slot in less.slots} <= kept
    assert [slot for slot in less.slots if slot.node in kept] and len(less.slots) == len(plan.slots)
    named = [node for i in less.intents if isinstance(i.parameters["target"], list) for node in i.parameters["target"]]
    assert set(named) <= kept
    assert less.options["hosts"]["nodes"] == len(kept)
    assert survives(less)


def test_a_fault_that_named_only_nodes_that_are_gone_is_gone_too() -> None:
    both = [cut("a", [["n1", "n5"], ["n1", "n2"]]), cut("b", [["n5", "n4"]]), cut("c", [["clients", "n1"]])]
    left = edits.on_nodes(plan_of(both, []), ["n1", "n2", "n3"]).intents
    assert [(intent.id, intent.parameters["edges"]) for intent in left] == [
        ("a", [["n1", "n2"]]),
        ("c", [["clients", "n1"]]),
    ]


def test_weights_of_ones_own_stay() -> None:
    plan = replace(plan_of([], []), voters={"n1": 3, "n2": 1, "n3": 1, "n4": 1, "n5": 1})
    assert edits.on_nodes(plan, ["n1", "n2", "n3"]).voters == {"n1": 3, "n2": 1, "n3": 1}


@given(plans())
def test_without_its_gaps_a_plan_keeps_the_order_of_its_times(plan: Plan) -> None:
    times = edits.points(plan)
    for from_ns, to_ns in pairwise(times):
        less = edits.without_gap(plan, from_ns, to_ns, 0)
        assert less.timing.load_ns == max(1, plan.timing.load_ns - (to_ns - from_ns))
        before, after = edits.operations(plan), edits.operations(less)
        assert all(b.at_ns - a.at_ns in (0, to_ns - from_ns) for a, b in zip(after, before, strict=True))
        assert all(intent.for_ns is None or intent.for_ns >= 0 for intent in less.intents)
        assert survives(less)


@given(plans(), st.sampled_from([MS, 10 * MS, 100 * MS]))
def test_times_on_a_grid_are_multiples_of_it_and_in_order(plan: Plan, grid_ns: int) -> None:
    round_ = edits.snapped(plan, grid_ns)
    assert all(op.at_ns % grid_ns == 0 for op in edits.operations(round_))
    assert all(intent.at_ns % grid_ns == 0 and (intent.for_ns or grid_ns) % grid_ns == 0 for intent in round_.intents)
    assert round_.timing.load_ns % grid_ns == 0 and round_.timing.load_ns >= plan.timing.load_ns
    times = [op.at_ns for op in edits.operations(round_)]
    assert times == sorted(times)


@given(plans())
def test_neighbours_differ_in_one_time(plan: Plan) -> None:
    for other in edits.nudged(plan, MS):
        moved = [a.id for a, b in zip(plan.intents, other.intents, strict=True) if a != b]
        pairs = zip(edits.operations(plan), edits.operations(other), strict=True)
        assert len(moved) + sum(a != b for a, b in pairs) == 1


def test_a_client_that_is_left_out_takes_its_operations_and_its_workload_along() -> None:
    plan = plan_of([], [write(0, 0, 1), write(1, 5, 2)])
    less = edits.with_slots(plan, [1])
    assert list(edits.operations(less)) == [write(1, 5, 2)]
    assert list(less.workloads) == ["register"]


def test_two_clients_become_one() -> None:
    plan = plan_of([], [write(0, 7, 1), write(1, 5, 2), write(2, 6, 3)])
    less = edits.in_one_client(plan, 1, 0)
    assert list(edits.operations(less)) == [write(0, 5, 2), write(2, 6, 3), write(0, 7, 1)]
    assert 1 not in [slot.slot for slot in less.slots]


def test_two_keys_become_one_and_say_what_they_wrote() -> None:
    cas = Pinned(0, 3, Op("cas", "register-1", [1, 9], workload="register"))
    plan = plan_of([], [write(0, 1, 1), write(0, 2, 4, "register-1"), cas])
    assert edits.keys(plan) == [("register", "register-0"), ("register", "register-1")]
    assert edits.values_written(plan, "register", "register-1") == {"4", "9"}
    one = edits.with_one_key(plan, "register", "register-1", "register-0")
    assert edits.keys(one) == [("register", "register-0")]


def test_a_fault_that_would_be_undone_after_the_load_lasts() -> None:
    plan = plan_of([cut("a", [["n1", "n2"]], 0, 10 * SECOND), cut("b", [["n1", "n2"]], 0, 9 * SECOND)], [])
    assert [intent.for_ns for intent in edits.lasting(plan).intents] == [None, 9 * SECOND]


def test_the_world_becomes_plain_knob_by_knob() -> None:
    plan = replace(plan_of([], []), world={"loss_ppm": 5, "drift_max_ppm": 6})
    assert edits.with_world(plan, ["loss_ppm"]).world == {"loss_ppm": 5}
    assert edits.with_system(plan, {"flaws": []}).options["system"] == {"name": "reference", "flaws": []}
