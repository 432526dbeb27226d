"""Limits for all processes of the system together: `{"share_ppm": 100000, "memory_bytes": 67108864, "descriptors": 20}`, with the limited resources only.

CPU and memory by separate control groups (`cgroups`); CPU also by stopping and continuing the processes in turn, if groups are not available (`keeper`);
descriptors by the soft limit of each process, without changing the hard limit. Processes inherit their limits; the keeper searches for processes without them and
limits these too.

Memory that a process has when it enters a group is not counted there. So the group's limit is the requested one minus the present use of its processes, and a process
that takes more is killed at its next page.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from typing import Any

from ..processes import cgroups, descriptors, limit_looks, proc, processes
from ..processes.proc import Process

Json = dict[str, Any]
NAME = "limits"
FLOOR_BYTES = 1 << 20
HOLD_S = 10.0
LEAST_TURNS = 3
SETTLE_S = 0.02
CLEAN_LOOKS = 3
"""One scan may miss a process: its parent forked it after the table of processes was listed, and ended before it was read."""


def claim(before: Json, wanted: Json, config: Json) -> Json:
    """`cpu` and `memory` have the controller, the group, and the former group of the process; `nofile` the soft limit that it had."""
    if not before and not wanted:
        return {}
    process = config.get("process") or before.get("process") or {}
    if not process:
        raise RuntimeError("there is no process to limit: the service was not running when the agent was configured")
    # A process that another fault keeps down will start in a group like ours.
    pid = processes.find(process) or os.getpid()
    force = {**before, "process": process}
    for key, name in (("share_ppm", cgroups.CPU), ("memory_bytes", cgroups.MEMORY)):
        if key in wanted and name not in before:
            force[name] = _claim_group(name, pid)
    if "descriptors" in wanted and "nofile" not in before:
        prior = descriptors.read(pid)
        found = [[one.pid, one.started, descriptors.read(one.pid)] for one in processes.tree(process).processes]
        force["nofile"] = {"prior": prior, "others": [one for one in found if one[2] not in (None, prior)]}
    return force


def _claim_group(name: str, pid: int) -> Json:
    controller, problem = cgroups.usable(name)
    if controller is None:
        if name == cgroups.CPU:
            return {"means": limit_looks.SIGNALS}
        raise RuntimeError(f"cannot make a group with a limit of {name}: {problem}")
    prior = cgroups.path_of(pid, controller)
    return {
        "means": controller.means,
        "controller": cgroups.as_json(controller),
        "prior": prior,
        "group": cgroups.below(controller, prior),
    }


def change(claimed: Json, wanted: Json, config: Json) -> Json:
    force = dict(claimed)
    for key, name in (("share_ppm", cgroups.CPU), ("memory_bytes", cgroups.MEMORY)):
        if name in force and key in wanted:
            force[name] = {**force[name], key: wanted[key]}
        elif name in force:
            _release(force, name)
    if "nofile" in force and "descriptors" in wanted:
        force["nofile"] = {**force["nofile"], "limit": wanted["descriptors"]}
    elif "nofile" in force:
        _restore_descriptors(force)
    if not wanted:
        return {}
    pid = processes.find(force["process"])
    if pid is not None:
        try:
            hold(force)
        except (RuntimeError, OSError):
            # It may have ended meanwhile, also of this limit; the keeper limits the next one.
            if processes.find(force["process"]) == pid:
                raise
    return force


def hold(force: Json) -> None:
    """Put all processes under these limits, including those that are forked meanwhile. Raises `RuntimeError` with those that are still outside.

    Repeat until `CLEAN_LOOKS` scans in a row show none outside. The keeper searches for those that these missed.
    """
    deadline_s, clean, turns = time.monotonic() + HOLD_S, 0, 0
    _limit(force, processes.tree(force["process"]).processes)
    while clean < CLEAN_LOOKS:
        found = processes.tree(force["process"]).processes
        free = unlimited(force, found)
        clean = 0 if free else clean + 1
        # On a busy host one turn takes seconds: only what three of them left outside counts.
        turns += bool(free)
        if free and turns > LEAST_TURNS and time.monotonic() > deadline_s:
            raise RuntimeError(f"not under the limit after {HOLD_S:g} s: {', '.join(map(str, free[:10]))}")
        if free:
            _limit(force, found)


def _limit(force: Json, found: Sequence[Process]) -> None:
    cpu, memory, nofile = force.get(cgroups.CPU, {}), force.get(cgroups.MEMORY, {}), force.get("nofile", {})
    pids = [process.pid for process in found]
    if "share_ppm" in cpu and "controller" in cpu:
        cgroups.enter(cgroups.from_json(cpu["controller"]), cpu["group"], pids, cpu["share_ppm"])
    if "memory_bytes" in memory:
        controller = cgroups.from_json(memory["controller"])
        counted = cgroups.usage_bytes(controller, memory["group"]) if any(_inside(pid, memory) for pid in pids) else 0
        uncounted = sum(map(proc.resident_bytes, pids)) - counted
        left = max(FLOOR_BYTES, memory["memory_bytes"] - max(0, uncounted)) & ~4095
        cgroups.enter(controller, memory["group"], pids, left)
    if "limit" in nofile:
        descriptors.put(dict.fromkeys(pids, nofile["limit"]))


def unlimited(force: Json, found: Iterable[Process]) -> list[Process]:
    """Return those that are not under all of the limits. A process that is being born or ends is in the topmost group for an instant: what is outside
    is looked at again after `SETTLE_S`.
    """
    groups = [force[name] for name in (cgroups.CPU, cgroups.MEMORY) if "controller" in force.get(name, {})]
    limit = force.get("nofile", {}).get("limit")

    def free(process: Process) -> bool:
        if limit is not None and (descriptors.read(process.pid) or 0) > limit:
            return True
        return not all(_inside(process.pid, limited) for limited in groups)

    outside = [process for process in found if free(process)]
    if outside:
        time.sleep(SETTLE_S)
    # One that has ended is under every limit.
    return [process for process in outside if free(process) and processes.alive(process.pid)]


def undo(force: Json) -> list[str]:
    undone = []
    left = dict(force)
    for name in (cgroups.CPU, cgroups.MEMORY):
        if name in left and _release(left, name):
            undone.append(f"limits: {name} of {force['process'].get('pid_file') or force['process'].get('pid')}")
    if "nofile" in left and _restore_descriptors(left):
        undone.append(f"limits: descriptors, {force['nofile']['prior']} again")
    return undone


def _release(force: Json, name: str) -> bool:
    """Remove one limit, and its record from `force`; return whether there was one."""
    limited = force.pop(name)
    if limited["means"] == limit_looks.SIGNALS:
        return bool(processes.resume((), force["process"]))
    controller = cgroups.from_json(limited["controller"])
    other = force.get(cgroups.MEMORY if name == cgroups.CPU else cgroups.CPU, {})
    if other.get("group") == limited["group"] and controller.version == 2:
        cgroups.lift(controller, limited["group"])
        return True
    return cgroups.leave(controller, limited["group"], limited["prior"])


def _restore_descriptors(force: Json) -> bool:
    """Restore the limits of running processes that still have ours: any other limit was set by another program."""
    nofile = force.pop("nofile")
    if "limit" not in nofile:
        return False
    priors = {(pid, started): prior for pid, started, prior in nofile.get("others", ())}
    deadline_s, restored, clean = time.monotonic() + HOLD_S, False, 0
    while clean < CLEAN_LOOKS and time.monotonic() < deadline_s:
        # One that is forked meanwhile inherits what its parent still had.
        found = [
            (process.pid, prior)
            for process in processes.tree(force["process"]).processes
            if (prior := priors.get((process.pid, process.started), nofile["prior"])) != nofile["limit"]
            and descriptors.read(process.pid) == nofile["limit"]
        ]
        clean = 0 if found else clean + 1
        descriptors.put(dict(found))
        restored = restored or bool(found)
    return restored


def _inside(pid: int, limited: Json) -> bool:
    try:
        return bool(cgroups.path_of(pid, cgroups.from_json(limited["controller"])) == limited["group"])
    except OSError:
        return False


def look(request: Json, config: Json) -> Json:
    """Return, by `what`, the host's `abilities`, or the behaviour of the processes whose `cpu`, `memory` or `descriptors` are limited."""
    return limit_looks.look(request, config)
