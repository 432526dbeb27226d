"""Clusters of real cores, and what tests ask of them."""

from __future__ import annotations

from typing import Any

from tribulation.harness.simulator.cluster.cluster import SimCluster
from tribulation.harness.simulator.faults.injector import SimInjector
from tribulation.harness.simulator.options import SECOND, SimOptions

from .scripted import config

NODES = ("n1", "n2", "n3")


def real_cluster(
    seed: int = 1, nodes: tuple[str, ...] = NODES, node: dict[str, Any] | None = None, **options: Any
) -> SimCluster:
    """Started, with a leader. `node` goes into every node's configuration."""
    configs = {name: config(name, nodes, timing="fast", **(node or {})) for name in nodes}
    cluster = SimCluster(configs, seed, SimOptions(**options))
    cluster.start_all()
    assert cluster.run_while(lambda: leader(cluster) is None, 5 * SECOND), "no leader was elected"
    return cluster


def leader(cluster: SimCluster) -> str | None:
    return SimInjector(cluster).situation().leader


def follower(cluster: SimCluster) -> str:
    """One that does not lead."""
    return next(name for name in cluster.nodes if name != leader(cluster))


def ask(cluster: SimCluster, node: str, body: dict[str, Any], patience_ns: int = 20 * SECOND) -> dict[str, Any]:
    """The answer, asked for again and again as a client would, until it is `ok`."""
    answers: list[Any] = []
    until_ns = cluster.now_ns + patience_ns
    while cluster.now_ns < until_ns:
        answers.clear()
        cluster.request("c", node, {"id": cluster.now_ns, "deadline_ms": 900, **body}, answers.append)
        cluster.run_while(lambda: not answers, cluster.now_ns + SECOND)
        if answers and (answers[0].body or {}).get("status") == "ok":
            return answers[0].body
        cluster.run_until(cluster.now_ns + SECOND // 20)
    raise AssertionError(f"no answer to {body}, last {answers}")


class Writer:
    """A session that writes numbered values, one after another; `acked` are those that were answered ok."""

    def __init__(self, cluster: SimCluster, node: str) -> None:
        self.cluster, self.node = cluster, node
        self.session = ask(cluster, node, {"open": True})["session"]
        self.acked: list[int] = []

    def write(self, count: int) -> None:
        for _ in range(count):
            value = len(self.acked) + 1
            body = {"session": self.session, "seq": value, "ops": [["w", f"k{value}", value]]}
            assert ask(self.cluster, self.node, body)["status"] == "ok"
            self.acked.append(value)

    def all_there(self, node: str) -> bool:
        """Whether a linearizable read at this node finds every acknowledged value."""
        read = ask(self.cluster, node, {"ops": [["r", f"k{value}"] for value in self.acked]})
        return read.get("results") == self.acked
