"""Faults of links on a cluster of real cores: a probe sees each, and nothing of it is left."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.harness.errors import FaultError
from tribulation.harness.nemesis.faults.fault import CLIENTS
from tribulation.harness.simulator.faults.injector import SimInjector
from tribulation.harness.simulator.options import MILLISECOND, SECOND

from .fault_rig import fault, settle
from .real import Writer, follower, real_cluster

# Links


EDGES = [["n1", "n2"], ["n3", "n1"], [CLIENTS, "n2"]]


@pytest.mark.parametrize(
    ("what", "field"),
    [
        ({"loss_ppm": 50_000}, "lost"),
        ({"duplicate_ppm": 100_000}, "doubled"),
        ({"reorder_ppm": 100_000}, None),
        ({"delay_ns": 20 * MILLISECOND, "jitter_ns": 10 * MILLISECOND}, None),
    ],
)
def test_a_shaped_link_is_seen_by_probes_and_no_other_is(what: dict[str, int], field: str | None):
    cluster = real_cluster()
    injector = SimInjector(cluster)
    shape = fault("link", edges=EDGES, **what)
    seen = injector.inject(shape)
    assert seen.verified and seen.observed["edges"] == sorted(EDGES) and seen.observed["not_shaped"] == []
    assert field is None or seen.observed[field] > 0
    assert "delay_ns" not in what or 20 <= seen.observed["latency_ms"][0] < 22
    assert injector.heal(shape).verified
    assert all(link.shaping is None for link in cluster.network.links.values())


def test_probes_of_a_link_that_is_not_shaped_say_so():
    cluster = real_cluster()
    answers: list[Any] = []
    SimInjector(cluster).begin_inject(fault("link", edges=EDGES, loss_ppm=50_000), answers.append)
    cluster.heal_network()
    settle(cluster)
    assert not answers[0].verified and answers[0].observed["not_shaped"] == sorted(EDGES)


def test_a_lossy_link_loses_messages_of_nodes_and_delays_those_of_clients():
    cluster = real_cluster()
    every = [list(edge) for edge in cluster.network.links]
    SimInjector(cluster).inject(fault("link", edges=every, loss_ppm=200_000, duplicate_ppm=200_000))
    Writer(cluster, "n1").write(20)
    assert cluster.peers.lost > 0 and cluster.peers.duplicated > 0


def test_a_clogged_link_loses_nothing_and_delivers_in_order_at_the_heal():
    cluster = real_cluster()
    injector, writer, target = SimInjector(cluster), Writer(cluster, "n1"), follower(cluster)
    clog = fault("clog", edges=[[CLIENTS, target]])
    seen = injector.inject(clog)
    assert seen.verified and seen.observed["edges"] == [[CLIENTS, target]]
    answers: list[Any] = []
    for seq in (1, 2, 3):
        body = {"id": seq, "session": writer.session, "seq": seq, "ops": [["w", "k", seq]], "deadline_ms": 60_000}
        cluster.request("stuck", target, body, lambda answer: answers.append(answer.body["id"]))
    settle(cluster, 500 * MILLISECOND)
    assert answers == []
    healed = injector.heal(clog)
    assert healed.verified and healed.observed["late"] == 3, "the three probes that were stuck"
    settle(cluster)
    assert answers == [1, 2, 3]


def test_a_flapping_link_is_down_and_up_and_in_the_end_up():
    cluster = real_cluster()
    injector = SimInjector(cluster)
    flap = fault("flap", edges=[["n1", "n2"], ["n2", "n1"]], period_ns=400 * MILLISECOND)
    seen = injector.inject(flap)
    assert seen.verified and seen.observed["steady"] == []
    healed = injector.heal(flap)
    settle(cluster)
    assert healed.verified and cluster.network.cuts_on == 0


def test_a_reset_breaks_connections_which_come_again():
    cluster = real_cluster()
    injector = SimInjector(cluster)
    settle(cluster, SECOND)
    reset = fault("reset", edges=[["n1", "n2"], ["n1", "n3"]], period_ns=SECOND)
    seen = injector.inject(reset)
    assert seen.verified and seen.observed == {"edges": [["n1", "n2"], ["n1", "n3"]], "unbroken": []}
    healed = injector.heal(reset)
    assert healed.verified and cluster.peers.connected("n2", "n1")


@pytest.mark.parametrize("kind", ["link", "clog", "flap", "reset"])
def test_an_edge_that_does_not_exist_is_refused(kind: str):
    with pytest.raises(FaultError, match="no edge"):
        SimInjector(real_cluster()).inject(fault(kind, edges=[["n1", "mars"]], period_ns=SECOND, loss_ppm=10**5))
