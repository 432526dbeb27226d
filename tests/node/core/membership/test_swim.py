"""SWIM on a virtual network: a node that dies is found out by all within the bound, one that lives is not blamed, and none sends more in a larger cluster."""

from __future__ import annotations

from math import log10
from typing import Any

import pytest

from tribulation.node.config.node import MS
from tribulation.node.core.detector.detector import Detector
from tribulation.node.core.interface.signals import Detected

from .net import Net, Node, make_config, record

S = 1000 * MS
PERIOD = 500 * MS


def cluster(size: int, seed: int = 1, flaws: tuple[str, ...] = (), loss: float = 0.0, **options: Any) -> Net:
    net = Net(seed, loss)
    names = [f"n{i + 1}" for i in range(size)]
    for name in names:
        net.add(Detector, make_config(name, flaws, **options))
    net.view({name: record(name) for name in names})
    return net


def failures(net: Net, *but: str) -> list[tuple[str, str]]:
    """Which node believes at any time that which has failed, without those."""
    return [
        (node.name, data["target"])
        for node in net.nodes.values()
        for _, event, data in node.traces
        if event == "failed" and data["target"] not in but and node.name not in but
    ]


def shortest_ns(size: int) -> int:
    return round(5 * log10(size + 1) * PERIOD)


@pytest.mark.parametrize(("size", "seed"), [(2, 1), (3, 1), (3, 2), (8, 1), (8, 2), (32, 1)])
def test_a_killed_node_is_failed_for_all_within_the_bound(size: int, seed: int) -> None:
    """A few periods until a node has probed it, the shortest suspicion, and the rumour's way round."""
    net = cluster(size, seed)
    net.run(5 * S)
    net.kill("n2")
    killed_ns = net.now
    net.run(20 * S)
    bound_ns = 8 * PERIOD + 2 * shortest_ns(size)
    for node in net.nodes.values():
        if node.up:
            suspected, failed = node.traced("suspect", target="n2"), node.traced("failed", target="n2")
            assert len(suspected) == len(failed) == 1, (node.name, suspected, failed)
            assert failed[0] - killed_ns < bound_ns, (node.name, (failed[0] - killed_ns) / S)
            assert Detected("n2", 1, "failed") in node.signals
    assert failures(net, "n2") == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_datagram_in_ten_lost_fails_nobody(seed: int) -> None:
    net = cluster(16, seed, loss=0.1)
    net.run(40 * S)
    assert failures(net) == []
    suspected = sum(len(node.traced("suspect")) for node in net.nodes.values())
    assert suspected == sum(len(node.traced("trust")) for node in net.nodes.values())
    assert suspected <= 16, "a suspicion goes round, but there is hardly ever one"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_starved_nodes_blame_nobody_and_are_not_failed(seed: int) -> None:
    """Half of the nodes run a third of the time: for up to 300 ms nothing of them happens, and then they run for a moment."""
    net = cluster(16, seed)

    def starve(name: str) -> None:
        asleep_ns = net.random.randint(50, 300) * MS
        net.sleep(name, asleep_ns)
        net.at(net.now + asleep_ns + net.random.randint(10, 150) * MS, lambda: starve(name))

    for i in range(8):
        starve(f"n{i + 1}")
    net.run(40 * S)
    assert failures(net) == []
    assert sum(len(node.traced("suspect")) for node in net.nodes.values()) == 0


def test_a_late_timer_is_the_own_fault_and_makes_patient() -> None:
    """n1 wakes late in the middle of a probe: what it waits for is in its socket, and it waits longer from now on."""
    net = cluster(3)
    net.run(3 * S)
    n1 = net.nodes["n1"]
    assert n1.machine.status()["detector_health"] == 0
    net.sleep("n1", 900 * MS)
    net.run(900 * MS)
    assert n1.machine.status()["detector_health"] > 0 and n1.traced("suspect") == []
    net.run(5 * S)
    assert n1.machine.status()["detector_health"] == 0


def test_a_node_that_stood_still_for_long_blames_nobody_when_it_goes_on() -> None:
    net = cluster(8)
    net.run(5 * S)
    net.sleep("n1", 10 * S)
    net.run(20 * S)
    assert net.nodes["n1"].traced("suspect") == []
    assert all(node.traced("failed", target="n1") for node in net.nodes.values() if node.name != "n1")
    assert all(node.traced("trust", target="n1") for node in net.nodes.values() if node.name != "n1"), "it objected"


def test_a_pause_below_the_suspicion_is_objected_to_in_time() -> None:
    net = cluster(8)
    net.run(5 * S)
    net.sleep("n3", 1500 * MS)
    net.run(10 * S)
    others = [node for node in net.nodes.values() if node.name != "n3"]
    assert any(node.traced("suspect", target="n3") for node in others)
    assert all(len(node.traced("suspect")) == len(node.traced("trust")) for node in others)
    assert failures(net) == []


def test_a_partition_heals_without_the_log() -> None:
    """Each side believes that the other failed, and after the healing that it is alive, though no record changed."""
    net = cluster(6)
    net.run(3 * S)
    left = ("n1", "n2", "n3")
    net.cut = lambda a, b: (a in left) != (b in left)
    net.run(30 * S)
    assert len(failures(net)) == 18
    net.cut = lambda a, b: False
    net.run(15 * S)
    assert all(len(node.traced("trust")) == len(node.traced("suspect")) == 3 for node in net.nodes.values())


def rate(net: Net, node: Node, since_ns: int) -> tuple[float, float]:
    """Datagrams, and bytes, that it sent a period."""
    periods = (net.now - since_ns) / PERIOD
    sent = [size for at_ns, size in node.sent if at_ns >= since_ns]
    return len(sent) / periods, sum(sent) / periods


def test_what_a_node_sends_does_not_grow_with_the_cluster() -> None:
    rates = {}
    for size in (8, 16, 32):
        net = cluster(size)
        net.run(10 * S)
        since_ns = net.now
        net.run(30 * S)
        each = [rate(net, node, since_ns) for node in net.nodes.values()]
        rates[size] = (sum(r for r, _ in each) / size, sum(b for _, b in each) / size, max(r for r, _ in each))
    assert all(abs(mean - 2) < 0.1 and highest < 3 for mean, _, highest in rates.values()), rates
    assert max(b for _, b, _ in rates.values()) < 1.1 * min(b for _, b, _ in rates.values()), rates


def test_failed_by_one_vote_fails_the_living_and_the_correct_node_does_not() -> None:
    assert failures(cluster_after(flaws=("failed-by-one-vote",)))
    assert not failures(cluster_after())


def test_who_keeps_its_incarnation_cannot_object() -> None:
    """Everybody is paused once in a while, long enough to be suspected."""

    def fate(flaws: tuple[str, ...]) -> list[tuple[str, str]]:
        net = cluster(8, flaws=flaws)
        net.run(3 * S)
        net.sleep("n3", 1500 * MS)
        net.run(30 * S)
        return failures(net)

    assert ("n1", "n3") in fate(("incarnation-not-bumped",))
    assert fate(()) == []


def cluster_after(flaws: tuple[str, ...] = ()) -> Net:
    net = cluster(8, flaws=flaws, loss=0.1)
    net.run(20 * S)
    return net
