"""Observation of the system's processes on its hosts, for faults that kill, pause, limit or restart them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ...agent_client.agents import Json
from ...faults.fault import Observation, Resolved
from ..base import Ground
from . import stillness

PROCESS_S = 2.0
RESTART_S = 30.0
"""A supervisor may wait a moment before it starts a process again."""
LOOK_S = 0.02
ASK_AGAIN_S = 0.25
"""How often the pid of a service without a supervisor is requested while it is not in the wanted state."""
MOST_NAMED = 20


def noted(fault: Resolved, ground: Ground, seen: Observation) -> Observation:
    ground.notes.setdefault(fault.intent.id, {"seen": seen.observed["nodes"]})
    return seen


def unheld(fault: Resolved, ground: Ground, right: Callable[[Json], bool]) -> dict[str, list[str]]:
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
    """Check the processes of these nodes until each is in the wanted state or the time (`RESTART_S`) is over. A host without power has none.

    `states` are those of the processes that the services name, `processes_of` counts all that belong to them, `unlike` names those that are in another
    state. `of` names one of several processes of a host.
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
    facts: dict[str, Any] = {name: seen[name]["state"] or "gone" for name in names}
    counts = {name: len(seen[name]["running"]) + len(seen[name]["stopped"]) for name in names}
    unlike = {name: others for name in names if (others := _unlike(seen[name]))}
    verified = bool(names) and len(good) == len(names)
    return Observation(
        verified, {"nodes": good, "states": facts, "processes_of": counts, **({"unlike": unlike} if unlike else {})}
    )


def _unlike(seen: Json) -> list[str]:
    if not is_there(seen):
        others = [*seen["running"], *seen["stopped"]]
    else:
        others = seen["running" if seen["state"] in "Tt" else "stopped"]
    return _cut(others)


def _cut(others: list[str]) -> list[str]:
    return others[:MOST_NAMED] + ([f"and {len(others) - MOST_NAMED} more"] if len(others) > MOST_NAMED else [])


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
