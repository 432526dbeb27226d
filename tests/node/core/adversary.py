"""Random trouble for a test cluster, from one seed: partitions, crashes, power cuts, hand-overs, weights, clock jumps; then peace.

Outcome = explore(seed)          # everything that must hold was watched; `problems` is empty for a correct node
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from tribulation.node.config.node import MS

from .cluster import Cluster
from .load import Load

S = 1000 * MS


@dataclass
class Outcome:
    problems: list[str]
    cluster: Cluster
    load: Load


def explore(seed: int, *, duration_ns: int = 6 * S, torn: bool = False, checking: int = 20, **config: Any) -> Outcome:
    """One run. Sizes and probabilities are drawn from the seed too (swarm testing): some runs lose nothing, some have no crashes."""
    random = Random(f"adversary {seed}")
    options = {
        "nodes": random.choice((2, 3, 3, 4, 5)),
        "loss": random.choice((0.0, 0.0, 0.02, 0.15)),
        "duplicate": random.choice((0.0, 0.05, 0.3)),
        "delay": random.choice(((MS // 5, MS), (MS // 5, 20 * MS), (MS, 120 * MS))),
        "fsync": random.choice(((MS // 10, MS), (MS, 10 * MS), (MS, 80 * MS))),
        "snapshot_threshold": random.choice((5, 20, 1000)),
        "max_batch": random.choice((1, 4, 1024)),
        "lease_reads": random.random() < 0.3,
        "wire": random.random() < 0.2,
        "checking": checking,
        **config,
    }
    cluster = Cluster(seed, **options).start()
    load = Load(cluster, clients=random.choice((2, 4, 6))).start()
    troubles = [t for t in (_partition, _crash, _power, _handover, _weights, _clock, _one_way) if random.random() < 0.6]
    stop_at = cluster.now + duration_ns
    while cluster.now < stop_at and not cluster.violations:
        cluster.run(random.randint(20, 900) * MS)
        if troubles:
            random.choice(troubles)(cluster, random, torn)
    problems = _settle(cluster, load)
    return Outcome(problems, cluster, load)


def _settle(cluster: Cluster, load: Load) -> list[str]:
    """Heal, wait for quiet, compare: liveness and convergence. Too many torn nodes may block forever, by design."""
    cluster.heal()
    cluster.loss = 0.0
    cluster.offsets.clear()
    for node in cluster.nodes.values():
        if node.halted is not None:
            cluster.violations.append(f"{node.name} halted: {node.halted}")
        if node.core is None:
            node.start()
    cluster.run(3 * S)
    load.stopped = True
    cluster.run(3 * S)
    problems = [f"seed {cluster.seed}: {problem}" for problem in cluster.violations + load.check()]
    statuses = {name: node.core.status() for name, node in cluster.nodes.items() if node.core is not None}
    shown = {
        name: (s["role"], s["term"], s["commit"], s["applied"], s["digest"], s["torn"]) for name, s in statuses.items()
    }
    if any(status["torn"] for status in statuses.values()):
        return problems
    if cluster.leader() is None:
        problems.append(f"seed {cluster.seed}: no leader in the end: {shown}")
    elif len({(s["applied"], s["digest"]) for s in statuses.values()}) != 1 or len(statuses) != len(cluster.nodes):
        problems.append(f"seed {cluster.seed}: no convergence: {shown}")
    return problems


def _partition(cluster: Cluster, random: Random, torn: bool) -> None:
    names = sorted(cluster.nodes)
    if random.random() < 0.3:
        cluster.heal()
        return
    leader = cluster.leader()
    if leader is not None and random.random() < 0.4:
        cluster.partition([leader], [name for name in names if name != leader])
        return
    random.shuffle(names)
    cut = random.randint(1, len(names) - 1)
    cluster.partition(names[:cut], names[cut:])


def _one_way(cluster: Cluster, random: Random, torn: bool) -> None:
    if random.random() < 0.4:
        cluster.heal()
        return
    a, b = random.sample(sorted(cluster.nodes), 2)
    cluster.cuts = cluster.cuts | {(a, b)}


def _crash(cluster: Cluster, random: Random, torn: bool, power: bool = False) -> None:
    name = cluster.leader() if random.random() < 0.4 else random.choice(sorted(cluster.nodes))
    victims = sorted(cluster.nodes) if power and random.random() < 0.1 else [name]
    for victim in victims:
        node = cluster.nodes[victim] if victim is not None else None
        if node is not None and node.core is not None:
            node.stop(power, torn)
            cluster.at(
                random.randint(1, 1500) * MS,
                lambda node=node: node.start() if node.core is None and node.halted is None else None,
            )


def _power(cluster: Cluster, random: Random, torn: bool) -> None:
    _crash(cluster, random, torn, power=True)


def _handover(cluster: Cluster, random: Random, torn: bool) -> None:
    _admin(cluster, random, {"admin": "transfer", "to": random.choice(sorted(cluster.nodes))})


def _weights(cluster: Cluster, random: Random, torn: bool) -> None:
    voters = {name: random.choice((0, 1, 1, 2)) for name in sorted(cluster.nodes)}
    if any(voters.values()):
        _admin(cluster, random, {"admin": "voters", "voters": voters})


def _clock(cluster: Cluster, random: Random, torn: bool) -> None:
    cluster.offsets[random.choice(sorted(cluster.nodes))] = random.choice((0, -60, 60)) * S


def _admin(cluster: Cluster, random: Random, body: dict[str, Any]) -> None:
    node = random.choice(sorted(cluster.nodes))
    if cluster.nodes[node].core is not None:
        cluster._sequence += 1
        cluster.request(node, f"admin{cluster._sequence}", {"id": 1, "deadline_ms": 2000, **body}, lambda reply: None)
