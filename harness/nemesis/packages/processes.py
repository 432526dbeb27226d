"""The tested process is ended, or stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from ...hosts.base import Host
from .. import outages, stillness
from ..agents import Json
from ..faults import Observation, Resolved
from ..wanted import Want, of_nodes
from .base import Ground, Package, Probe

PROCESS_S = 2.0
RESTART_S = 10.0
"""A supervisor may wait a moment before it starts a process again."""
LOOK_S = 0.02


def _from_outside(host: Host) -> str:
    return "by the lab's supervisor, which stops every process; on a lease"


class Kill(Package):
    kinds = ("kill",)

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        return of_nodes(fault.what["nodes"], "process", {"killed": True})

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        down = ground.force.killed | ground.force.off
        return states(ground, fault.what["nodes"], lambda name, seen: (seen["pid"] is None) == (name in down))


class Pause(Package):
    """Of the process alone, by the host's agent; `whole`, of the host with its agent, from outside (`outages`)."""

    kinds = ("pause",)
    abilities: ClassVar[Mapping[str, Probe]] = {"freeze": _from_outside}

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        if "whole" in fault.what:
            return ()
        return of_nodes(fault.what["nodes"], "process", {"paused": True})

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        if "whole" in fault.what:
            outages.freeze(ground, [name for name in fault.what["nodes"] if name not in ground.cluster.off])
        return {}

    def end(self, fault: Resolved, ground: Ground) -> Json:
        if "whole" in fault.what:
            outages.bring_back(ground, set(fault.what["nodes"]) - ground.force.off)
        return {}

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        if "whole" in fault.what:
            nodes: list[str] = fault.what["nodes"]
            # Of a host that is frozen the kernel goes on; where clients are cut off, even that cannot be seen.
            silent = frozenset({stillness.NOTHING, stillness.KERNEL})
            return stillness.look(nodes, ground, silent) if on else whether_back(ground, nodes)
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


def whether_back(ground: Ground, nodes: list[str]) -> Observation:
    """Whether these hosts are on the network again, and their processes as they shall be, after the hosts had been off or frozen."""
    links = stillness.look_whether_back(nodes, ground)
    seen = states(ground, nodes, lambda name, process: _as_it_shall_be(name, process, ground))
    return Observation(links.verified and seen.verified, {**links.observed, **seen.observed})


def _as_it_shall_be(name: str, seen: Json, ground: Ground) -> bool:
    if name in ground.force.off | ground.force.killed:
        return seen["pid"] is None
    return seen["pid"] is not None and (seen["state"] in "Tt") == (name in ground.force.paused)


def is_running(seen: Json) -> bool:
    return seen["pid"] is not None and seen["state"] not in "Tt"


def _as_paused(name: str, seen: Json, ground: Ground) -> bool:
    if seen["pid"] is None:
        # It cannot be stopped while it is down; another fault's doing, or the system's.
        return name not in ground.force.paused
    return (seen["state"] in "Tt") == (name in ground.force.paused)
