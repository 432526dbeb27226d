"""Scenarios about what agents remember. There is no agent memory yet: they are listed, and nothing is said of them."""

from __future__ import annotations

from ..scenario import Scenario

WAITS_FOR = "agent memory"

SCENARIOS = (
    Scenario(
        8, "sync", "a new node needs the full state", "TRMM snapshot transferred, equal digest", waits_for=WAITS_FOR
    ),
    Scenario(9, "sync", "10 new episodes since the last sync", "a delta with exactly 10 episodes", waits_for=WAITS_FOR),
    Scenario(
        10,
        "sync",
        "the same episode updated on 2 nodes",
        "concurrency detected, resolved alike everywhere",
        waits_for=WAITS_FOR,
    ),
    Scenario(11, "sync", "interval 10 s, 15 s pass", "the periodic sync fired", waits_for=WAITS_FOR),
    Scenario(21, "performance", "sync 1 000 episodes", "> 100 episodes/s", waits_for=WAITS_FOR),
    Scenario(24, "integration", "an episode learned on node 1", "readable on nodes 2 and 3", waits_for=WAITS_FOR),
)
