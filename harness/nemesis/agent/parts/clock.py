"""The wall clock that the process sees, through the file of its preloaded clock library: a setting of `..clock`, such as `{"offset_ns": 60000000000}`."""

from __future__ import annotations

from typing import Any

from .. import clock, processes
from ..clock_observer import Observer

Json = dict[str, Any]
NAME = "clock"
OUTLIVES_POWER = True


def claim(before: Json, wanted: Json, config: Json) -> Json:
    """`files` maps clock files to settings."""
    file = config.get("clock_file")
    if wanted and file is None:
        raise RuntimeError("the service was not started under a clock library, so its clock cannot be moved")
    files = {**before.get("files", {}), **({str(file): clock.setting_of(wanted)} if wanted else {})}
    return {"files": files} if files else {}


def change(claimed: Json, wanted: Json, config: Json) -> Json:
    moved = {str(config["clock_file"]): clock.setting_of(wanted)} if wanted else {}
    for path in claimed.get("files", {}):
        clock.put(path, moved.get(path, clock.TRUE))
    return {"files": moved} if moved else {}


def undo(force: Json) -> list[str]:
    undone = []
    for path in force.get("files", {}):
        setting = clock.get(path)
        if setting:
            clock.put(path, clock.TRUE)
            undone.append(f"clock: {path} was wrong: {', '.join(f'{name} {value}' for name, value in setting.items())}")
    return undone


def look(request: Json, config: Json) -> Json:
    """What a fresh process under the clock library sees in `readings` looks over `over_ns`, and whether the service is such a process.

    `standing`: one reading of a process that stays, for samples; none where there is no library, and so no difference.
    """
    environment = config.get("clock_environment") or {}
    if request.get("standing"):
        return {"readings": [_standing(environment).read()] if environment else []}
    pid = processes.find(config.get("process") or {})
    library = config.get("clock_library") or ""
    with Observer(environment) as observer:
        seen = observer.watch(int(request.get("over_ns", 0)), int(request.get("readings", 1)))
    return {
        "readings": seen,
        "preloaded": pid is not None and bool(library) and clock.preloaded(pid, library),
        "pid": pid,
    }


_observers: list[Observer] = []


def _standing(environment: dict[str, str]) -> Observer:
    """As long as this agent lives. One that has ended makes room for another."""
    if _observers and not _observers[0].alive:
        _observers.pop().close()
    if not _observers:
        _observers.append(Observer(environment))
    return _observers[0]
