"""Effect of links on packets, measured by bursts of numbered packets between the agents, under the rules that all traffic meets."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from ...agent_client.agents import ask, require
from ...cluster.cluster import Cluster
from ...topology.partitions import Edge

Seen = Mapping[str, Any]
"""What arrived over a link, as the agents sum it up (`agent/network/burst.py`), with delays by one clock; `error_ns` is the error of these."""

SETTLE_S = 0.1
SETTLES, SAME = 30, 3
"""Queries after everything should have arrived: at most this many, until this many agree and no sender is late."""
CLOCK_ROUNDS = 4
PACKETS_A_SECOND = 10_000
"""Over the whole cluster; bursts over many links take longer, so that probing does not become the load."""


def burst(
    cluster: Cluster,
    edges: Sequence[Edge],
    count: int,
    every_ns: int,
    late_ns: int = 0,
    size: int = 0,
    number: int | None = None,
) -> dict[Edge, Seen | None]:
    """Send `count` packets over each link, one each `every_ns` or more, and return what came within `late_ns` of the last; None where nothing did. `size` is
    in bytes, 0 for the smallest.
    """
    number = secrets.randbits(32) if number is None else number
    late_ns += cluster.late_ns
    every_ns = max(every_ns, len(edges) * 1_000_000_000 // PACKETS_A_SECOND)
    sinks: dict[str, dict[str, int]] = {}
    for source, sink in edges:
        sinks.setdefault(source, {})[sink] = size
    requests = {
        source: {"do": "burst", "number": number, "sizes": sizes, "count": count, "every_ns": every_ns}
        for source, sizes in sinks.items()
    }
    require(ask(cluster.agents, requests), "sending bursts")
    time.sleep((count * every_ns + late_ns) / 1e9)
    _settle(cluster, {vertex for edge in edges for vertex in edge}, number, late_ns)
    return arrived(cluster, edges, number)


def _settle(cluster: Cluster, vertices: Set[str], number: int, late_ns: int) -> None:
    request = {"do": "arrived", "number": number, "counts": True}
    earlier: dict[str, int] = {}
    was_sending, same = False, 0
    for _ in range(SETTLES):
        time.sleep(SETTLE_S)
        answers = require(ask(cluster.agents, dict.fromkeys(vertices, request)), "counting what arrived")
        counts = {vertex: int(answer["arrived"]) for vertex, answer in answers.items()}
        is_sending = any(answer["sending"] for answer in answers.values())
        if was_sending and not is_sending:
            time.sleep(late_ns / 1e9)
        same = same + 1 if counts == earlier and not is_sending and not was_sending else 1
        if same == SAME:
            return
        earlier, was_sending = counts, is_sending


def arrived(cluster: Cluster, edges: Iterable[Edge], number: int) -> dict[Edge, Seen | None]:
    """Return what has arrived of a burst so far."""
    edges = list(edges)
    request = {"do": "arrived", "number": number}
    answers = require(ask(cluster.agents, {sink: request for _, sink in edges}), "reading what arrived")
    clocks = _clocks(cluster, sorted({vertex for edge in edges for vertex in edge}))
    found: dict[Edge, Seen | None] = {}
    for source, sink in edges:
        seen = answers[sink]["arrived"].get(source)
        found[source, sink] = None if seen is None else _by_one_clock(seen, clocks[source], clocks[sink])
    return found


def _by_one_clock(seen: Mapping[str, Any], source: tuple[int, int], sink: tuple[int, int]) -> Seen:
    ahead_ns, error_ns = sink[0] - source[0], sink[1] + source[1]
    return {
        **seen,
        **{name: seen[name] - ahead_ns for name in ("least_ns", "median_ns", "most_ns")},
        "error_ns": error_ns,
    }


def _clocks(cluster: Cluster, names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return each vertex's monotonic clock minus the harness's, and the error of that, in ns: the best of some answers."""
    best: dict[str, tuple[int, int]] = {}
    for _ in range(CLOCK_ROUNDS):
        for name in names:
            before_ns = time.monotonic_ns()
            answer = require(ask(cluster.agents, {name: {"do": "time"}}), "reading the clocks")[name]
            after_ns = time.monotonic_ns()
            offset_ns, error_ns = answer["mono_ns"] - (before_ns + after_ns) // 2, (after_ns - before_ns) // 2 + 1
            if name not in best or error_ns < best[name][1]:
                best[name] = offset_ns, error_ns
    return best
