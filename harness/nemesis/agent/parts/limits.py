"""What the one process may use: `{"share_ppm": 100000, "memory_bytes": 67108864, "descriptors": 20}`, those that are limited.

CPU and memory by groups of our own (`cgroups`); CPU also by stopping and continuing the process in turn, where no group can be had (`keeper`);
descriptors by the soft limit of the process, which leaves its hard one alone. A process that is started meanwhile comes under the same limits, by the
keeper, which looks for new ones.

Memory that a process has when it enters a group is not counted there. So the group's limit is the process's less what it has already, and a process that has
more is killed at its next page.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
from typing import Any

from .. import cgroups, processes
from .process import known

Json = dict[str, Any]
NAME = "limits"
FLOOR_BYTES = 1 << 20
SPIN_S = 0.6
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
        force["nofile"] = {"prior": resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]}
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
            hold(force, pid)
        except (RuntimeError, OSError):
            # It may have ended meanwhile, also of this limit; the keeper limits the next one.
            if processes.find(force["process"]) == pid:
                raise
    return force


def hold(force: Json, pid: int) -> None:
    """Put the process under these limits; again, if it is already."""
    cpu, memory, nofile = force.get(cgroups.CPU, {}), force.get(cgroups.MEMORY, {}), force.get("nofile", {})
    if "share_ppm" in cpu and "controller" in cpu:
        cgroups.enter(cgroups.from_json(cpu["controller"]), cpu["group"], pid, cpu["share_ppm"])
    if "memory_bytes" in memory:
        controller = cgroups.from_json(memory["controller"])
        uncounted = resident_bytes(pid) - (_usage(controller, memory["group"]) if _inside(pid, memory) else 0)
        left = max(FLOOR_BYTES, memory["memory_bytes"] - max(0, uncounted)) & ~4095
        cgroups.enter(controller, memory["group"], pid, left)
    if "limit" in nofile:
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        soft = nofile["limit"] if hard == resource.RLIM_INFINITY else min(nofile["limit"], hard)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


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
        current = known(force["process"])
        return bool(current and processes.resume([current]))
    controller = cgroups.from_json(limited["controller"])
    other = force.get(cgroups.MEMORY if name == cgroups.CPU else cgroups.CPU, {})
    if other.get("group") == limited["group"] and controller.version == 2:
        cgroups.lift(controller, limited["group"])
        return True
    return cgroups.leave(controller, limited["group"], limited["prior"])


def _restore_descriptors(force: Json) -> bool:
    """The process that runs now, if its limit is ours: whatever else it is, somebody else set it."""
    nofile = force.pop("nofile")
    pid = processes.find(force["process"])
    if pid is None or "limit" not in nofile:
        return False
    with contextlib.suppress(ProcessLookupError):
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        ours: bool = soft == nofile["limit"]
        if ours:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (nofile["prior"], hard))
        return ours
    return False


def resident_bytes(pid: int) -> int:
    """What it has in memory that is its own: what a group counts, had it been there from the beginning."""
    total = 0
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith(("RssAnon:", "RssShmem:")):
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
    pid = processes.find(config.get("process") or {})
    look_at = {"cpu": _look_at_cpu, "memory": _look_at_memory, "descriptors": _look_at_descriptors}
    return {"pid": pid, **look_at[request["what"]](pid, request["measure"])}


def _ability(name: str) -> Json:
    controller, why = usable(name)
    return {"means": controller.means if controller else None, "why": why}


def _group_of(name: str, pid: int | None) -> tuple[cgroups.Controller | None, str, bool]:
    """The controller, our group where the process is in it, or would be, and whether it is."""
    controller = cgroups.find(name)
    if controller is None:
        return None, "", False
    with contextlib.suppress(OSError):
        path = cgroups.path_of(pid, controller) if pid is not None else ""
        if path.endswith(f"/{cgroups.group_name()}"):
            return controller, path, True
    return controller, cgroups.below(controller, cgroups.path_of(os.getpid(), controller)), False


def _look_at_cpu(pid: int | None, measure: bool) -> Json:
    """How much of a processor a process of ours in the same group gets, that wants all of it; without a group, how much of the time the process was not stopped."""
    controller, group, inside = _group_of(cgroups.CPU, pid)
    if not measure:
        return {"inside": inside}
    if controller is None or not inside:
        return {"means": SIGNALS, "inside": False, "share_ppm": _share_running(pid), "throttled": 0}
    before = cgroups.counted(controller, group)
    done = cgroups.run_inside(controller, group, [sys.executable, "-I", "-S", "-c", _SPIN.format(SPIN_S)])
    if done.returncode != 0:
        raise RuntimeError(f"nothing of ours runs in {group}: {done.stderr.strip()[-200:]}")
    cpu_s, wall_s = (float(word) for word in done.stdout.split())
    throttled = cgroups.counted(controller, group) - before
    quota_ppm = cgroups.quota_ppm(controller, group)
    return {
        "means": controller.means,
        "inside": True,
        "quota_ppm": quota_ppm,
        "share_ppm": round(cpu_s / wall_s * 1e6),
        "throttled": throttled,
    }


def _share_running(pid: int | None) -> int | None:
    """From how often it was seen stopped within a second."""
    if pid is None:
        return None
    running = looks = 0
    end_s = time.monotonic() + 1.0
    while time.monotonic() < end_s:
        seen = processes.stat(pid)
        looks, running = looks + 1, running + (seen is not None and seen[0] not in "Tt")
        time.sleep(0.003)
    return round(running / looks * 1e6)


def _look_at_memory(pid: int | None, measure: bool) -> Json:
    """Whether the kernel killed for want of memory: the process, or one of ours that fills what is left. It takes ours first, since that asks for it."""
    controller, group, inside = _group_of(cgroups.MEMORY, pid)
    seen: Json = {"inside": inside, "group_bytes": 0, "oom_kills": 0, "probe_killed": None}
    if pid is not None:
        seen["resident_bytes"] = resident_bytes(pid)
    limit = (
        cgroups.read(controller, group, "memory.max" if controller.version == 2 else "memory.limit_in_bytes")
        if controller
        else ""
    )
    if controller is None or not limit.isdigit():
        return seen
    left = max(0, int(limit) - _usage(controller, group))
    seen |= {"means": controller.means, "group_bytes": int(limit), "oom_kills": cgroups.counted(controller, group)}
    if measure and inside and not seen["oom_kills"] and left <= PROBE_LIMIT_BYTES:
        fill = cgroups.run_inside(controller, group, [sys.executable, "-I", "-S", "-c", _FILL.format(left + (8 << 20))])
        seen["probe_killed"] = fill.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
    return seen


def _look_at_descriptors(pid: int | None, measure: bool) -> Json:
    seen: Json = {"descriptors": None, "open": None}
    with contextlib.suppress(OSError):
        if pid is not None:
            seen["descriptors"] = resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
            seen["open"] = len(os.listdir(f"/proc/{pid}/fd"))
    return seen
