"""Triggers: events that may start a fault at the worst moment.

    - kill: {target: leader, on: leader-elected, after: 5ms, for: 2s, times: 3}
    - pause: {target: trigger, on: snapshot-begun, for: 1s}

A plan has the intent with its event (`Intent.on`); the time and node of the event are in the resolved form. Replay and shrink replace it by the
time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .fault import Intent, Resolved, Situation

EVENTS: Mapping[str, str] = {
    "leader-elected": "a node won an election",
    "commit-advanced": "the leader found more entries on a quorum",
    "snapshot-begun": "a node began to write a snapshot, its own or its leader's",
}
"""Events that may start a fault. Each is about one node: target `trigger`."""

RESERVED = frozenset({"migration-half-done"})
"""Events of mechanisms that the reference node does not have yet."""

TRACED: Mapping[str, str] = {"leader": "leader-elected", "commit": "commit-advanced"}
"""The events that a line of a node's trace shows, by the line's `event`."""

SPARE_NS = 50_000_000
"""On hosts at most one event of a name from a node in this time: a busy leader's commits are too frequent."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One of the events, at a run time."""

    event: str
    node: str
    at_ns: int


OF_THE_LEADER = frozenset({"leader-elected", "commit-advanced"})
"""Events whose node leads."""


def situated(situation: Situation, happened: Happened | None) -> Situation:
    """Return the situation at the moment of the event, as far as the event determines it."""
    if happened is None:
        return situation
    leader = happened.node if happened.event in OF_THE_LEADER else situation.leader
    return replace(situation, leader=leader, trigger=happened.node)


def knows(happened: Happened, intent: Intent) -> bool:
    """Return whether the event alone determines the intent's target."""
    target = intent.parameters.get("target")
    return isinstance(target, list) or target == "trigger" or (target == "leader" and happened.event in OF_THE_LEADER)


def set_off(resolved: Resolved, happened: Happened | None) -> Resolved:
    """Return the fault with the event that set it off, for the ledger."""
    if happened is None:
        return resolved
    trigger = {"event": happened.event, "node": happened.node, "at_ns": happened.at_ns}
    return Resolved(resolved.intent, {**resolved.what, "trigger": trigger})


def latency(fault: Resolved, injected_ns: int) -> dict[str, Any]:
    """Return how long after its event a fault that waited for one was active; nothing for others."""
    trigger = fault.what.get("trigger")
    return {} if trigger is None else {"trigger_to_inject_ms": round((injected_ns - trigger["at_ns"]) / 1e6, 3)}


def may_start(on: Mapping[str, Any], at_ns: int) -> bool:
    """Return whether a fault that starts then ends before the load does, and touches no recovery window."""
    windows: Sequence[Sequence[int]] = on["windows"]
    return any(first_ns <= at_ns <= last_ns for first_ns, last_ns in windows)
