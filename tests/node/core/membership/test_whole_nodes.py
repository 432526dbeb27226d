"""Whole nodes under virtual time: a fourth one comes, dies, comes back, stands still, and leaves; and the leader leaves."""

from __future__ import annotations

from typing import Any

from tribulation.harness.simulator.cluster.cluster import SimCluster
from tribulation.node.config.node import MS, NodeConfig

S = 1000 * MS
NAMES = ("n1", "n2", "n3", "n4")


def make_cluster(seed: int) -> SimCluster:
    """n1, n2 and n3 vote; n4 joins. Each knows its own address only, and the voters by name."""
    voters = {"n1": 1, "n2": 1, "n3": 1}
    configs = {}
    for number, name in enumerate(NAMES, 1):
        section = {"swim_period_ns": 200 * MS, "swim_timeout_ns": 80 * MS, "join": name == "n4"}
        peers = {name: [f"10.0.0.{number}", 10000]}
        data = {"node": name, "cluster": "test", "peers": peers, "voters": voters, "timing": "fast"}
        configs[name] = NodeConfig.from_json({**data, "membership": section, "agents": {}})
    cluster = SimCluster(configs, seed)
    cluster.start_all()
    return cluster


def members(cluster: SimCluster, node: str) -> dict[str, int]:
    return dict(cluster.latest[node]["view"]["members"])


def life(cluster: SimCluster, node: str) -> list[str]:
    return [line["to"] for line in cluster.traces[node] if line["event"] == "lifecycle"]


def run(cluster: SimCluster, ns: int) -> None:
    cluster.run_until(cluster.now_ns + ns)


def test_a_member_comes_dies_comes_back_stands_still_and_leaves() -> None:
    cluster = make_cluster(1)
    run(cluster, 3 * S)
    everybody = {"n1": 1, "n2": 1, "n3": 1, "n4": 1}
    assert [members(cluster, name) for name in NAMES] == [everybody] * 4
    assert life(cluster, "n4") == ["DISCOVERING", "JOINING", "ACTIVE"]

    cluster.kill("n4")
    run(cluster, 8 * S)
    assert [members(cluster, name) for name in NAMES[:3]] == [{"n1": 1, "n2": 1, "n3": 1}] * 3
    cluster.start("n4")
    run(cluster, 3 * S)
    assert [members(cluster, name) for name in NAMES] == [{**everybody, "n4": 2}] * 4

    cluster.pause("n4")
    run(cluster, 8 * S)
    assert "n4" not in members(cluster, "n1")
    cluster.resume("n4")
    run(cluster, 3 * S)
    assert members(cluster, "n1")["n4"] == 2 and life(cluster, "n4")[-3:] == ["FAILED", "JOINING", "ACTIVE"]
    assert not any(line["event"] == "suspect" for line in cluster.traces["n4"]), "it blamed no node for its own pause"

    cluster.request("c1", "n1", {"id": 1, "do": "members.leave", "with": {"name": "n4"}}, lambda answer: None)
    run(cluster, 3 * S)
    assert [members(cluster, name) for name in NAMES[:3]] == [{"n1": 1, "n2": 1, "n3": 1}] * 3


def test_the_leader_leaves_and_its_vote_goes_first() -> None:
    cluster = make_cluster(2)
    run(cluster, 3 * S)
    leader = next(name for name in NAMES if "leader" in cluster.latest[name])
    answers: list[Any] = []
    cluster.request("c1", leader, {"id": 1, "do": "members.leave", "with": {"name": leader}}, answers.append)
    run(cluster, 6 * S)
    others = [name for name in NAMES if name != leader]
    assert all(sorted(members(cluster, name)) == others for name in others)
    assert all(leader not in cluster.latest[name]["config"]["voters"] for name in others)
