"""The wall clock that the service's processes see: a setting of `clocks/clock`, such as `{"offset_ns": 60000000000}`, in the file that the preloaded clock
library reads.

For processes that do not use the library, it is changed in their vDSO (`clocks/mover`). If the machine's own clock may be changed (`"clock": "system"`),
that one is set instead.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ..clocks import clock, mover, newcomers, reach, system_clock, vdso
from ..clocks.observer import Observer
from ..processes import processes

Json = dict[str, Any]
NAME = "clock"
MACHINE: system_clock.Machine = system_clock.Here()
OUTLIVES_POWER = True


def claim(before: Json, wanted: Json, config: Json) -> Json:
    """`files` maps clock files to settings; `vdso` is the file that changes clocks there; `system` is the state of the machine's own clock before its
    first change.
    """
    if config.get("clock") == "system":
        recorded = before.get("system") or (system_clock.record(MACHINE) if wanted else None)
        return {"system": recorded} if recorded else {}
    file = config.get("clock_file")
    if wanted and file is None:
        raise RuntimeError("the service was not started under a clock library, so its clock cannot be changed")
    files = {**before.get("files", {}), **({str(file): clock.setting_of(wanted)} if wanted else {})}
    below = before.get("vdso") or (_below(config) if wanted else None)
    return {**({"files": files} if files else {}), **({"vdso": below} if below else {})}


def _below(config: Json) -> Json | None:
    """Return the fields that moving clocks below the library needs; None if the harness could not build the code for it."""
    block, file = str(config.get("clock_block") or ""), str(config.get("clock_file") or "")
    if not os.path.exists(block):
        return None
    library = str(config.get("clock_library") or "")
    return {"block": block, "file": file, "library": library, "owner": vdso.owner_of(file)}


def change(claimed: Json, wanted: Json, config: Json) -> Json:
    if "system" in claimed:
        return _change_system(claimed, clock.setting_of(wanted))
    moved = {str(config["clock_file"]): clock.setting_of(wanted)} if wanted else {}
    for path in claimed.get("files", {}):
        clock.put(path, moved.get(path, clock.TRUE))
    below = claimed.get("vdso")
    if below and not moved:
        mover.restore(below["owner"])
    elif below:
        mover.reach_out(processes.members(config.get("process") or {}), below)
    return {"files": moved, **({"vdso": below} if below else {})} if moved else {}


def _change_system(claimed: Json, setting: clock.Setting) -> Json:
    if set(setting) - {"offset_ns"}:
        raise RuntimeError(
            "a machine's own clock can only be set ahead or back: drift and strobe need the clock library"
        )
    if not setting:
        system_clock.restore(MACHINE, claimed["system"])
        return {}
    system_clock.move(MACHINE, claimed["system"], setting["offset_ns"])
    return claimed


def undo(force: Json) -> list[str]:
    undone = []
    for path in force.get("files", {}):
        setting = clock.get(path)
        if setting:
            clock.put(path, clock.TRUE)
            undone.append(f"clock: {path} was wrong: {', '.join(f'{name} {value}' for name, value in setting.items())}")
    if "vdso" in force and (restored := mover.restore(force["vdso"]["owner"])):
        undone.append(f"clock: in the vDSO of {len(restored)} processes")
    if "system" in force:
        off_ns = system_clock.restore(MACHINE, force["system"])
        undone.append(f"clock: the machine's own was off by {off_ns} ns")
    return undone


def look(request: Json, config: Json) -> Json:
    """Return what a new process with the same clock reads, `readings` times in `over_ns`; with `effect`, whether the clock reaches the service, else
    the processes that are `left`.

    `reach`: only the reason why a process of the service is `missed`. `standing`: one reading of a permanent process, for samples; none if there is
    no library, and therefore no difference. `try`: why the vDSO of a process cannot be changed by this file, None when it can.
    """
    if "try" in request:
        return {"why": mover.tried(str(request["try"]))}
    environment = config.get("clock_environment") or {}
    if request.get("reach"):
        return {"missed": _missed(config)}
    if request.get("standing"):
        return {"readings": [_standing(environment).read()] if environment else []}
    pid = processes.find(config.get("process") or {})
    found = _effect(request, config) if request.get("effect") and pid is not None else {}
    if not request.get("effect"):
        found = {"left": _left(config)}
    with Observer(environment) as observer:
        if reach.VDSO in found.get("means", ()) and (below := _below(config)):
            # It sees then what they see, by the same means.
            mover.move([observer.pid], below["block"], below["file"], below["library"])
        seen = observer.watch(int(request.get("over_ns", 0)), int(request.get("readings", 1)))
    return {"readings": seen, "pid": pid, **found, **({"late": newcomers.late} if newcomers.late["processes"] else {})}


def _effect(request: Json, config: Json) -> Json:
    found = reach.evidence(_members(config), _by(config), bool(request.get("paused")))
    if found["affected"]:
        return found
    return {**found, "why": [*found["why"], *_not_below(config)]}


def _missed(config: Json) -> list[str]:
    """Return the processes that are not reached. Empty when the fault is not active any more: a lapsed fault is reported as such."""
    by = _by(config)
    missed = reach.missed(_members(config), by) if by.file and clock.get(by.file) else []
    return [*missed, *_not_below(config)] if missed else []


def _not_below(config: Json) -> list[str]:
    """The reason why the vDSO could not be used."""
    return mover.why_not(_members(config)()) if _below(config) else [f"no vDSO can be changed: {mover.NO_CODE}"]


def _members(config: Json) -> Callable[[], list[int]]:
    return lambda: processes.members(config.get("process") or {})


def _by(config: Json) -> reach.Means:
    return reach.Means(str(config.get("clock_library") or ""), str(config.get("clock_file") or ""))


def _left(config: Json) -> list[int]:
    """Processes whose vDSO still changes their clock although the file says true time."""
    file = str(config.get("clock_file") or "")
    return [] if not file or clock.get(file) else vdso.moved(vdso.owner_of(file))


_observers: list[Observer] = []


def _standing(environment: dict[str, str]) -> Observer:
    """A process for observations that lives as long as this agent. If it has ended, a new one is started."""
    if _observers and not _observers[0].alive:
        _observers.pop().close()
    if not _observers:
        _observers.append(Observer(environment))
    return _observers[0]
