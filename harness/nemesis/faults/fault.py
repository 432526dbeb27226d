"""Faults as data: what is intended, what it becomes when its targets are known, and what was then observed.

An *intent* is part of the plan and may be symbolic ("kill the leader"). It is *resolved* at run time, by a pure function of the intent and of
what is known then, into nodes and edges; the resolved form is recorded, so that replay and shrink can pin it. An *injector* carries it
out, verifies it and undoes it; the real cluster and the simulator each have one.

Kinds and their resolved form (`what`, JSON values):

| kind | `what` |
|---|---|
| `cut` | `{"edges": [["n1", "n2"], …]}`: packets from the first to the second vertex are dropped at the receiver |
| `link` | `{"edges": …, "loss_ppm", "duplicate_ppm", "reorder_ppm", "corrupt_ppm", "delay_ns", "jitter_ns", "rate_bps"}`, those that were asked for |
| `clog` | `{"edges": …}`: nothing arrives before the heal, everything after it |
| `flap` | `{"edges": …, "period_ns"}`: cut for the first half of each period |
| `reset` | `{"edges": [["n1", "n2"], …], "period_ns"}`: connections of these pairs break, now and each period |
| `kill` | `{"nodes": ["n2"]}`: SIGKILL now, started again at the heal; with `slow_start_ns` it is held for so long then |
| `pause` | `{"nodes": ["n2"]}`: SIGSTOP now, SIGCONT at the heal; `"whole": "host"`: everything on the host |
| `power` | `{"nodes": ["n2"]}`: no power now, booted at the heal; `"model": "journaled"` says what of the unsynced is lost (`power_models`), likewise of `disk` |
| `cpu` | `{"nodes": ["n2"], "share_ppm": 100000}`: of one processor |
| `memory` | `{"nodes": ["n2"], "limit_bytes": 67108864}`: killed where it needs more, and started again |
| `descriptors` | `{"nodes": ["n2"], "limit": 20}`: files and connections beyond these fail |
| `wipe` | `{"nodes": ["n2"], "calibration": true}`: an empty disk now, booted at the heal |
| `disk` | `{"nodes": ["n2"], "effect": "slow", "delay_ns": 50000000}` (`disk_effects` lists the effects); `calibration` when it was asked for |
| `clock` | `{"offsets_ns": {"n1": 60000000000}}`: wall clock offset while it lasts, monotonic time untouched; or `{"drift_ppm": {"n1": 500}}`, with `"monotonic": false` of the wall clock alone; or `{"strobe_ns": {"n1": 5000000000}, "period_ns"}` |
| `voters` | `{"voters": {"n5": 1}}`: weights to move to through the log (no heal) |
| `transfer` | `{"to": "n2"}`: the leader is asked to hand over to it, and nothing is undone at the heal |
| `membership` | `{"nodes": ["n2"], "action": "remove", "weights": {"n2": 1}}`: out of the voters now, back at the heal; `replace`: on an empty disk |
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

    `on` is what it waits for instead of its time (`triggers`): `{"event", "delay_ns", "rest_ns", "windows": [[first, last start], …]}`.
    """

    id: str
    kind: str
    parameters: Mapping[str, Any]
    at_ns: int
    for_ns: int | None
    key: str
    lane: str = ""
    on: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """What resolution may use: the nodes, the voters' weights, the leader (None without one), which nodes are up.

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
    """Result of an independent probe. `verified` is whether it matches what was intended; `observed` is JSON for the ledger."""

    verified: bool
    observed: Mapping[str, Any] = field(default_factory=dict)


def links_down(observation: Observation) -> list[tuple[str, str]]:
    """From the observation after the final heal, return the links over which nothing came between hosts that run. In the simulator, where processes are
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
    """Carries out faults on one kind of cluster. Each call blocks until verified or its deadline passed; raises `FaultError`."""

    def situation(self) -> Situation: ...

    def steady(self, intent: Intent) -> AbstractContextManager[object]:
        """While it is held no other fault begins or ends, so that a target is still valid when it is hit."""
        ...

    def inject(self, fault: Resolved) -> Observation: ...

    def heal(self, fault: Resolved) -> Observation: ...

    def heal_all(self) -> Observation:
        """Undo everything that may still be active, known or not, and verify that the cluster is healthy."""
        ...
