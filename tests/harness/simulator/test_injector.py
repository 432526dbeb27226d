"""Faults on the simulated cluster: carried out, seen by probes, undone, seen again."""

from __future__ import annotations

import pytest

from tribulation.harness.errors import FaultError
from tribulation.harness.nemesis.faults.fault import CLIENTS, Intent, Resolved
from tribulation.harness.simulator.cluster.clocks import EPOCH_NS
from tribulation.harness.simulator.cluster.node import Process
from tribulation.harness.simulator.faults.injector import SimInjector
from tribulation.harness.simulator.options import SECOND

from .scripted import scripted_cluster

NODES = ("n1", "n2", "n3")


def fault(kind, ident="f1", **what):
    return Resolved(Intent(ident, kind, {}, 0, None, ident), what)


@pytest.fixture
def cluster():
    cluster, _ = scripted_cluster(lambda node, now, event: [], NODES)
    cluster.run_until(SECOND)
    return cluster


def test_a_cut_is_seen_as_exactly_its_edges_and_its_heal_as_none(cluster):
    injector = SimInjector(cluster)
    edges = [["n1", "n2"], ["n2", CLIENTS]]
    seen = injector.inject(fault("cut", edges=edges))
    assert seen.verified and seen.observed["edges"] == sorted(edges) and seen.observed["leaking"] == []
    healed = injector.heal(fault("cut", edges=edges))
    assert healed.verified and healed.observed == {"edges": []}


def test_healing_one_of_two_overlapping_cuts_leaves_the_other(cluster):
    injector = SimInjector(cluster)
    injector.inject(fault("cut", "a", edges=[["n1", "n2"], ["n1", "n3"]]))
    injector.inject(fault("cut", "b", edges=[["n1", "n2"]]))
    assert injector.heal(fault("cut", "a", edges=[["n1", "n2"], ["n1", "n3"]])).verified
    again = injector.inject(fault("cut", "c", edges=[["n3", "n1"]]))
    assert again.observed["edges"] == [["n1", "n2"], ["n3", "n1"]]


def test_an_unknown_edge_or_kind_is_refused(cluster):
    injector = SimInjector(cluster)
    with pytest.raises(FaultError, match="no edge"):
        injector.inject(fault("cut", edges=[["n1", "mars"]]))
    with pytest.raises(FaultError, match="no fault of kind"):
        injector.inject(fault("meteor"))


def test_kill_and_pause_are_observed_as_process_states(cluster):
    injector = SimInjector(cluster)
    assert injector.inject(fault("kill", nodes=["n2"])).observed == {"processes": {"n2": "down"}}
    assert injector.inject(fault("pause", "f2", nodes=["n3"])).observed == {"processes": {"n3": "paused"}}
    assert injector.situation().up == ("n1", "n3")
    assert injector.heal(fault("kill", nodes=["n2"])).verified
    assert injector.heal(fault("pause", "f2", nodes=["n3"])).verified
    assert cluster.process("n2") is Process.RUNNING and cluster.nodes["n2"].incarnation == 2


def test_a_clock_fault_moves_the_wall_and_not_the_monotonic_clock(cluster):
    injector = SimInjector(cluster)
    mono_ns = cluster.nodes["n1"].mono_ns() - cluster.now_ns
    seen = injector.inject(fault("clock", offsets_ns={"n1": 60 * SECOND}))
    assert seen.verified and seen.observed == {"offsets_ns": {"n1": 60 * SECOND}}
    assert cluster.nodes["n1"].wall_ns() == EPOCH_NS + cluster.now_ns + 60 * SECOND
    assert cluster.nodes["n1"].mono_ns() - cluster.now_ns == mono_ns
    assert injector.heal(fault("clock", offsets_ns={"n1": 60 * SECOND})).observed == {"offsets_ns": {"n1": 0}}


def test_heal_all_undoes_everything_and_sees_the_cluster_whole(cluster):
    injector = SimInjector(cluster)
    injector.inject(fault("cut", "a", edges=[["n1", "n2"]]))
    injector.inject(fault("kill", "b", nodes=["n2"]))
    injector.inject(fault("pause", "c", nodes=["n3"]))
    injector.inject(fault("clock", "d", offsets_ns={"n1": SECOND}))
    cluster.cut([("n3", "n1")])
    seen = injector.heal_all()
    good = {
        "unreachable": [],
        "processes": dict.fromkeys(NODES, "running"),
        "disks": {node: [] for node in NODES},
        "altered": [],
        "still": {"clock": [], "cpu": [], "membership": []},
    }
    assert seen.verified and seen.observed == good
    assert cluster.nodes["n1"].clock.wall_offset_ns == 0


def test_a_probe_does_not_believe_the_injector(cluster):
    """An edge healed behind the injector's back is reported as a fault that did nothing."""
    injector = SimInjector(cluster)
    answers = []
    injector.begin_inject(fault("cut", edges=[["n1", "n2"]]), answers.append)
    assert answers == [], "never within the call"
    cluster.heal_network()
    cluster.run_until(cluster.now_ns + SECOND)
    assert not answers[0].verified and answers[0].observed["leaking"] == [["n1", "n2"]]
