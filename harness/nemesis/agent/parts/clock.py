"""The wall clock that the process sees, through the file of its preloaded clock library: a setting of `..clock`, such as `{"offset_ns": 60000000000}`.

Where the machine's own clock is given away (`"clock": "system"`), that one is set instead.
"""

from __future__ import annotations

from typing import Any

from .. import clock, processes, system_clock
from ..clock_observer import Observer
from ..clocks import reach

Json = dict[str, Any]
NAME = "clock"
MACHINE: system_clock.Machine = system_clock.Here()
OUTLIVES_POWER = True


def claim(before: Json, wanted: Json, config: Json) -> Json:
    """`files` maps clock files to settings; `system` is how the machine's own clock was before it was first moved."""
    if config.get("clock") == "system":
        recorded = before.get("system") or (system_clock.record(MACHINE) if wanted else None)
        return {"system": recorded} if recorded else {}
    file = config.get("clock_file")
    if wanted and file is None:
        raise RuntimeError("the service was not started under a clock library, so its clock cannot be moved")
    files = {**before.get("files", {}), **({str(file): clock.setting_of(wanted)} if wanted else {})}
    return {"files": files} if files else {}


def change(claimed: Json, wanted: Json, config: Json) -> Json:
    if "system" in claimed:
        return _change_system(claimed, clock.setting_of(wanted))
    moved = {str(config["clock_file"]): clock.setting_of(wanted)} if wanted else {}
    for path in claimed.get("files", {}):
        clock.put(path, moved.get(path, clock.TRUE))
    return {"files": moved} if moved else {}


def _change_system(claimed: Json, setting: clock.Setting) -> Json:
    if set(setting) - {"offset_ns"}:
        raise RuntimeError(
            "a machine's own clock is set ahead or back, and no more: drift and strobe need the clock library"
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
    if "system" in force:
        off_ns = system_clock.restore(MACHINE, force["system"])
        undone.append(f"clock: the machine's own was off by {off_ns} ns")
    return undone


def look(request: Json, config: Json) -> Json:
    """What a fresh process under the clock library sees in `readings` looks over `over_ns`; with `effect`, also whether it reaches the service.

    `standing`: one reading of a process that stays, for samples; none where there is no library, and so no difference.
    """
    environment = config.get("clock_environment") or {}
    if request.get("standing"):
        return {"readings": [_standing(environment).read()] if environment else []}
    pid = processes.find(config.get("process") or {})
    with Observer(environment) as observer:
        seen = observer.watch(int(request.get("over_ns", 0)), int(request.get("readings", 1)))
    if pid is None or not request.get("effect"):
        return {"readings": seen, "pid": pid}
    found = reach.evidence(pid, config.get("clock_library") or "", bool(request.get("paused")))
    return {"readings": seen, "pid": pid, **found}


_observers: list[Observer] = []


def _standing(environment: dict[str, str]) -> Observer:
    """As long as this agent lives. One that has ended makes room for another."""
    if _observers and not _observers[0].alive:
        _observers.pop().close()
    if not _observers:
        _observers.append(Observer(environment))
    return _observers[0]
