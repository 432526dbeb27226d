"""Kills and pauses of the system's processes on a host."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from ....errors import TribulationError
from ....hosts.base import Host
from ...agent_client.agents import Json
from ...agent_client.desired_state import Want, of_nodes
from ...cluster.control import is_supervised
from ...faults.fault import Observation, Resolved
from ..base import Ground, Package, Probe
from . import outages, stillness

PROCESS_S = 2.0
RESTART_S = 30.0
"""A supervisor may wait a moment before it starts a process again."""
LOOK_S = 0.02
ASK_AGAIN_S = 0.25
"""How often the pid of a service without a supervisor is requested while it is not in the wanted state."""
MOST_NAMED = 20


def _from_outside(host: Host) -> str:
    return "by the lab's supervisor, which stops every process; on a lease"


class Kill(Package):
    kinds = ("kill",)

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        yield from of_nodes(fault.what["nodes"], "process", {"killed": True})
        if "slow_start_ns" in fault.what:
            yield from of_nodes(fault.what["nodes"], "slow_start", {"hold_ns": fault.what["slow_start_ns"]})

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        """Only an existing process can be verified as killed: a service may name a process of another system, or one that has ended."""
        if missing := _not_there(fault.what["nodes"], ground):
            ground.notes[fault.intent.id] = {"not_there_before": missing}
        return {"not_there_before": missing} if missing else {}

    def end(self, fault: Resolved, ground: Ground) -> Json:
        ground.missed.difference_update(fault.what["nodes"])
        ground.notes[fault.intent.id] = {"began_s": time.monotonic()}
        return {}

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        if on and (missing := ground.notes.get(fault.intent.id, {}).get("not_there_before")):
            nodes = [name for name in fault.what["nodes"] if name not in missing]
            return Observation(False, {"nodes": nodes})
        down = ground.force.killed | ground.force.off
        if not on and "slow_start_ns" in fault.what:
            return _look_at_slow_start(fault, ground)
        # The agent answers after it saw them end; to come back takes longer.
        wait_s = PROCESS_S if on else RESTART_S
        seen = states(
            ground, fault.what["nodes"], lambda name, seen: is_gone(seen) if name in down else is_there(seen), wait_s
        )
        return _noted(fault, ground, seen) if on else seen

    def unheld(self, fault: Resolved, ground: Ground) -> Mapping[str, list[str]]:
        return _unheld(fault, ground, is_gone)


class Pause(Package):
    """Of the system's processes, by the host's agent; `whole`: of the host with its agent, from outside (`outages`)."""

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
            # The kernel of a frozen host goes on; where clients are cut off, even that cannot be seen.
            silent = frozenset({stillness.NOTHING, stillness.KERNEL})
            return stillness.look(nodes, ground, silent) if on else verify_recovered(ground, nodes)
        seen = states(ground, fault.what["nodes"], lambda name, seen: _as_paused(name, seen, ground), PROCESS_S)
        return _noted(fault, ground, seen) if on else seen

    def unheld(self, fault: Resolved, ground: Ground) -> Mapping[str, list[str]]:
        """A process that has ended meanwhile serves no client either."""
        return _unheld(fault, ground, lambda seen: is_stopped(seen) or is_gone(seen))


def _not_there(names: list[str], ground: Ground) -> list[str]:
    """Return nodes where no process of the system is found before a kill. Those that a fault keeps down are skipped; a supervisor may be starting one
    just now.
    """
    cluster = ground.cluster
    asked = [name for name in names if name not in ground.force.killed | ground.force.off]
    if is_supervised(cluster.service) or not asked:
        return []
    missing = [name for name, seen in cluster.processes_of(asked).items() if is_gone(seen)]
    if missing:
        cluster.await_pids(missing, PROCESS_S)
        missing = [name for name, seen in cluster.processes_of(missing).items() if is_gone(seen)]
    return missing


def _noted(fault: Resolved, ground: Ground, seen: Observation) -> Observation:
    ground.notes.setdefault(fault.intent.id, {"seen": seen.observed["nodes"]})
    return seen


def _unheld(fault: Resolved, ground: Ground, right: Callable[[Json], bool]) -> dict[str, list[str]]:
    names = [name for name in ground.notes.get(fault.intent.id, {}).get("seen", ()) if name not in ground.force.off]
    # A process with another pid may have been started.
    ground.cluster.refresh_pids(names)
    seen = ground.cluster.processes_of(names)
    return {name: _cut([*seen[name]["running"], *seen[name]["stopped"]]) for name in names if not right(seen[name])}


def states(
    ground: Ground,
    names: list[str],
    right: Callable[[str, Json], bool],
    timeout_s: float | None = None,
    of: str | None = None,
) -> Observation:
    """The systems of these nodes, looked at until each is right or the time (`RESTART_S`) is over. A host without power has none.

    `states` are those of the processes that the services name, `processes_of` counts all that belong to them, `unlike` names those that are in another state. `of` names one of
    several processes of a host.
    """
    began_s = time.monotonic()
    timeout_s = RESTART_S if timeout_s is None else timeout_s
    again_s = began_s + ASK_AGAIN_S
    while True:
        seen = ground.cluster.processes_of(names, of)
        good = [name for name in names if right(name, seen[name])]
        now_s = time.monotonic()
        wait_s = min(PROCESS_S, timeout_s) if ground.missed.issuperset(set(names) - set(good)) else timeout_s
        if len(good) == len(names) or now_s >= began_s + wait_s:
            break
        if now_s >= again_s:
            # A service may know the process that it started only after a while.
            ground.cluster.refresh_pids([name for name in names if name not in good])
            again_s = time.monotonic() + ASK_AGAIN_S
        time.sleep(LOOK_S)
    if timeout_s >= RESTART_S and of is None:
        ground.missed |= {name for name in names if name not in good and is_gone(seen[name])}
    told: dict[str, Any] = {name: seen[name]["state"] or "gone" for name in names}
    counts = {name: len(seen[name]["running"]) + len(seen[name]["stopped"]) for name in names}
    unlike = {name: others for name in names if (others := _unlike(seen[name]))}
    verified = bool(names) and len(good) == len(names)
    return Observation(
        verified, {"nodes": good, "states": told, "processes_of": counts, **({"unlike": unlike} if unlike else {})}
    )


def _unlike(seen: Json) -> list[str]:
    if not is_there(seen):
        others = [*seen["running"], *seen["stopped"]]
    else:
        others = seen["running" if seen["state"] in "Tt" else "stopped"]
    return _cut(others)


def _cut(others: list[str]) -> list[str]:
    return others[:MOST_NAMED] + ([f"and {len(others) - MOST_NAMED} more"] if len(others) > MOST_NAMED else [])


def _look_at_slow_start(fault: Resolved, ground: Ground) -> Observation:
    """Return how long each is held, and when it is ready, both from when the heal began to start it."""
    began_s, slow_s = float(ground.notes.pop(fault.intent.id)["began_s"]), fault.what["slow_start_ns"] / 1e9
    free = [
        name for name in fault.what["nodes"] if name not in ground.force.killed | ground.force.off | ground.force.paused
    ]
    held = states(ground, free, lambda name, seen: is_stopped(seen))
    seen = states(ground, free, lambda name, seen: is_running(seen), slow_s + RESTART_S)
    held_ms = round((time.monotonic() - began_s) * 1e3)
    try:
        for name in free:
            ground.cluster.service.wait_ready(ground.cluster.hosts[name], RESTART_S)
        ready_ms = round((time.monotonic() - began_s) * 1e3)
    except TribulationError as error:
        return Observation(False, {**seen.observed, "held_ms": held_ms, "not_ready": error.message})
    told = {"held_ms": held_ms, "ready_after_ms": ready_ms}
    return Observation(held.verified and seen.verified and held_ms >= slow_s * 1e3, {**seen.observed, **told})


def verify_recovered(ground: Ground, nodes: list[str]) -> Observation:
    """Verify that these hosts are on the network again, and their processes in the wanted state, after the hosts had been off or frozen."""
    links = stillness.look_recovered(nodes, ground)
    seen = states(ground, nodes, lambda name, process: _as_it_shall_be(name, process, ground))
    return Observation(links.verified and seen.verified, {**links.observed, **seen.observed})


def _as_it_shall_be(name: str, seen: Json, ground: Ground) -> bool:
    if name in ground.force.off | ground.force.killed:
        return is_gone(seen)
    return is_stopped(seen) if name in ground.force.paused else is_running(seen)


def is_running(seen: Json) -> bool:
    """All of it."""
    return is_there(seen) and seen["state"] not in "Tt" and not seen["stopped"]


def is_stopped(seen: Json) -> bool:
    """All of it."""
    return is_there(seen) and seen["state"] in "Tt" and not seen["running"]


def is_there(seen: Json) -> bool:
    return seen["pid"] is not None


def is_gone(seen: Json) -> bool:
    """All of it: a process that outlives its parent may still serve."""
    return seen["pid"] is None and not seen["running"] and not seen["stopped"]


def _as_paused(name: str, seen: Json, ground: Ground) -> bool:
    if not is_there(seen):
        # It cannot be paused while it is down, because of another fault or the system itself.
        return name not in ground.force.paused
    return is_stopped(seen) if name in ground.force.paused else is_running(seen)
