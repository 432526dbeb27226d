"""Placement of tasks and agents when links and nodes differ. Packet faults make the links differ."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from ..deployed import Deployed
from ..scenario import Scenario
from ..waiting import expect
from .setups import FIVE, UNEVEN

TRIES = 6
MEASURED_S = 30.0
"""How long a smoothed measurement may take to approach the values of the links."""


def latency(cluster: Deployed) -> str:
    """Node 1 submits and has no agent of its own; half of each round trip is made on the way there, half on the way back."""
    first, *others = cluster.names[:4]
    wanted_ms = dict(zip(others, (5, 50, 10), strict=True))
    lead(cluster, first)
    for name in others:
        cluster.spawn(f"s16-{name}", "vision", name)
    with ExitStack() as stack:
        for name, rtt_ms in wanted_ms.items():
            stack.enter_context(cluster.fault("link", edges=_both(first, name), delay_ns=rtt_ms * 500_000))
        measured_ms = cluster.until(
            f"{first} to measure {wanted_ms}",
            lambda: measured_rtts(cluster, first, wanted_ms),
            MEASURED_S,
            seen=lambda: cluster.status(first).get("rtt_ns"),
        )
        hosts = _routed(cluster, "s16", "latency-aware", first, size=100)
    nearest = others[0]
    expect(set(hosts) == {nearest}, f"the nearest is {nearest}, but tasks ran on {hosts}")
    text = ", ".join(f"{name} {ms:.1f}" for name, ms in measured_ms.items())
    return f"measured RTTs in ms: {text}; {len(hosts)} of {len(hosts)} tasks ran on {nearest}"


def bandwidth(cluster: Deployed) -> str:
    first, *others = cluster.names[:4]
    wanted_mbit = dict(zip(others, (10, 100, 10), strict=True))
    lead(cluster, first)
    for name in others:
        cluster.spawn(f"s17-{name}", "voice", name)
    with ExitStack() as stack:
        for name, rate in wanted_mbit.items():
            stack.enter_context(cluster.fault("link", edges=_both(first, name), rate_bps=rate * 1_000_000))
        fast = others[1]
        measured = cluster.until(
            f"{first} to measure that {fast} has most",
            lambda: _bandwidths(cluster, first, fast),
            MEASURED_S,
            seen=lambda: cluster.status(first).get("bandwidth_bps"),
        )
        hosts = _routed(cluster, "s17", "bandwidth-aware", first, size=500_000)
    expect(set(hosts) == {fast}, f"{fast} has 100 Mbit/s, the others 10, but tasks of 500 KB ran on {hosts}")
    text = ", ".join(f"{name} {mbit:.0f}" for name, mbit in measured.items())
    return f"measured Mbit/s: {text}; {len(hosts)} of {len(hosts)} tasks of 500 KB ran on {fast}"


def balance(cluster: Deployed) -> str:
    """Check that agents move until the load is even between nodes with ten places each: nine agents on node 1, two on node 2, five on node 3."""
    counts = dict(zip(cluster.names, (9, 2, 5), strict=True))
    wanted = {name: 10 * count for name, count in counts.items()}
    before = _place(cluster, counts)
    tries = 1
    while before != wanted and tries < TRIES:
        # The leader looked in the middle of it, and began to even out what was not there yet.
        cluster.clear()
        before = _place(cluster, counts)
        tries += 1
    expect(
        before == wanted, f"placed were {counts}, of ten places each; but utilisations were {_percents(before)} at once"
    )
    began_s = time.monotonic()
    threshold = int(cluster.setup.agents["balance_percent"])
    after = cluster.until(
        f"utilisations within {threshold} %",
        lambda: _even(cluster, sum(counts.values()), threshold),
        60.0,
        seen=lambda: _utilisation(cluster.pool()),
    )
    took_s = time.monotonic() - began_s
    moved = [agent for agent, record in cluster.pool()["agents"].items() if record["host"] != agent.split("-")[1]]
    expect(bool(moved), "no agent was moved")
    return f"{_percents(before)} → {_percents(after)} by {len(moved)} migrations in {took_s:.1f} s"


def _place(cluster: Deployed, counts: Mapping[str, int]) -> dict[str, int]:
    """Spawn these numbers of agents, and return the utilisations."""
    for name, count in counts.items():
        for number in range(count):
            fields = {"agent": f"s18-{name}-{number}", "type": "generic", "on": name}
            cluster.asker.do(cluster.names[0], "agents.spawn", fields)
    return _utilisation(cluster.pool())


def lead(cluster: Deployed, name: str) -> None:
    """The leader routes by its own measurements, so the leader must be the node whose links are shaped."""

    def leads() -> bool:
        leader = cluster.leader()
        if leader not in (None, name):
            cluster.asker.ask(str(leader), {"admin": "transfer", "to": name, "deadline_ms": 2000}, 2.0)
        return leader == name

    cluster.until(f"{name} to lead", leads, 20.0)


def _both(a: str, b: str) -> list[list[str]]:
    return [[a, b], [b, a]]


def measured_rtts(cluster: Deployed, node: str, wanted_ms: Mapping[str, int]) -> dict[str, float] | None:
    """Round trips in ms, once none is shorter than its link (apart from smoothing) and they have the order of the links: a busy machine adds to each."""
    rtts = cluster.status(node).get("rtt_ns") or {}
    found = {name: rtts.get(name, 0) / 1e6 for name in wanted_ms}
    shaped = all(found[name] >= 0.95 * ms for name, ms in wanted_ms.items())
    ordered = sorted(found, key=lambda name: found[name]) == sorted(wanted_ms, key=lambda name: wanted_ms[name])
    return found if shaped and ordered else None


def _bandwidths(cluster: Deployed, node: str, fast: str) -> dict[str, float] | None:
    """Bandwidths in Mbit/s, once the fast link is measured as three times as fast as any other."""
    measured: Mapping[str, Any] = cluster.status(node).get("bandwidth_bps") or {}
    found = {name: value * 8 / 1e6 for name, value in measured.items() if name in cluster.names[1:4]}
    if len(found) < 3:
        return None
    return found if all(found[fast] > 3 * value for name, value in found.items() if name != fast) else None


def _routed(cluster: Deployed, prefix: str, strategy: str, through: str, *, size: int) -> list[str]:
    """Run five tasks one after the other, and return their nodes."""
    type_ = "vision" if prefix == "s16" else "voice"
    return [
        str(
            cluster.submit(
                f"{prefix}-t{number}", type_, "echo", {"say": number}, through=through, strategy=strategy, size=size
            )["record"]["host"]
        )
        for number in range(5)
    ]


def _utilisation(pool: Mapping[str, Any]) -> dict[str, int]:
    return {name: round(100 * host["used"] / max(1, host["slots"])) for name, host in sorted(pool["hosts"].items())}


def _even(cluster: Deployed, count: int, threshold: int) -> dict[str, int] | None:
    pool = cluster.pool()
    at_rest = len(pool["agents"]) == count and all(
        record["state"] == "running" and not record.get("moving") for record in pool["agents"].values()
    )
    found = _utilisation(pool)
    return found if at_rest and found and max(found.values()) - min(found.values()) <= threshold else None


def _percents(utilisation: Mapping[str, int]) -> str:
    return " / ".join(f"{percent} %" for percent in utilisation.values())


SCENARIOS = (
    Scenario(16, "load", "RTTs 5, 50, 10 ms", "latency-aware picks the 5 ms node", FIVE, latency),
    Scenario(17, "load", "500 KB payload, one 100 Mbit/s node", "bandwidth-aware picks the fast node", FIVE, bandwidth),
    Scenario(18, "load", "utilisation 90 % and 20 %", "rebalance migrates agents until it is even", UNEVEN, balance),
)
