"""The tested process is ended, or stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from ..agents import Json
from ..faults import Observation, Resolved
from ..wanted import Want, of_nodes
from .base import Ground, Package

PROCESS_S = 2.0
RESTART_S = 10.0
"""A supervisor may wait a moment before it starts a process again."""
LOOK_S = 0.02


class Kill(Package):
    kinds = ("kill",)

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        return of_nodes(fault.what["nodes"], "process", {"killed": True})

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        down = ground.force.killed | ground.force.off
        return states(ground, fault.what["nodes"], lambda name, seen: (seen["pid"] is None) == (name in down))


class Pause(Package):
    kinds = ("pause",)

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        return of_nodes(fault.what["nodes"], "process", {"paused": True})

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        return states(ground, fault.what["nodes"], lambda name, seen: _as_paused(name, seen, ground), PROCESS_S)


def states(
    ground: Ground, names: list[str], right: Callable[[str, Json], bool], timeout_s: float = RESTART_S
) -> Observation:
    """The processes of these nodes, looked at until each is right or the time is over. A host without power has none."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        seen = ground.cluster.processes_of(names)
        good = [name for name in names if right(name, seen[name])]
        if len(good) == len(names) or time.monotonic() >= deadline_s:
            break
        time.sleep(LOOK_S)
    told: dict[str, Any] = {name: seen[name]["state"] or "gone" for name in names}
    return Observation(bool(names) and len(good) == len(names), {"nodes": good, "states": told})


def is_running(seen: Json) -> bool:
    return seen["pid"] is not None and seen["state"] not in "Tt"


def _as_paused(name: str, seen: Json, ground: Ground) -> bool:
    if seen["pid"] is None:
        # It cannot be stopped while it is down; another fault's doing, or the system's.
        return name not in ground.force.paused
    return (seen["state"] in "Tt") == (name in ground.force.paused)
