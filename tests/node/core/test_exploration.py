"""Random trouble on whole clusters; every property watched. Each failure names its seed: `explore(seed)` repeats it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribulation.node.config.node import MS

from .adversary import explore
from .cluster import Cluster
from .load import Load


@pytest.mark.parametrize("seed", range(16))
def test_nothing_breaks_under_random_trouble(seed: int) -> None:
    outcome = explore(seed, duration_ns=4000 * MS)
    assert outcome.problems == []


@settings(max_examples=6, deadline=None, derandomize=True)
@given(seed=st.integers(1_000_000, 1 << 40), torn=st.booleans())
def test_nor_under_seeds_that_hypothesis_picks(seed: int, torn: bool) -> None:
    assert explore(seed, duration_ns=3000 * MS, torn=torn).problems == []


def test_the_adversary_finds_a_planted_bug() -> None:
    problems = [problem for seed in range(3) for problem in explore(seed, flaws=["no-client-dedup"]).problems]
    assert any("k1 is not linearizable" in problem for problem in problems)


def fingerprint(seed: int) -> list[object]:
    outcome = explore(seed, duration_ns=1500 * MS)
    digests = [node.core.state_digest() for node in outcome.cluster.nodes.values() if node.core is not None]
    return [outcome.cluster.steps, digests, outcome.cluster.traces]


def test_the_same_seed_gives_the_same_run() -> None:
    assert fingerprint(4) == fingerprint(4) != fingerprint(5)


def test_an_unreachable_follower_costs_little_and_catches_up_by_snapshot() -> None:
    cluster = Cluster(2, 3, snapshot_threshold=20, checking=5).start()
    leader = cluster.wait_leader()
    lost = next(name for name in cluster.nodes if name != leader)
    cluster.partition([lost], [name for name in cluster.nodes if name != lost])
    load = Load(cluster, clients=3, pause_ms=20).start()
    sent: list[str] = []
    transmit = cluster.transmit
    cluster.transmit = lambda a, b, m: (sent.append(type(m).__name__) if b == lost else None, transmit(a, b, m))[1]  # type: ignore[method-assign,assignment]
    cluster.run(3000 * MS)
    assert sent.count("AppendEntries") + sent.count("InstallSnapshot") < 40
    cluster.heal()
    cluster.run(1500 * MS)
    load.stopped = True
    cluster.run(1500 * MS)
    assert any(name == lost and event == "snapshot-installed" for _, name, _, event, _ in cluster.traces)
    assert len({node.core.status()["digest"] for node in cluster.nodes.values() if node.core is not None}) == 1
    assert load.check() + cluster.violations == []


def test_a_large_snapshot_travels_in_pieces() -> None:
    cluster = Cluster(9, 3, snapshot_threshold=10, loss=0.02).start()
    leader = cluster.wait_leader()
    lost = next(name for name in cluster.nodes if name != leader)
    session = cluster.call(leader, {"open": True})["session"]
    cluster.nodes[lost].stop()
    for seq in range(1, 16):
        ops = [["w", f"k{seq}", 'quote " and ü ' * 3000]]
        reply = cluster.call(cluster.wait_leader(), {"session": session, "seq": seq, "ops": ops})
        assert reply["status"] == "ok", reply
    cluster.nodes[lost].start()
    cluster.run(3000 * MS)
    installed = [
        fields for _, name, _, event, fields in cluster.traces if name == lost and event == "snapshot-installed"
    ]
    assert installed, "it was too far behind for entries"
    assert cluster.call(lost, {"level": "stale", "ops": [["r", "k3"]]})["results"] == ['quote " and ü ' * 3000]
    assert cluster.violations == []


def test_a_pair_with_a_preferred_node_goes_on_with_that_node_alone() -> None:
    cluster = Cluster(6, 2, preferred="n1").start()
    cluster.wait_leader()
    cluster.nodes["n2"].stop()
    cluster.run(1500 * MS)
    session = cluster.call("n1", {"open": True})["session"]
    assert cluster.call("n1", {"session": session, "seq": 1, "ops": [["w", "k", 1]]})["status"] == "ok"


def test_of_a_two_to_two_split_exactly_the_preferred_side_writes() -> None:
    cluster = Cluster(7, 4, preferred="n2").start()
    session = cluster.call(cluster.wait_leader(), {"open": True})["session"]
    cluster.partition(["n1", "n2"], ["n3", "n4"])
    cluster.run(2500 * MS)
    body = {"session": session, "seq": 1, "ops": [["w", "k", 1]]}
    assert cluster.call("n3", body)["error"] == "no-quorum"
    assert cluster.call("n1", body)["status"] == "ok"
