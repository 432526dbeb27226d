"""Links that damage packets and let through only so many: seen by probes, felt by nodes and clients, and spelled as digests know it."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.harness.nemesis.faults.fault import CLIENTS, Intent, Resolved
from tribulation.harness.simulator.faults.injector import SimInjector
from tribulation.harness.simulator.network.network import BACKLOG_NS, PACKET_BITS, Shaping
from tribulation.harness.simulator.options import SECOND

from .real import Writer, follower, real_cluster

EDGES = [["n1", "n2"], ["n2", "n1"]]


def link(**what: Any) -> Resolved:
    return Resolved(Intent("f1", "link", {}, 0, None, "f1"), {"edges": EDGES, **what})


@pytest.mark.parametrize(
    "what", [{"corrupt_ppm": 50_000}, *({"rate_bps": rate} for rate in (100_000, 1_000_000, 50_000_000))]
)
def test_damage_and_rates_are_seen_by_probes_and_gone_after_the_heal(what: dict[str, int]) -> None:
    cluster = real_cluster()
    injector, shape = SimInjector(cluster), link(**what)
    seen = injector.inject(shape)
    assert seen.verified and seen.observed["edges"] == EDGES and seen.observed["not_shaped"] == []
    if "corrupt_ppm" in what:
        assert 0 < seen.observed["refused_by_checksum"] == seen.observed["lost"]
    assert [list(edge) for edge in cluster.network.altered()] == EDGES
    assert injector.heal(shape).verified and not cluster.network.altered()


@pytest.mark.parametrize("what", [{"corrupt_ppm": 50_000}, {"rate_bps": 1_000_000}])
def test_probes_of_a_link_that_is_not_shaped_say_so(what: dict[str, int]) -> None:
    cluster = real_cluster()
    answers: list[Any] = []
    SimInjector(cluster).begin_inject(link(**what), answers.append)
    cluster.heal_network()
    cluster.run_until(cluster.now_ns + 3 * SECOND)
    assert not answers[0].verified and answers[0].observed["not_shaped"] == EDGES


def test_nodes_and_clients_live_with_damaged_packets_and_narrow_links() -> None:
    cluster = real_cluster()
    every = [list(edge) for edge in cluster.network.links]
    shape = link(edges=every, corrupt_ppm=100_000, rate_bps=2_000_000)
    assert SimInjector(cluster).inject(shape).verified
    Writer(cluster, "n1").write(20)
    assert cluster.peers.lost > 0, "a message whose packets are damaged"


def test_what_waits_for_a_rate_goes_on_in_its_turn_and_a_full_buffer_loses_the_rest() -> None:
    cluster = real_cluster()
    network, target = cluster.network, follower(cluster)
    network.shape(CLIENTS, target, "narrow", Shaping(rate_bps=100_000))
    each_ns, came = PACKET_BITS * SECOND // 100_000, []
    begun_ns = cluster.now_ns
    for number in range(100):
        network.probe(
            network.links[CLIENTS, target], lambda n: came.append((n, cluster.now_ns - begun_ns)), number, shaped=True
        )
    cluster.run_until(cluster.now_ns + 3 * SECOND)
    assert len(came) == BACKLOG_NS // each_ns and {number for number, _ in came} == set(range(len(came)))
    assert all(each_ns * (number + 1) <= took_ns < each_ns * (number + 1) + SECOND // 20 for number, took_ns in came)


def test_shapings_join_and_old_ones_are_spelled_as_ever() -> None:
    assert str(Shaping(1, 2, 3, 4, 5)) == (
        "Shaping(loss_ppm=1, duplicate_ppm=2, reorder_ppm=3, delay_ns=4, jitter_ns=5)"
    )
    assert str(Shaping(corrupt_ppm=7)).endswith("jitter_ns=0) {'corrupt_ppm': 7}")
    both = Shaping(10_000, corrupt_ppm=20_000, rate_bps=500).and_also(Shaping(corrupt_ppm=10_000, rate_bps=300))
    assert (both.corrupt_ppm, both.rate_bps, both.and_also(Shaping()).rate_bps) == (20_000, 300, 300)
    assert Shaping(loss_ppm=500_000, corrupt_ppm=500_000).gone_ppm == 750_000 and Shaping(loss_ppm=7).gone_ppm == 7
