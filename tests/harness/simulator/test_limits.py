"""Simulated processes with too little of a processor, of memory, of descriptors, and those that start slowly."""

from __future__ import annotations

import pytest

from tribulation.harness.nemesis.faults.fault import Intent, Resolved
from tribulation.harness.simulator.cluster.cluster import SimCluster
from tribulation.harness.simulator.cluster.node import CPU_PERIOD_NS, WHOLE, Process
from tribulation.harness.simulator.faults.injector import SimInjector
from tribulation.harness.simulator.options import MILLISECOND, SECOND

from .real import real_cluster


def fault(kind, ident="f1", **what):
    return Resolved(Intent(ident, kind, {}, 0, None, ident), what)


@pytest.fixture
def cluster() -> SimCluster:
    cluster = real_cluster()
    cluster.run_until(3 * SECOND)
    return cluster


def test_a_starved_process_has_its_turns_in_its_part_of_each_period_alone(cluster):
    injector = SimInjector(cluster)
    leader = injector.situation().leader
    cpu = fault("cpu", nodes=[leader], share_ppm=100_000)
    seen = injector.inject(cpu)
    assert seen.verified and seen.observed["share_ppm"][leader] <= 110_000, seen
    less = fault("cpu", "f2", nodes=[leader], share_ppm=50_000)
    assert injector.inject(less).verified
    assert injector.heal(less).verified and cluster.nodes[leader].share_ppm == 100_000
    turns = []
    cluster.effect_watchers.append(lambda node, effects: turns.append((node, cluster.now_ns)))
    assert injector.heal(cpu).verified
    cluster.run_until(cluster.now_ns + 2 * SECOND)
    into = {at_ns % CPU_PERIOD_NS // (10 * MILLISECOND) for node, at_ns in turns if node == leader}
    assert max(into) - min(into) > 3, "its turns are at any time again"


@pytest.mark.parametrize("starved", [True, False])
def test_a_turn_that_was_due_when_a_process_was_starved_does_not_count(cluster, starved):
    injector, seen = SimInjector(cluster), []
    node = cluster.nodes[injector.situation().leader]

    def is_about_to_run_outside_of_its_part() -> bool:
        return node.turn_is_due and (cluster.now_ns + node.key) % CPU_PERIOD_NS > CPU_PERIOD_NS // 2

    assert cluster.run_while(lambda: not is_about_to_run_outside_of_its_part(), cluster.now_ns + 10 * SECOND)
    injector.begin_inject(fault("cpu", nodes=[node.name], share_ppm=50_000), seen.append)
    if not starved:
        cluster.starve(node.name, WHOLE)
    cluster.run_until(cluster.now_ns + 2 * SECOND)
    assert [one.verified for one in seen] == [starved], "one that has its turns at any time is not starved"


def test_a_process_with_too_little_memory_is_killed_again_and_again(cluster):
    injector = SimInjector(cluster)
    memory = fault("memory", nodes=["n1", "n2"], limit_bytes=1 << 24)
    before = cluster.nodes["n1"].incarnation
    assert injector.inject(memory).observed["oom_kills"] == {"n1": 1, "n2": 1}
    cluster.run_until(cluster.now_ns + 10 * SECOND)
    assert cluster.nodes["n1"].incarnation >= before + 3
    assert injector.heal(memory).verified
    ended = cluster.nodes["n1"].incarnation
    cluster.run_until(cluster.now_ns + 10 * SECOND)
    assert cluster.nodes["n1"].incarnation == ended and cluster.process("n1") is Process.RUNNING


def test_a_process_without_descriptors_keeps_its_connections_and_takes_no_other(cluster):
    injector = SimInjector(cluster)
    descriptors = fault("descriptors", nodes=["n1"], limit=20)
    seen = injector.inject(descriptors)
    assert seen.verified and seen.observed["accepted"] == []
    assert cluster.peers.connected("n1", "n2")
    cluster.reset_connection("n1", "n2")
    cluster.run_until(cluster.now_ns + 5 * SECOND)
    assert not cluster.peers.connected("n1", "n2") and cluster.peers.connected("n1", "n3")
    healed = injector.heal(descriptors)
    assert healed.verified and healed.observed["accepted"] == ["n1"]
    cluster.run_until(cluster.now_ns + 5 * SECOND)
    assert cluster.peers.connected("n1", "n2")


def test_behind_a_killed_process_no_limit_shows(cluster):
    injector = SimInjector(cluster)
    assert injector.inject(fault("kill", "k", nodes=["n1"])).verified
    for number, limit in enumerate(
        (fault("cpu", "c", nodes=["n1"], share_ppm=100_000), fault("descriptors", "d", nodes=["n1"], limit=9))
    ):
        assert not injector.inject(limit).verified, number
    assert injector.heal_all().verified
    assert cluster.nodes["n1"].share_ppm == 1_000_000 and not cluster.exhausted


def test_a_slow_start_runs_that_much_later(cluster):
    injector = SimInjector(cluster)
    kill = fault("kill", nodes=["n1"], slow_start_ns=3 * SECOND)
    assert injector.inject(kill).verified
    began_ns = cluster.now_ns
    assert injector.heal(kill).verified
    assert cluster.now_ns - began_ns >= 3 * SECOND and cluster.process("n1") is Process.RUNNING


def test_a_frozen_host_is_a_stopped_process_here(cluster):
    injector = SimInjector(cluster)
    freeze = fault("pause", nodes=["n1"], whole="host")
    assert injector.inject(freeze).verified and cluster.process("n1") is Process.PAUSED
    assert injector.heal(freeze).verified
