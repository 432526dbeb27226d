"""The system's processes: `{"killed": true}`, `{"paused": true}`, or both. `started_by_service` means that a killed one was already restarted.

This affects all processes of the system (`processes/trees`). A heal continues each of them, also one that another program had stopped before: none
may stay stopped because the record of what stopped it was lost.
"""

from __future__ import annotations

from typing import Any

from ..processes import processes

Json = dict[str, Any]
NAME = "process"
OUTLIVES_POWER = True


def claim(before: Json, wanted: Json, config: Json) -> Json:
    """`killed` is how to start the process again; `paused` and `tree` (to be killed) are [pid, start time] pairs; `process` is what they belong to."""
    process = config.get("process") or {}
    if (wanted.get("killed") or wanted.get("paused")) and not process:
        raise RuntimeError(
            "there is no process for this fault: the service was not running when the agent was configured"
        )
    killed = before.get("killed") or (killable(process) if wanted.get("killed") else None)
    paused = list(before.get("paused", ()))
    if wanted.get("paused"):
        paused += known(process)
    tree = known(process) if wanted.get("killed") else []
    return _force(killed, paused, process or before.get("process"), [*before.get("tree", ()), *tree])


def change(claimed: Json, wanted: Json, config: Json) -> Json:
    killed, paused = claimed.get("killed"), claimed.get("paused", [])
    process, tree = claimed.get("process"), claimed.get("tree", [])
    if killed and wanted.get("killed"):
        processes.recall(killed, tree)
        processes.kill(killed)
    elif killed:
        # A process that was to be killed was stopped first.
        processes.resume(tree)
        if not wanted.get("started_by_service"):
            processes.start(killed)
        killed = None
    if not wanted.get("paused"):
        processes.resume(paused, process if paused else None)
        return _force(killed, [], process, tree)
    # A process that is down is stopped when it is started again, as long as the pause is still wanted.
    return _force(killed, [] if killed else processes.pause(config.get("process") or {}), process, tree, pausing=True)


def undo(force: Json) -> list[str]:
    stopped = [*force.get("paused", ()), *force.get("tree", ())]
    undone = undone_line("pause", processes.resume(stopped, force.get("process")))
    killed = force.get("killed")
    if killed and processes.start(killed):
        undone.append(f"kill: {killed.get('marker') or killed['again']['argv']} is started again")
    return undone


def known(process: Json) -> list[list[int]]:
    """[pid, start time] of each process now, so that a pause can be undone even if the program died before it recorded what it had stopped."""
    return processes.tree(process).pairs if process else []


def undone_line(what: str, pids: list[int]) -> list[str]:
    """Return one line about what was undone, if anything was."""
    return [f"{what}: process {', '.join(map(str, pids))}"] if pids else []


def _force(
    killed: Json | None, paused: list[list[int]], process: Json | None, tree: list[list[int]], pausing: bool = False
) -> Json:
    if not killed and not paused and not pausing:
        return {}
    return {"killed": killed, "paused": paused, "process": process, "tree": tree if killed else []}


def killable(process: Json) -> Json:
    """Return the fields by which to find the process; for one without a supervisor also `again`, by which to restart it."""
    pid = processes.find(process) if process.get("remember") else None
    return process if pid is None else {**process, "again": processes.remember(pid)}
