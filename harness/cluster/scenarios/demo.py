"""The demonstration: a cluster finds itself, routes tasks, loses a node, gets it back, and balances its load. Nothing is faked.

demonstrate(cluster, say)          # each step reports what happened, with figures
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

from ..deployed import Deployed
from ..setup import Setup
from .load import measured_rtts
from .memory import learn, same, sync
from .setups import QUICK, STILL

NODES, AGENTS_EACH, TASKS = 4, 2, 20
TYPE = "generic"
RTTS_MS = (2, 10, 30)
"""The round trips between node 1 and the others that the links are given."""
MORE_AGENTS = 6
TASK_MS, LONG_MS, EVERY_S = 100, 1000, 0.15
EPISODES, NEW_EPISODES = 200, 10
"""Durations of tasks, of tasks that run while a node is lost, and the interval between tasks."""

DEMO = Setup(
    "the demonstration",
    voters=NODES - 1,
    learners=1,
    membership={**QUICK, "capacity": {"slots": 8}},
    agents={**STILL, "balance_ns": 1_500_000_000, "balance_percent": 30},
    memory={"sync": "on_demand"},
)

Say = Callable[[str, str], None]
"""`say(step, sentence)`."""


def demonstrate(cluster: Deployed, say: Say) -> None:
    """Carry out all steps on a new cluster. Raises `Missed` or `Refused` where one fails."""
    _found(cluster, say)
    _spawned(cluster, say)
    lost = _routed_by_latency(cluster, say)
    _node_lost(cluster, lost, say)
    _evened_out(cluster, say)


def _found(cluster: Deployed, say: Say) -> None:
    members = cluster.members()
    text = ", ".join(f"{name} ({record['role']})" for name, record in sorted(members.items()))
    say(
        "discovery",
        f"each node was given only its own address, and found the others by datagrams: {text}; {cluster.leader()} leads",
    )


def _spawned(cluster: Deployed, say: Say) -> None:
    first = cluster.names[0]
    took_ms = [
        cluster.spawn(f"{name}-a{number}", TYPE, name, through=first)[1]
        for name in cluster.names[1:]
        for number in range(AGENTS_EACH)
    ]
    say("agents", f"{len(took_ms)} agents spawned from {first} on the others, the slowest in {max(took_ms):.0f} ms")


def _routed_by_latency(cluster: Deployed, say: Say) -> str:
    """Return the node that got most tasks."""
    first, *others = cluster.names
    with ExitStack() as stack:
        for name, rtt_ms in zip(others, RTTS_MS, strict=True):
            edges = [[first, name], [name, first]]
            stack.enter_context(cluster.fault("link", edges=edges, delay_ns=rtt_ms * 500_000))
        say(
            "links",
            ", ".join(f"{first}–{name} {ms} ms" for name, ms in zip(others, RTTS_MS, strict=True)) + " of round trip",
        )
        wanted_ms = dict(zip(others, RTTS_MS, strict=True))
        cluster.until(
            "the round trips to be measured so",
            lambda: measured_rtts(cluster, first, wanted_ms),
            30.0,
            seen=lambda: cluster.status(first)["rtt_ns"],
        )
        tasks = _submit(cluster, "route", first, TASK_MS, EVERY_S, strategy="latency-aware")
        records = cluster.ended(tasks, 60.0)
    hosts = Counter(str(record["host"]) for record in records.values())
    say("tasks", f"{TASKS} tasks arrived at {first} and were routed by latency: " + _counts(hosts.items()))
    return max(others, key=lambda name: hosts[name])


def _node_lost(cluster: Deployed, lost: str, say: Say) -> None:
    first = cluster.names[0]
    tasks = _submit(cluster, "lost", first, LONG_MS, 0.0, strategy="round-robin")
    learn(cluster, first, "known", EPISODES)
    whole = sync(cluster, lost, first)
    running = Counter(str(task["host"]) for task in cluster.running())
    with cluster.fault("kill", nodes=[lost]) as injected_ns:
        say(
            "failure",
            f"of {TASKS} tasks more {running.total()} ran, {running[lost]} of them on {lost}, when it was killed",
        )
        cluster.until(f"{lost} to be FAILED", lambda: cluster.states().get(lost) == "FAILED", 30.0, seen=cluster.states)
        say(
            "failure",
            f"{lost} is FAILED {(time.monotonic_ns() - injected_ns) / 1e9:.1f} s after its death; its agents are respawned and its tasks handed out again",
        )
        records = cluster.ended(tasks, 60.0)
        hosts = Counter(str(record["host"]) for record in records.values())
        again = sum(1 for record in records.values() if int(record.get("attempt", 1)) > 1)
        say(
            "failure",
            f"all {len(records)} tasks done, {again} of them after another attempt: " + _counts(hosts.items()),
        )
        behind = int(cluster.status(cluster.leader() or first).get("commit", 0))
        learn(cluster, first, "new", NEW_EPISODES)
    cluster.settle()
    snapshots = len(cluster.traces(lost, "snapshot-installed"))
    how = "from a snapshot" if snapshots else "from the log alone, by what it lacked"
    say(
        "return",
        f"{lost} is back and ACTIVE as incarnation {cluster.members()[lost]['incarnation']}, caught up {how}"
        + (f", at index {behind}" if behind else ""),
    )
    delta = sync(cluster, lost, first)
    same(cluster, [lost, first])
    say(
        "memory",
        f"a delta of {delta['records']} episodes, {delta['bytes']} bytes, brought its memory up to date; the {whole['records']} from before, {whole['bytes']} bytes, were on its disk",
    )


def _evened_out(cluster: Deployed, say: Say) -> None:
    first = cluster.names[0]
    for number in range(MORE_AGENTS):
        cluster.asker.do(first, "agents.spawn", {"agent": f"more-{number}", "type": TYPE, "on": first})
    before = _used(cluster)
    say("balance", f"{MORE_AGENTS} agents more on {first}: {_counts(before.items())}")
    began_s = time.monotonic()
    total = (NODES - 1) * AGENTS_EACH + MORE_AGENTS
    after = cluster.until("the load to be even", lambda: _even(cluster, total), 60.0, seen=lambda: _used(cluster))
    say("balance", f"evened out in {time.monotonic() - began_s:.1f} s: {_counts(after.items())}")


def _submit(cluster: Deployed, prefix: str, through: str, ms: int, every_s: float, **more: Any) -> list[str]:
    tasks = [f"{prefix}-{number}" for number in range(TASKS)]
    for task in tasks:
        cluster.submit(task, TYPE, "sleep", {"ms": ms}, through=through, settle=False, **more)
        time.sleep(every_s)
    return tasks


def _even(cluster: Deployed, total: int) -> dict[str, int] | None:
    """Return the agents of each node, once they differ by at most one and no agent is being moved, which would count on both nodes."""
    used = _used(cluster)
    return used if sum(used.values()) == total and max(used.values()) - min(used.values()) <= 1 else None


def _used(cluster: Deployed) -> dict[str, int]:
    return {name: int(host["used"]) for name, host in sorted(cluster.pool()["hosts"].items())}


def _counts(items: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(items))
