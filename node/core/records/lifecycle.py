"""Lifecycle of a member: one table of all transitions, for the application that refuses every other and for the machines that request them."""

from __future__ import annotations

from collections.abc import Mapping

DISCOVERING, JOINING, ACTIVE, SYNCING = "DISCOVERING", "JOINING", "ACTIVE", "SYNCING"
DEGRADED, LEAVING, FAILED, REMOVED = "DEGRADED", "LEAVING", "FAILED", "REMOVED"

TRANSITIONS: Mapping[str, tuple[str, ...]] = {
    DISCOVERING: (JOINING,),
    JOINING: (ACTIVE, REMOVED),
    ACTIVE: (SYNCING, DEGRADED, LEAVING),
    SYNCING: (ACTIVE,),
    DEGRADED: (ACTIVE, FAILED),
    LEAVING: (REMOVED,),
    FAILED: (JOINING, REMOVED),
    REMOVED: (),
}
"""`FAILED → JOINING` is the next incarnation, which replaces the one that failed. `JOINING → REMOVED`: a registration is taken back, because the node
was not heard of again. No record is DISCOVERING or REMOVED.
"""
HERE = (ACTIVE, SYNCING, DEGRADED, LEAVING)
"""States of the present members of the cluster: a joining node is not one yet, a failed one is not one any more."""


def step_towards(state: str, goal: str) -> str | None:
    """Return the next state on the shortest path to `goal` in the table, without a new incarnation. Example: from ACTIVE to FAILED the next state is
    DEGRADED. None: there is no path.
    """
    ways = [(state, "")]
    for at, first in ways:
        if at == goal:
            return first or None
        ways += [(to, first or to) for to in TRANSITIONS[at] if to != JOINING and all(to != known for known, _ in ways)]
    return None
