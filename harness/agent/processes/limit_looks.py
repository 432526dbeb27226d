"""Behaviour of limited processes, observed independently of the code that limited them."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import cgroups, descriptors, proc, processes
from .proc import Process

Json = dict[str, Any]
SIGNALS = "signals"
SPIN_S = 0.6
LOOKS, LOOK_S = 50, 0.02
_SPIN = "import time; c, b = time.process_time(), time.monotonic()\nwhile time.monotonic() < b + {}: pass\nprint(time.process_time() - c, time.monotonic() - b)"
"""Its start costs some 15 ms of a processor, which are no part of the time that is measured."""
_FILL = "open('/proc/self/oom_score_adj','w').write('1000')\nb=bytearray({})\nfor i in range(0,len(b),4096): b[i]=1\nprint('filled')"
PROBE_LIMIT_BYTES = 256 << 20
"""A process of ours fills what is left up to this; to fill more could harm the machine."""


def look(request: Json, config: Json) -> Json:
    """Return, by `what`: the host's `abilities`, or the behaviour of the process whose `cpu`, `memory` or `descriptors` are limited. The record of the
    limits is not used.
    """
    if request["what"] == "abilities":
        return {"abilities": {name: _ability(name) for name in (cgroups.CPU, cgroups.MEMORY)}}
    how = config.get("process") or {}
    pid = processes.find(how)
    look_at = {"cpu": _look_at_cpu, "memory": _look_at_memory, "descriptors": _look_at_descriptors}
    return {"pid": pid, **look_at[request["what"]](how, request["measure"])}


def _ability(name: str) -> Json:
    controller, why = cgroups.usable(name)
    return {"means": controller.means if controller else None, "why": why}


@dataclass(frozen=True, slots=True)
class _Group:
    """Our group where processes are in it, or would be."""

    controller: cgroups.Controller | None
    path: str
    inside: tuple[Process, ...]
    outside: tuple[Process, ...]

    @property
    def facts(self) -> Json:
        """`inside`: whether all are in the group; `outside`: those that are not although others are."""
        outside = [str(process) for process in self.outside] if self.inside else []
        return {"inside": bool(self.inside and not outside), **({"outside": outside} if outside else {})}


def _group_of(name: str, how: Json) -> _Group:
    """Return the group of the system's processes. It looks up to `LOOKS` times until none is outside: a new process is in the top group for an instant."""
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
    """Measure the CPU limit: the share of a processor that a busy test process in the same group gets.

    Without a group it is the share of the time in which the system's processes were not stopped.
    """
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
        return {**group.facts, "inside": True, "quota_ppm": quota_ppm}
    before = cgroups.counted(controller, group.path)
    done = cgroups.run_inside(controller, group.path, [sys.executable, "-I", "-S", "-c", _SPIN.format(SPIN_S)])
    if done.returncode != 0:
        raise RuntimeError(f"the test process does not run in {group.path}: {done.stderr.strip()[-200:]}")
    cpu_s, wall_s = (float(word) for word in done.stdout.split())
    return {
        "means": controller.means,
        **group.facts,
        "quota_ppm": quota_ppm,
        "share_ppm": round(cpu_s / wall_s * 1e6),
        "throttled": cgroups.counted(controller, group.path) - before,
    }


def _share_running(found: Sequence[Process]) -> int | None:
    """Return the share of looks within a second in which any of them was seen to run (ppm)."""
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
    """Measure the memory limit: report whether the kernel killed a process of the system, or our test process, which fills what is left.

    The kernel kills the test process first, since that one asks for memory.
    """
    group = _group_of(cgroups.MEMORY, how)
    controller = group.controller
    seen: Json = {**group.facts, "group_bytes": 0, "oom_kills": 0, "probe_killed": None}
    if found := (*group.inside, *group.outside):
        seen["resident_bytes"] = sum(proc.resident_bytes(process.pid) for process in found)
    if not measure:
        seen["inside"] = bool(group.inside)
    limit = (
        cgroups.read(controller, group.path, "memory.max" if controller.version == 2 else "memory.limit_in_bytes")
        if controller
        else ""
    )
    if controller is None or not limit.isdigit():
        return seen
    left = max(0, int(limit) - cgroups.usage_bytes(controller, group.path))
    seen |= {"means": controller.means, "group_bytes": int(limit), "oom_kills": cgroups.counted(controller, group.path)}
    if measure and seen["inside"] and not seen["oom_kills"] and left <= PROBE_LIMIT_BYTES:
        fill = [sys.executable, "-I", "-S", "-c", _FILL.format(left + (8 << 20))]
        done = cgroups.run_inside(controller, group.path, fill)
        seen["probe_killed"] = done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
    return seen


def _look_at_descriptors(how: Json, measure: bool) -> Json:
    """Look at the descriptors of the process that the service names, and the limits of all. With `measure`, look up to `LOOKS` times until all have the
    same limit: a new process may have its parent's for an instant.
    """
    seen: Json = {"descriptors": None, "open": None}
    if (pid := processes.find(how)) is not None:
        seen["descriptors"] = descriptors.read(pid)
        with contextlib.suppress(OSError):
            seen["open"] = len(os.listdir(f"/proc/{pid}/fd"))
    for _ in range(LOOKS if measure else 1):
        limits = {descriptors.read(process.pid) for process in (processes.tree(how).processes if how else ())}
        of_all = sorted(limit for limit in limits if limit is not None)
        if len(of_all) <= 1:
            break
        time.sleep(LOOK_S)
    return {**seen, "of_all": of_all}
