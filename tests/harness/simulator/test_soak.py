"""The real core in simulated worlds: it keeps its promises, and a broken one is caught."""

from __future__ import annotations

from itertools import groupby

import pytest

from tests.full import full
from tribulation.harness.nemesis.faults.fault import Intent, Resolved
from tribulation.harness.simulator.faults.injector import SimInjector
from tribulation.harness.simulator.options import SECOND
from tribulation.harness.simulator.soak import run_plan, run_seed
from tribulation.harness.simulator.soak.aims import AIMED, AIMS, aimed_plan
from tribulation.harness.simulator.soak.batch import shrink
from tribulation.node.core.core import Core
from tribulation.node.flaws.switch import FLAWS

from .real import NODES, ask, real_cluster


@pytest.mark.parametrize("first", [0, *full(*range(20, 300, 20))])
def test_a_correct_node_keeps_its_promises(first: int):
    """Three hundred worlds in `make test-full`; `make fuzz` tries others."""
    for seed in range(first, first + 20):
        result = run_seed(seed)
        assert result.failure is None, f"{result.failure}; repeat with: {result.command}"
        assert result.ok > 0


@pytest.mark.parametrize(
    ("flaw", "first", "kinds"),
    [
        ("ack-before-fsync", 0, {"commit-without-quorum", "incomplete-leader"}),
        ("no-log-freshness", 16, {"incomplete-leader", "two-entries-committed"}),
        ("stale-read-from-deposed-leader", 5, {"stale-read"}),
    ],
)
def test_a_flaw_is_found_and_its_kind_named(flaw: str, first: int, kinds: set[str]):
    """From a seed that is known to see it, though a change of the core may move it a little."""
    for seed in range(first, first + 60):
        result = run_seed(seed, (flaw,))
        if result.failure is not None:
            assert result.failure[0] in kinds
            return
    pytest.fail(f"60 seeds from {first} did not see {flaw}")


@pytest.mark.parametrize("aim", AIMS)
def test_a_correct_node_stands_every_aim(aim: str):
    result = run_seed(5, (), aim)
    assert result.failure is None, f"{result.failure}; repeat with: {result.command}"
    assert result.ok > 0


@pytest.mark.parametrize("flaw", ["wall-clock-lease", "lease-survives-transfer", "config-not-rolled-back"])
def test_an_aim_is_drawn_from_the_seed_and_meets_its_flaw(flaw: str):
    plan = aimed_plan(0, (flaw,), AIMED[flaw])
    assert plan == aimed_plan(0, (flaw,), AIMED[flaw]) and plan != aimed_plan(1, (flaw,), AIMED[flaw])
    runs = (run_plan(aimed_plan(seed, (flaw,), AIMED[flaw])) for seed in range(20))
    found = next((run for run in runs if run.failure is not None), None)
    assert found is not None and f"--flaw {flaw} --aim {AIMED[flaw]}" in found.command


def test_aims_are_for_flaws_that_exist():
    assert set(AIMED) <= set(FLAWS) and set(AIMED.values()) == set(AIMS)


def test_readers_write_nothing():
    plan = aimed_plan(3, (), "clock-and-cut")
    readers = range(plan.readers)
    did = {event.f for event in run_plan(plan).events if event.process in readers}
    assert did == {"read"}


def test_shrinking_keeps_the_kind_of_failure_and_drops_what_it_does_not_need():
    result = run_seed(0, ("ack-before-fsync",))
    small = shrink(result)
    assert small.failure is not None and result.failure is not None
    assert small.failure[0] == result.failure[0] and len(small.plan.actions) < len(result.plan.actions)


def test_a_write_is_read_back_through_another_node():
    cluster = real_cluster()
    session = ask(cluster, "n2", {"open": True})["session"]
    assert ask(cluster, "n2", {"session": session, "seq": 1, "ops": [["w", "k", 5]]})["status"] == "ok"
    assert ask(cluster, "n3", {"ops": [["r", "k"]]})["results"] == [5]


def test_the_injector_moves_the_voters_through_the_log():
    cluster = real_cluster()
    injector = SimInjector(cluster)
    seen = injector.inject(Resolved(Intent("v", "voters", {}, 0, None, "v"), {"voters": {"n1": 2, "n2": 1, "n3": 1}}))
    assert seen.verified and seen.observed["voters"] == {"n1": 2, "n2": 1, "n3": 1}


def test_the_leader_isolated_is_no_longer_the_situations_leader():
    cluster = real_cluster()
    injector = SimInjector(cluster)
    old = injector.situation().leader
    others = [name for name in NODES if name != old]
    edges = [[old, other] for other in others] + [[other, old] for other in others]
    assert injector.inject(Resolved(Intent("c", "cut", {}, 0, None, "c"), {"edges": edges})).verified
    cluster.run_until(cluster.now_ns + 3 * SECOND)
    assert injector.situation().leader in others


def test_a_node_fed_its_recorded_inputs_again_ends_in_the_same_state():
    cluster = real_cluster(record_inputs=True)
    session = ask(cluster, "n1", {"open": True})["session"]
    for seq in range(1, 20):
        ask(cluster, "n1", {"session": session, "seq": seq, "ops": [["w", f"k{seq % 3}", seq]]})
    cluster.kill("n2")
    cluster.start("n2")
    cluster.run_until(cluster.now_ns + SECOND)
    for name, node in cluster.nodes.items():
        incarnations = [list(steps) for _, steps in groupby(cluster.inputs[name], key=lambda step: step[0])]
        again = Core(node.config)
        for _, mono_ns, events in incarnations[-1]:
            again.step(mono_ns, events)
        assert again.state_digest() == node.core.state_digest()
