"""The wall clock that the process sees: `{"offset_ns": 60000000000}`, through the file of its preloaded clock library."""

from __future__ import annotations

from typing import Any

from .. import clock, processes

Json = dict[str, Any]
NAME = "clock"


def claim(before: Json, wanted: Json, config: Json) -> Json:
    """`files` maps clock files to offsets in ns."""
    file = config.get("clock_file")
    if wanted and file is None:
        raise RuntimeError("the service was not started under a clock library, so its clock cannot be moved")
    files = {**before.get("files", {}), **({str(file): wanted["offset_ns"]} if wanted else {})}
    return {"files": files} if files else {}


def change(claimed: Json, wanted: Json, config: Json) -> Json:
    moved = {str(config["clock_file"]): wanted["offset_ns"]} if wanted else {}
    for path in claimed.get("files", {}):
        clock.set_offset(path, moved.get(path, 0))
    return {"files": moved} if moved else {}


def undo(force: Json) -> list[str]:
    undone = []
    for path in force.get("files", {}):
        offset_ns = clock.get_offset(path)
        if offset_ns:
            clock.set_offset(path, 0)
            undone.append(f"clock: {path} was off by {offset_ns} ns")
    return undone


def look(request: Json, config: Json) -> Json:
    """What a process under the clock library sees, and whether the service is one."""
    pid = processes.find(config.get("process") or {})
    library = config.get("clock_library") or ""
    offset_ns, error_ns = clock.observe(config.get("clock_environment") or {})
    return {
        "offset_ns": offset_ns,
        "error_ns": error_ns,
        "preloaded": pid is not None and bool(library) and clock.preloaded(pid, library),
        "pid": pid,
    }
