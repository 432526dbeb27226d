"""Scenarios about agents' memory: syncs of all or only new episodes, and changes made at the same time.

Syncs are measured from the nodes' own traces: a `memory-synced` line has the peer, the number of records, their bytes and the duration.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

from ..asking import Asker, Refused
from ..deployed import Deployed
from ..scenario import Scenario
from ..setup import CLUSTER
from ..waiting import expect
from .setups import MEMORY, PERIODIC

SYNC_S, LEARN_S = 20.0, 60.0
LEARNERS = 8
"""The number of connections for adding episodes, because each waits for the disk."""


def ask(cluster: Deployed, node: str, operation: str, **fields: Any) -> Mapping[str, Any]:
    answer = cluster.asker.ask(node, {"memory": operation, **fields})
    if answer.get("status") != "ok":
        raise Refused(node, f"memory {operation}", answer)
    return answer


def learn(cluster: Deployed, node: str, prefix: str, count: int) -> None:
    """Add this number of new episodes on this node."""

    def some(start: int) -> None:
        asker = Asker(CLUSTER, cluster.dial)
        try:
            for number in range(start, count, LEARNERS):
                fields = {
                    "goal": f"goal {number} of {prefix}",
                    "outcome": "done",
                    "quality": 0.5,
                    "agents": [f"a{number % 7}"],
                    "modalities_in": ["text"],
                    "duration_ms": number,
                }
                body = {"memory": "change", "kind": "episode", "record": f"{prefix}-{number}", "fields": fields}
                answer = asker.ask(node, body, LEARN_S)
                if answer.get("status") != "ok":
                    raise Refused(node, "memory change", answer)
        finally:
            asker.close()

    with ThreadPoolExecutor(LEARNERS) as pool:
        list(pool.map(some, range(LEARNERS)))


def synced(cluster: Deployed, node: str) -> list[dict[str, Any]]:
    return cluster.traces(node, "memory-synced")


def sync(cluster: Deployed, node: str, source: str) -> dict[str, Any]:
    """Request a sync from `source`, and return this node's trace line about it."""
    before = len(synced(cluster, node))
    ask(cluster, node, "sync", **{"from": source})

    def done() -> dict[str, Any] | None:
        found = [line for line in synced(cluster, node)[before:] if line["peer"] == source]
        return found[0] if found else None

    return cluster.until(f"{node} to have synced from {source}", done, SYNC_S)


def digests(cluster: Deployed, names: list[str]) -> dict[str, str]:
    return {name: str(ask(cluster, name, "digest")["digest"]) for name in names}


def same(cluster: Deployed, names: list[str]) -> str:
    found = digests(cluster, names)
    expect(len(set(found.values())) == 1, f"the digests are {found}")
    return found[names[0]]


def full_state(cluster: Deployed) -> str:
    first, late = cluster.names[0], cluster.learners[0]
    learn(cluster, first, "s8", 500)
    cluster.start(late)
    cluster.settle([late], SYNC_S)
    line = cluster.until(
        f"{late} to have a first sync that brings something",
        lambda: next((line for line in synced(cluster, late) if line["records"]), None),
        SYNC_S,
    )
    if line["peer"] != first:
        line = sync(cluster, late, first)
    digest = same(cluster, [first, late])
    return f"{line['records']} records, {line['bytes'] / 1e3:.0f} kB of TRMM, in {line['took_ns'] / 1e6:.0f} ms; digest {digest[:8]} on both"


def ten_new(cluster: Deployed) -> str:
    first, second = cluster.names[:2]
    learn(cluster, first, "s9-old", 500)
    whole = sync(cluster, second, first)
    learn(cluster, first, "s9-new", 10)
    line = sync(cluster, second, first)
    expect(line["records"] == 10, f"{line['records']} records crossed the wire, not 10")
    same(cluster, [first, second])
    return f"a delta of exactly 10 episodes, {line['bytes']} bytes, after a first sync of {whole['records']} in {whole['bytes']} bytes"


def both_changed(cluster: Deployed) -> str:
    first, second, third = cluster.names[:3]
    learn(cluster, first, "s10", 1)
    record = {"kind": "episode", "record": "s10-0"}
    sync(cluster, second, first)
    sync(cluster, third, first)
    ask(cluster, first, "change", **record, fields={"outcome": "found on the first", "agents": ["first"]})
    ask(cluster, second, "change", **record, fields={"outcome": "found on the second", "agents": ["second"]})
    for node, source in ((first, second), (second, first), (third, first)):
        sync(cluster, node, source)
    noticed = [name for name in (first, second) if cluster.traces(name, "memory-conflict")]
    expect(bool(noticed), "no node traced a conflict")
    names = [first, second, third]
    same(cluster, names)
    shown = [ask(cluster, name, "get", **record)["record"] for name in names]
    expect(shown[0] == shown[1] == shown[2], f"the record is read as {shown}")
    both = shown[0]["conflicts"]["outcome"]
    expect(sorted(both) == ["found on the first", "found on the second"], f"the outcomes are {both}")
    expect({"first", "second"} <= set(shown[0]["fields"]["agents"]), f"the agents are {shown[0]['fields']['agents']}")
    return f"concurrency seen by {', '.join(noticed)}; both outcomes kept, sets united, alike on {len(names)} nodes"


def periodic(cluster: Deployed) -> str:
    first = cluster.names[0]
    before = {name: len(synced(cluster, name)) for name in cluster.names}
    learn(cluster, first, "s11", 5)
    time.sleep(15.0)
    fired = {name: len(synced(cluster, name)) - count for name, count in before.items()}
    expect(all(fired.values()), f"syncs within 15 s: {fired}")
    lines = synced(cluster, first)
    gaps = [(b["mono_ns"] - a["mono_ns"]) / 1e9 for a, b in pairwise(lines)]
    since = f", {gaps[-1]:.1f} s after the one before" if gaps else ""
    return f"within 15 s {', '.join(f'{name} synced {count} time(s)' for name, count in fired.items())}{since}"


def thousand(cluster: Deployed) -> str:
    first, _, third = cluster.names[:3]
    learn(cluster, first, "s21", 1000)
    line = sync(cluster, third, first)
    expect(line["records"] >= 1000, f"{line['records']} records crossed the wire")
    rate = line["records"] / (line["took_ns"] / 1e9)
    expect(rate > 100, f"{rate:.0f} episodes/s")
    same(cluster, [first, third])
    return f"{line['records']} episodes in {line['took_ns'] / 1e6:.0f} ms: {rate:.0f} episodes/s"


def readable(cluster: Deployed) -> str:
    first, second, third = cluster.names[:3]
    record = {"kind": "episode", "record": "s24"}
    began_s = time.monotonic()
    ask(cluster, first, "change", **record, fields={"goal": "to be known to all"}, level="quorum")
    elapsed_ms = (time.monotonic() - began_s) * 1e3
    for name in (second, third):
        found = ask(cluster, name, "get", **record, level="quorum")["record"]
        expect(found is not None and found["fields"]["goal"] == "to be known to all", f"{name} reads {found}")
        sync(cluster, name, first)
        here = ask(cluster, name, "get", **record)["record"]
        expect(here == found, f"{name} has {here} itself")
    return f"written to a quorum in {elapsed_ms:.1f} ms; read on {second} and {third}, by quorum at once and on themselves after a sync"


SCENARIOS = (
    Scenario(
        8,
        "sync",
        "a new node needs the full state",
        "TRMM snapshot transferred, equal digest",
        MEMORY,
        full_state,
        fresh=True,
    ),
    Scenario(9, "sync", "10 new episodes since the last sync", "a delta with exactly 10 episodes", MEMORY, ten_new),
    Scenario(
        10,
        "sync",
        "the same episode updated on 2 nodes",
        "concurrency detected, resolved alike everywhere",
        MEMORY,
        both_changed,
    ),
    Scenario(11, "sync", "interval 10 s, 15 s pass", "the periodic sync fired", PERIODIC, periodic),
    Scenario(21, "performance", "sync 1 000 episodes", "> 100 episodes/s", MEMORY, thousand),
    Scenario(24, "integration", "an episode learned on node 1", "readable on nodes 2 and 3", MEMORY, readable),
)
