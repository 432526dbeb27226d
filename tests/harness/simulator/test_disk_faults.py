"""Faults of disks on a cluster of real cores: a probe sees each, and nothing of it is left."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.harness.simulator.cluster.node import Process
from tribulation.harness.simulator.faults.injector import SimInjector
from tribulation.harness.simulator.options import MILLISECOND, SECOND

from .fault_rig import FIVE, fault, settle
from .real import NODES, Writer, follower, leader, real_cluster

# Disks


@pytest.mark.parametrize(
    ("effect", "more"),
    [("slow", {"delay_ns": 30 * MILLISECOND}), ("stall", {}), ("full", {}), ("fsync-error", {}), ("lying", {})],
)
def test_a_probe_sees_what_is_wrong_with_a_device_and_that_it_is_gone(effect: str, more: dict[str, Any]):
    cluster = real_cluster()
    injector, target = SimInjector(cluster), follower(cluster)
    disk = fault("disk", nodes=[target], effect=effect, **more)
    seen = injector.inject(disk)
    assert seen.verified, seen
    healed = injector.heal(disk)
    device = healed.observed["devices"][target]
    assert healed.verified and device["error"] is None and device["took_ms"] < 20 and device["durable"]


def test_a_probe_does_not_believe_that_a_disk_is_stuck():
    cluster = real_cluster()
    answers: list[Any] = []
    SimInjector(cluster).begin_inject(fault("disk", nodes=["n2"], effect="stall"), answers.append)
    cluster.trouble("n2", "stalled", -1)
    settle(cluster)
    assert not answers[0].verified and answers[0].observed["devices"]["n2"]["took_ms"] is not None


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("disk", {"nodes": [], "effect": "stall"}),
        ("kill", {"nodes": []}),
        ("pause", {"nodes": []}),
        ("cut", {"edges": []}),
    ],
)
def test_a_fault_without_a_target_is_over_at_once_and_did_nothing(kind, what):
    """Two voters have no minority; a run waited without end for the probes of no disk, and a kill of no node counted as verified."""
    injector, empty = SimInjector(real_cluster()), fault(kind, **what)
    seen, healed = injector.inject(empty), injector.heal(empty)
    assert (seen.verified, healed.verified) == (False, True)


def test_a_slow_disk_makes_writes_slow():
    cluster = real_cluster()
    injector, writer = SimInjector(cluster), Writer(cluster, "n1")
    began_ns = cluster.now_ns
    writer.write(5)
    quick_ns = cluster.now_ns - began_ns
    injector.inject(fault("disk", nodes=list(NODES), effect="slow", delay_ns=40 * MILLISECOND))
    began_ns = cluster.now_ns
    writer.write(5)
    assert cluster.now_ns - began_ns > quick_ns + 5 * 20 * MILLISECOND


def test_a_stalled_leader_answers_no_write_until_it_is_over_and_then_does():
    cluster = real_cluster()
    injector, writer = SimInjector(cluster), Writer(cluster, "n1")
    stall = fault("disk", nodes=list(NODES), effect="stall")
    injector.inject(stall)
    answers: list[Any] = []
    body = {"id": 9, "session": writer.session, "seq": 1, "ops": [["w", "k", 1]], "deadline_ms": 60_000}
    cluster.request("late", leader(cluster), body, answers.append)
    settle(cluster)
    assert answers == []
    injector.heal(stall)
    settle(cluster)
    assert answers[0].body["status"] == "ok"


@pytest.mark.parametrize(("effect", "error"), [("full", "ENOSPC"), ("fsync-error", "EIO")])
def test_a_disk_that_fails_halts_its_node_and_the_heal_starts_it(effect: str, error: str):
    cluster = real_cluster()
    injector, target = SimInjector(cluster), follower(cluster)
    writer = Writer(cluster, leader(cluster))
    disk = fault("disk", nodes=[target], effect=effect)
    injector.inject(disk)
    writer.write(3)
    settle(cluster, SECOND)
    assert cluster.process(target) is Process.HALTED and error in cluster.nodes[target].halt_reason
    healed = injector.heal(disk)
    assert healed.verified and healed.observed["processes"] == {target: "running"}
    settle(cluster)
    assert writer.all_there(target)


def test_a_lying_disk_loses_what_it_said_was_safe():
    lost = 0
    for seed in range(6):
        cluster = real_cluster(seed)
        injector, writer = SimInjector(cluster), Writer(cluster, "n1")
        injector.inject(fault("disk", "lie", nodes=list(NODES), effect="lying", calibration=True))
        writer.write(5)
        injector.inject(fault("power", "p", nodes=list(NODES)))
        injector.heal(fault("power", "p", nodes=list(NODES)))
        settle(cluster)
        last = [next(li for li in reversed(cluster.traces[n]) if li["event"] == "start")["last_index"] for n in NODES]
        lost += sorted(last)[1] < 5
    assert lost > 0, "no majority ever lost what it had synced"


@pytest.mark.parametrize("effect", ["bit-rot", "misdirected-write"])
def test_decay_is_refused_by_the_node_that_reads_it_and_repaired_at_the_heal(effect: str):
    refused = 0
    for seed in range(4):
        cluster = real_cluster(seed)
        injector, writer, target = SimInjector(cluster), Writer(cluster, "n1"), follower(cluster)
        writer.write(30)
        decay = fault("disk", f"rot{seed}", nodes=[target], effect=effect)
        seen = injector.inject(decay)
        assert seen.verified and seen.observed["nodes"] == [target]
        refused += target in seen.observed["refused"]
        Writer(cluster, leader(cluster)).write(3)
        assert injector.heal(decay).verified and cluster.process(target) is Process.RUNNING
        settle(cluster)
        assert writer.all_there(target)
    assert refused >= 2, "damage in the middle of a log must be refused"


def test_decay_spares_a_quorum():
    cluster = real_cluster(nodes=FIVE)
    Writer(cluster, "n1").write(20)
    seen = SimInjector(cluster).inject(fault("disk", nodes=["n1", "n2", "n3", "n4"], effect="bit-rot"))
    assert seen.verified and seen.observed["nodes"] == ["n1", "n2"] and seen.observed["spared"] == ["n3", "n4"]
