"""Nodes find each other, join and leave."""

from __future__ import annotations

import time
from collections.abc import Iterable

from ..deployed import Deployed
from ..scenario import Scenario
from ..waiting import expect
from .setups import FOUR, THREE

DISCOVERY_S, JOIN_S, LEAVE_S = 10.0, 20.0, 20.0


def broadcast(cluster: Deployed) -> str:
    """Each node was given only its own address, so everything it knows of the others came by datagram."""
    port = int(cluster.setup.membership.get("udp_port", 9999))
    slowest_ms = 0.0
    slowest_ms = max(await_discovery(cluster, name) for name in cluster.names)
    members = cluster.members()
    for name, host in cluster.hosts.items():
        record = members[name]
        same = (record["host"], record["port"]) == (host.address, cluster.service.port)
        expect(
            same and bool(record["role"]) and bool(record["capacity"]),
            f"{name} is at {host.address}:{cluster.service.port}, but its record is {record}",
        )
    return f"{len(members)} nodes found each other on UDP {port}, with address, role and capacity; the last one {slowest_ms:.0f} ms after its start"


def await_discovery(cluster: Deployed, name: str) -> float:
    """Return how long after its start this node had discovered all others, in ms."""
    others = [other for other in cluster.names if other != name]
    found = cluster.until(
        f"{name} to find {', '.join(others)}",
        lambda: discovered_ms(cluster, name, others),
        DISCOVERY_S,
        seen=lambda: f"{cluster.status(name).get('discovered')} of {len(others)}",
    )
    return max(found.values())


def discovered_ms(cluster: Deployed, name: str, others: Iterable[str]) -> dict[str, float] | None:
    """Return when this node discovered each of these, counted from its start, when it sends its first beacon; None while one is missing.

    The times are those of the node's own trace, so of one clock. The first `lifecycle` line after a start is written in that step, and waits for no disk.
    """
    lines = cluster.traces(name, "lifecycle", "discovered")
    started = [line["mono_ns"] for line in lines if line["event"] == "lifecycle" and line["from"] is None]
    heard = {line["peer"]: line["mono_ns"] for line in reversed(lines) if line["event"] == "discovered"}
    if not started or not all(other in heard for other in others):
        return None
    return {other: (heard[other] - started[0]) / 1e6 for other in others}


def join(cluster: Deployed) -> str:
    """The late node knows itself and the names of the voters."""
    name = cluster.learners[0]
    before = cluster.states()
    expect(name not in before, f"{name} is a member before it was started: {before}")
    cluster.start(name)
    began_s = time.monotonic()
    cluster.settle([name], JOIN_S)
    took_ms = (time.monotonic() - began_s) * 1e3
    role = cluster.members()[name]["role"]
    expect(bool(role), f"{name} is ACTIVE without a role")
    _await_same_log(cluster, name)
    lives = [str(line["to"]) for line in cluster.traces(name, "lifecycle")]
    return f"{' → '.join(lives)} as {role}, {took_ms:.0f} ms after it was ready; its state is the leader's"


def leave(cluster: Deployed) -> str:
    name, origin = cluster.learners[0], cluster.names[0]
    if name not in cluster.started:
        cluster.start(name)
    cluster.settle([name], JOIN_S)
    agents = [f"s3-a{i}" for i in range(3)]
    for agent in agents:
        cluster.spawn(agent, "data", name)
    tasks = [f"s3-t{i}" for i in range(6)]
    for task in tasks:
        cluster.submit(task, "data", "sleep", {"ms": 300}, through=origin, settle=False)
    began_s = time.monotonic()
    cluster.asker.do(origin, "members.leave", {"name": name}, settle=True, timeout_s=LEAVE_S)
    took_ms = (time.monotonic() - began_s) * 1e3
    members = cluster.members()
    expect(name not in members, f"{name} answered as gone, but is {members.get(name)}")
    hosts = {agent: record["host"] for agent, record in cluster.pool()["agents"].items() if agent in agents}
    expect(sorted(hosts) == agents, f"of the agents {agents} there are {hosts}")
    expect(name not in hosts.values(), f"agents are still on {name}: {hosts}")
    cluster.ended(tasks, 20.0)
    cluster.stop(name)
    return f"{len(agents)} agents moved and {name} deregistered in {took_ms:.0f} ms; {len(tasks)} of {len(tasks)} tasks done"


def _await_same_log(cluster: Deployed, name: str) -> None:
    def same() -> bool:
        leader = cluster.leader()
        if leader is None:
            return False
        digests = [cluster.asker.ask(node, {"admin": "digest"}) for node in (leader, name)]
        return digests[0].get("digest") == digests[1].get("digest")

    cluster.until(f"the state of {name} to be the leader's", same, JOIN_S)


SCENARIOS = (
    Scenario(
        1,
        "discovery",
        "broadcast on port 9999",
        "the nodes on the local network found, with their info",
        THREE,
        broadcast,
    ),
    Scenario(
        2,
        "discovery",
        "a node joins a 3-node cluster",
        "registered, role assigned, state synced, ACTIVE",
        FOUR,
        join,
        fresh=True,
    ),
    Scenario(
        3,
        "discovery",
        "a node leaves a 4-node cluster",
        "its tasks and agents moved, then deregistered; nothing lost",
        FOUR,
        leave,
    ),
)
