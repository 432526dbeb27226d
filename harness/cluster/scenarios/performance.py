"""Scenarios about the speed at which nodes are discovered and agents are spawned."""

from __future__ import annotations

from statistics import median

from ..deployed import Deployed
from ..scenario import Scenario
from ..waiting import expect
from .discovery import await_discovery
from .setups import TEN, THREE

DISCOVERED_MS, SPAWN_MS = 500, 200
SPAWNS = 20


def discover(cluster: Deployed) -> str:
    tenth = cluster.names[-1]
    cluster.start(tenth)
    took_ms = await_discovery(cluster, tenth)
    expect(
        took_ms < DISCOVERED_MS, f"{took_ms:.0f} ms from the first beacon until all {len(cluster.names)} were listed"
    )
    return f"{took_ms:.0f} ms from its first beacon until it listed all {len(cluster.names)}"


def spawn(cluster: Deployed) -> str:
    """Measured by the client: from the request to node 1 until the agent runs on node 2."""
    first, second = cluster.names[:2]
    took_ms = []
    for number in range(SPAWNS):
        agent = f"s20-a{number}"
        took_ms.append(cluster.spawn(agent, "code", second, through=first)[1])
        cluster.asker.do(first, "agents.stop", {"agent": agent})
    expect(
        max(took_ms) < SPAWN_MS,
        f"the slowest of {SPAWNS} took {max(took_ms):.0f} ms, the median {median(took_ms):.0f} ms",
    )
    return f"{SPAWNS} spawns: median {median(took_ms):.1f} ms, slowest {max(took_ms):.1f} ms"


SCENARIOS = (
    Scenario(19, "performance", "discover 10 nodes", f"< {DISCOVERED_MS} ms", TEN, discover, fresh=True),
    Scenario(20, "performance", "spawn on a remote node", f"< {SPAWN_MS} ms", THREE, spawn),
)
