"""What the system's processes may use together: `{"share_ppm": 100000, "memory_bytes": 67108864, "descriptors": 20}`, those that are limited.

CPU and memory by groups of our own (`cgroups`); CPU also by stopping and continuing the processes in turn, where no group can be had (`keeper`);
descriptors by the soft limit of each process, which leaves its hard one alone. Processes inherit their limits; one that has none comes under them by the
keeper, which looks for such.

Memory that a process has when it enters a group is not counted there. So the group's limit is what was asked for less what its processes have already, and one
that takes more is killed at its next page.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .. import cgroups, proc, processes
from ..proc import Process

Json = dict[str, Any]
NAME = "limits"
FLOOR_BYTES = 1 << 20
SPIN_S = 0.6
HOLD_S = 3.0
LOOKS, LOOK_S = 10, 0.01
UNLIMITED = 1 << 62
"""Stands for no limit of descriptors at all."""
PROBE_LIMIT_BYTES = 256 << 20
"""A process of ours fills what is left up to this; to fill more could harm the machine."""
SIGNALS = "signals"
_SPIN = "import time; e=time.monotonic()+{}; b=time.monotonic()\nwhile time.monotonic()<e: pass\nprint(time.process_time(), time.monotonic()-b)"
_FILL = "open('/proc/self/oom_score_adj','w').write('1000')\nb=bytearray({})\nfor i in range(0,len(b),4096): b[i]=1\nprint('filled')"


def claim(before: Json, wanted: Json, config: Json) -> Json:
    """`cpu` and `memory` have the controller, the group, and where the process was before; `nofile` the soft limit that it had."""
    if not before and not wanted:
        return {}
    process = config.get("process") or before.get("process") or {}
    if not process:
        raise RuntimeError("there is no process to limit: the service was not running when the agent was configured")
    # One that another fault keeps down will come from where we come from.
    pid = processes.find(process) or os.getpid()
    force = {**before, "process": process}
    for key, name in (("share_ppm", cgroups.CPU), ("memory_bytes", cgroups.MEMORY)):
        if key in wanted and name not in before:
            force[name] = _claim_group(name, pid)
    if "descriptors" in wanted and "nofile" not in before:
        prior = resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
        found = [[one.pid, one.started, _descriptors(one.pid)] for one in processes.tree(process).processes]
        force["nofile"] = {"prior": prior, "others": [one for one in found if one[2] not in (None, prior)]}
    return force


def _claim_group(name: str, pid: int) -> Json:
    controller, problem = usable(name)
    if controller is None:
        if name == cgroups.CPU:
            return {"means": SIGNALS}
        raise RuntimeError(f"no group with a limit of {name} can be made: {problem}")
    prior = cgroups.path_of(pid, controller)
    return {
        "means": controller.means,
        "controller": cgroups.as_json(controller),
        "prior": prior,
        "group": cgroups.below(controller, prior),
    }


def usable(name: str) -> tuple[cgroups.Controller | None, str]:
    """The controller, tried with a group that nobody is in; or None, and why."""
    controller = cgroups.find(name)
    if controller is None:
        return None, f"the kernel has no controller {name}"
    try:
        group = f"{cgroups.below(controller, cgroups.path_of(os.getpid(), controller))}-try"
        enabled = f'grep -qw {name} "$M/cgroup.controllers"' if controller.version == 2 else "true"
        cgroups.run(controller, group, [f'{enabled} && mkdir "$g" && rmdir "$g"'])
    except (RuntimeError, OSError) as error:
        return None, str(error)
    return controller, ""


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
    """Put all processes under these limits, those too that one forks meanwhile. Raises `RuntimeError` with those that stay out.

    Until a look shows none outside: what forks and ends would be gone by a second look, and its child outside.
    """
    deadline_s = time.monotonic() + HOLD_S
    found = processes.tree(force["process"]).processes
    while True:
        _limit(force, found)
        found = processes.tree(force["process"]).processes
        free = unlimited(force, found)
        if not free:
            return
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"not under the limit after {HOLD_S:g} s: {', '.join(map(str, free[:10]))}")


def _limit(force: Json, found: Sequence[Process]) -> None:
    cpu, memory, nofile = force.get(cgroups.CPU, {}), force.get(cgroups.MEMORY, {}), force.get("nofile", {})
    pids = [process.pid for process in found]
    if "share_ppm" in cpu and "controller" in cpu:
        cgroups.enter(cgroups.from_json(cpu["controller"]), cpu["group"], pids, cpu["share_ppm"])
    if "memory_bytes" in memory:
        controller = cgroups.from_json(memory["controller"])
        counted = _usage(controller, memory["group"]) if any(_inside(pid, memory) for pid in pids) else 0
        uncounted = sum(map(resident_bytes, pids)) - counted
        left = max(FLOOR_BYTES, memory["memory_bytes"] - max(0, uncounted)) & ~4095
        cgroups.enter(controller, memory["group"], pids, left)
    if "limit" in nofile:
        for pid in pids:
            _set_descriptors(pid, nofile["limit"])


def unlimited(force: Json, found: Iterable[Process]) -> list[Process]:
    """Those of them that are not under one of the limits."""
    groups = [force[name] for name in (cgroups.CPU, cgroups.MEMORY) if "controller" in force.get(name, {})]
    limit = force.get("nofile", {}).get("limit")

    def free(process: Process) -> bool:
        if limit is not None and (_descriptors(process.pid) or 0) > limit:
            return True
        return not all(_inside(process.pid, limited) for limited in groups)

    # One that has ended is under every limit.
    return [process for process in found if free(process) and processes.alive(process.pid)]


def _descriptors(pid: int) -> int | None:
    """The soft limit; None when it has ended. What is infinite is larger than any."""
    with contextlib.suppress(ProcessLookupError):
        soft = resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
        return UNLIMITED if soft == resource.RLIM_INFINITY else soft
    return None


def _set_descriptors(pid: int, limit: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        infinite = hard == resource.RLIM_INFINITY
        soft = limit if infinite else min(limit, hard)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard if infinite and soft == UNLIMITED else soft, hard))


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
    """Take one limit away, and from `force` what there was of it; says whether there was anything."""
    limited = force.pop(name)
    if limited["means"] == SIGNALS:
        return bool(processes.resume((), force["process"]))
    controller = cgroups.from_json(limited["controller"])
    other = force.get(cgroups.MEMORY if name == cgroups.CPU else cgroups.CPU, {})
    if other.get("group") == limited["group"] and controller.version == 2:
        cgroups.lift(controller, limited["group"])
        return True
    return cgroups.leave(controller, limited["group"], limited["prior"])


def _restore_descriptors(force: Json) -> bool:
    """Of the processes that run now, those whose limit is ours: whatever else it is, somebody else set it."""
    nofile = force.pop("nofile")
    if "limit" not in nofile:
        return False
    priors = {(pid, started): prior for pid, started, prior in nofile.get("others", ())}
    deadline_s, restored = time.monotonic() + HOLD_S, False
    while True:
        # One that is forked meanwhile inherits what its parent still had.
        found = [
            (process.pid, prior)
            for process in processes.tree(force["process"]).processes
            if (prior := priors.get((process.pid, process.started), nofile["prior"])) != nofile["limit"]
            and _descriptors(process.pid) == nofile["limit"]
        ]
        if not found or time.monotonic() > deadline_s:
            return restored
        for pid, prior in found:
            _set_descriptors(pid, prior)
        restored = True


def resident_bytes(pid: int) -> int:
    """What it has in memory that is its own, and its share of what it has together with others: what a group counts, had it been there from the beginning."""
    # Kernels before 5.4 do not know shares apart from files.
    return _kilobytes(pid, "smaps_rollup", "Pss_Anon:", "Pss_Shmem:") or _kilobytes(
        pid, "status", "RssAnon:", "RssShmem:"
    )


def _kilobytes(pid: int, file: str, *words: str) -> int:
    total = 0
    with contextlib.suppress(OSError), open(f"/proc/{pid}/{file}") as lines:
        for line in lines:
            if line.startswith(words):
                total += int(line.split()[1]) << 10
    return total


def _usage(controller: cgroups.Controller, group: str) -> int:
    file = "memory.current" if controller.version == 2 else "memory.usage_in_bytes"
    return int(cgroups.read(controller, group, file) or 0)


def _inside(pid: int, limited: Json) -> bool:
    try:
        return bool(cgroups.path_of(pid, cgroups.from_json(limited["controller"])) == limited["group"])
    except OSError:
        return False


def look(request: Json, config: Json) -> Json:
    """By `what`: the host's `abilities`, or how the process fares of which `cpu`, `memory` or `descriptors` are limited. Nothing here asks what was done."""
    if request["what"] == "abilities":
        return {"abilities": {name: _ability(name) for name in (cgroups.CPU, cgroups.MEMORY)}}
    how = config.get("process") or {}
    pid = processes.find(how)
    look_at = {"cpu": _look_at_cpu, "memory": _look_at_memory, "descriptors": _look_at_descriptors}
    return {"pid": pid, **look_at[request["what"]](how, request["measure"])}


def _ability(name: str) -> Json:
    controller, why = usable(name)
    return {"means": controller.means if controller else None, "why": why}


@dataclass(frozen=True, slots=True)
class _Group:
    """Our group where processes are in it, or would be."""

    controller: cgroups.Controller | None
    path: str
    inside: tuple[Process, ...]
    outside: tuple[Process, ...]

    @property
    def told(self) -> Json:
        """`inside`: all of them, `outside`: who is not though others are."""
        outside = [str(process) for process in self.outside] if self.inside else []
        return {"inside": bool(self.inside and not outside), **({"outside": outside} if outside else {})}


def _group_of(name: str, how: Json) -> _Group:
    """Looked at until none is outside, or often: one that is being born is in the topmost group for an instant."""
    controller = cgroups.find(name)
    if controller is None:
        return _Group(None, "", (), ())
    for _ in range(LOOKS):
        paths = _paths(controller, how)
        inside = {one: path for one, path in paths.items() if path.endswith(f"/{cgroups.group_name()}")}
        outside = tuple(one for one in paths if one not in inside and processes.alive(one.pid))
        if not (inside and outside):
            break
        time.sleep(LOOK_S)
    path = next(iter(inside.values()), "") or cgroups.below(controller, cgroups.path_of(os.getpid(), controller))
    return _Group(controller, path, tuple(inside), outside)


def _paths(controller: cgroups.Controller, how: Json) -> dict[Process, str]:
    found = {}
    for process in processes.tree(how).processes if how else ():
        with contextlib.suppress(OSError):
            found[process] = cgroups.path_of(process.pid, controller)
    return found


def _look_at_cpu(how: Json, measure: bool) -> Json:
    """How much of a processor a process of ours in the same group gets, that wants all of it; without a group, how much of the time the processes were not stopped."""
    group = _group_of(cgroups.CPU, how)
    controller = group.controller
    if controller is None or not group.inside:
        share = (
            {
                "means": SIGNALS,
                "share_ppm": _share_running(processes.tree(how).processes if how else ()),
                "throttled": 0,
            }
            if measure
            else {}
        )
        return {"inside": False, **share}
    quota_ppm = cgroups.quota_ppm(controller, group.path)
    if not measure:
        return {**group.told, "inside": True, "quota_ppm": quota_ppm}
    before = cgroups.counted(controller, group.path)
    done = cgroups.run_inside(controller, group.path, [sys.executable, "-I", "-S", "-c", _SPIN.format(SPIN_S)])
    if done.returncode != 0:
        raise RuntimeError(f"nothing of ours runs in {group.path}: {done.stderr.strip()[-200:]}")
    cpu_s, wall_s = (float(word) for word in done.stdout.split())
    return {
        "means": controller.means,
        **group.told,
        "quota_ppm": quota_ppm,
        "share_ppm": round(cpu_s / wall_s * 1e6),
        "throttled": cgroups.counted(controller, group.path) - before,
    }


def _share_running(found: Sequence[Process]) -> int | None:
    """From how often any of them was seen to run within a second."""
    if not found:
        return None
    running = looks = 0
    end_s = time.monotonic() + 1.0
    while time.monotonic() < end_s:
        seen = (proc.read(process.pid) for process in found)
        looks, running = looks + 1, running + any(one is not None and one.living and not one.stopped for one in seen)
        time.sleep(0.003)
    return round(running / looks * 1e6)


def _look_at_memory(how: Json, measure: bool) -> Json:
    """Whether the kernel killed for want of memory: a process of the system, or one of ours that fills what is left. It takes ours first, since that asks for it."""
    group = _group_of(cgroups.MEMORY, how)
    controller = group.controller
    seen: Json = {**group.told, "group_bytes": 0, "oom_kills": 0, "probe_killed": None}
    if found := (*group.inside, *group.outside):
        seen["resident_bytes"] = sum(resident_bytes(process.pid) for process in found)
    if not measure:
        seen["inside"] = bool(group.inside)
    limit = (
        cgroups.read(controller, group.path, "memory.max" if controller.version == 2 else "memory.limit_in_bytes")
        if controller
        else ""
    )
    if controller is None or not limit.isdigit():
        return seen
    left = max(0, int(limit) - _usage(controller, group.path))
    seen |= {"means": controller.means, "group_bytes": int(limit), "oom_kills": cgroups.counted(controller, group.path)}
    if measure and seen["inside"] and not seen["oom_kills"] and left <= PROBE_LIMIT_BYTES:
        fill = [sys.executable, "-I", "-S", "-c", _FILL.format(left + (8 << 20))]
        done = cgroups.run_inside(controller, group.path, fill)
        seen["probe_killed"] = done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
    return seen


def _look_at_descriptors(how: Json, measure: bool) -> Json:
    """Of the process that the service names, and the limits of all."""
    seen: Json = {"descriptors": None, "open": None}
    if (pid := processes.find(how)) is not None:
        seen["descriptors"] = _descriptors(pid)
        with contextlib.suppress(OSError):
            seen["open"] = len(os.listdir(f"/proc/{pid}/fd"))
    limits = {_descriptors(process.pid) for process in (processes.tree(how).processes if how else ())}
    return {**seen, "of_all": sorted(limit for limit in limits if limit is not None)}
