"""The clusters that the scenarios need. Agents are moved for balance only in the scenario about balance."""

from __future__ import annotations

from ..setup import Setup

STILL = {"balance_ns": 0, "checkpoint_ns": 500_000_000, "probe_ns": 250_000_000}
QUICK = {"beacon_ns": 250_000_000}
SCALE = 10
"""The factor by which the published times of the plain heartbeat, 5 s and 30 s, are shortened, so that no scenario waits for half a minute."""
HEARTBEAT_NS, SILENCE_NS = 5_000_000_000 // SCALE, 30_000_000_000 // SCALE

THREE = Setup("three nodes", voters=3, membership=QUICK, agents=STILL)
FOUR = Setup("three nodes and one that joins", voters=3, learners=1, late=1, membership=QUICK, agents=STILL)
FIVE = Setup("five nodes", voters=5, membership=QUICK, agents=STILL)
MEMORY = Setup(
    "three nodes with memory and one that joins",
    voters=3,
    learners=1,
    late=1,
    membership=QUICK,
    agents=STILL,
    memory={"sync": "on_demand"},
)
PERIODIC = Setup("three nodes that sync every 10 s", voters=3, membership=QUICK, agents=STILL, memory={})
HEARTBEAT = Setup(
    "three nodes with the plain heartbeat",
    voters=3,
    membership={**QUICK, "detector": "heartbeat", "heartbeat_ns": HEARTBEAT_NS, "silence_ns": SILENCE_NS},
    agents=STILL,
)
SWIM = Setup(
    "three nodes with SWIM",
    voters=3,
    membership={**QUICK, "detector": "swim"},
    agents=STILL,
)
UNEVEN = Setup(
    "three nodes that are balanced",
    voters=3,
    membership={**QUICK, "capacity": {"slots": 10}},
    agents={**STILL, "balance_ns": 5_000_000_000, "balance_percent": 20},
)
TEN = Setup("ten nodes", voters=5, learners=5, late=1, membership={"beacon_ns": 250_000_000}, agents=STILL)
