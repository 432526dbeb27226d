"""The one process: `{"killed": true}`, `{"paused": true}`, or both. `started_by_service` says that a killed one was started already."""

from __future__ import annotations

from typing import Any

from .. import processes

Json = dict[str, Any]
NAME = "process"
OUTLIVES_POWER = True


def claim(before: Json, wanted: Json, config: Json) -> Json:
    """`killed` is how to start the process again; `paused` are [pid, start time] pairs."""
    process = config.get("process") or {}
    if (wanted.get("killed") or wanted.get("paused")) and not process:
        raise RuntimeError("there is no process to aim at: the service was not running when the agent was configured")
    killed = before.get("killed") or (killable(process) if wanted.get("killed") else None)
    paused = list(before.get("paused", ()))
    if wanted.get("paused") and (current := known(process)):
        paused.append(current)
    return _force(killed, paused)


def change(claimed: Json, wanted: Json, config: Json) -> Json:
    killed, paused = claimed.get("killed"), claimed.get("paused", [])
    if killed and wanted.get("killed"):
        processes.kill(killed)
    elif killed:
        if not wanted.get("started_by_service"):
            processes.start(killed)
        killed = None
    if not wanted.get("paused"):
        processes.resume(paused)
        return _force(killed, [])
    # A process that is down is stopped when it is started again, as long as the pause is still wanted.
    return _force(killed, [] if killed else processes.pause(config.get("process") or {}), pausing=True)


def undo(force: Json) -> list[str]:
    undone = [f"pause: process {pid}" for pid in processes.resume(force.get("paused", []))]
    killed = force.get("killed")
    if killed and processes.start(killed):
        undone.append(f"kill: {killed.get('marker') or killed['again']['argv']} is started again")
    return undone


def known(process: Json) -> list[int] | None:
    """[pid, start time] of the process now, so that a pause can be undone that died before it noted what it had stopped."""
    pid = processes.find(process) if process else None
    seen = processes.stat(pid) if pid is not None else None
    return None if pid is None or seen is None else [pid, seen[1]]


def _force(killed: Json | None, paused: list[list[int]], pausing: bool = False) -> Json:
    return {"killed": killed, "paused": paused} if killed or paused or pausing else {}


def killable(process: Json) -> Json:
    """How to find it, and, where no supervisor does it, how to start it again."""
    pid = processes.find(process) if process.get("remember") else None
    return process if pid is None else {**process, "again": processes.remember(pid)}
