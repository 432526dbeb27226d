"""Faults as data: the intended form, the resolved form with known targets, and the observation.

An *intent* is part of the plan and may be symbolic ("kill the leader"). It is *resolved* at run time, by a pure function of the intent and of
the current situation, into nodes and edges; the resolved form is recorded, so that replay and shrink can pin it. An *injector* carries it
out, verifies it and undoes it; the real cluster and the simulator each have one.

The resolved form (`what`, JSON values) is described in each kind's module (`..kinds`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

CLIENTS = "clients"
"""The vertex of the network graph that stands for all clients."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A planned fault: `parameters` are the campaign's (shape, target, offset, …).

    `at_ns` is run time. `for_ns` is how long it lasts; None means until the final heal. `key` names the random numbers that resolve it, so that
    removing another intent leaves this one unchanged. Of those that share a `lane`, one is active at a time: it waits for the others.

    `on` is the event that it waits for instead of its time (`triggers`): `{"event", "delay_ns", "rest_ns", "windows": [[first, last start], …]}`.
    `drawn`: a search drew it at random; no user requested this particular fault.
    """

    id: str
    kind: str
    parameters: Mapping[str, Any]
    at_ns: int
    for_ns: int | None
    key: str
    lane: str = ""
    on: Mapping[str, Any] | None = None
    drawn: bool = False


@dataclass(frozen=True, slots=True)
class Situation:
    """The input of resolution: the nodes, the voters' weights, the leader (None without one), which nodes are up.

    `trigger` is the node of the event that set the fault off, if one did. `roles` requests the roles of the nodes that are up: only when a target
    needs it, since that takes time. `former` is the previous leader, where known.
    """

    nodes: Sequence[str]
    voters: Mapping[str, int]
    leader: str | None
    up: Sequence[str]
    trigger: str | None = None
    roles: Callable[[], Mapping[str, str]] = field(default=dict, compare=False)
    former: str | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    intent: Intent
    what: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Observation:
    """Result of an independent probe. `verified` is whether it matches the intended state; `observed` is JSON for the ledger."""

    verified: bool
    observed: Mapping[str, Any] = field(default_factory=dict)


def links_down(observation: Observation) -> list[tuple[str, str]]:
    """Return the links between running hosts over which nothing arrived, by the observation after the final heal. In the simulator, where processes are
    the hosts, links of one that does not run are no evidence.
    """
    seen = observation.observed
    running = seen.get("processes")
    edges = [*seen.get("down_but_not_cut", ()), *seen.get("unreachable", ())]
    return [
        (source, target)
        for source, target in edges
        if running is None or all(running.get(node, "running") == "running" for node in (source, target))
    ]


class Injector(Protocol):
    """Injector of faults into one kind of cluster. Each call blocks until verified or its deadline passed; raises `FaultError`."""

    def situation(self) -> Situation: ...

    def steady(self, intent: Intent) -> AbstractContextManager[object]:
        """While this lock is held, no other fault begins or ends, so that a target is still valid at the injection."""
        ...

    def inject(self, fault: Resolved) -> Observation: ...

    def heal(self, fault: Resolved) -> Observation: ...

    def heal_all(self) -> Observation:
        """Undo everything that may still be active, known or not, and verify that the cluster is healthy."""
        ...
