"""Histories: what clients did and saw. Recorded, read, paired, stored; judging them is the task of `checkers`."""

if __name__ != "tribulation.histories":
    raise ImportError(f"{__name__!r} is a part of tribulation\n\nhint: import tribulation.histories", name=__name__)

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .files.files import parse_history, read_history, write_history
    from .files.recorder import EventSink, MemoryRecorder, Recorder
    from .model.canonical import canonical, same
    from .model.errors import HistoryError
    from .model.history import History, pair
    from .model.notation import parse
    from .model.operation import MISMATCH, NEMESIS, Event, Operation, Type

__all__ = [
    "MISMATCH",
    "NEMESIS",
    "Event",
    "EventSink",
    "History",
    "HistoryError",
    "MemoryRecorder",
    "Operation",
    "Recorder",
    "Type",
    "canonical",
    "pair",
    "parse",
    "parse_history",
    "read_history",
    "same",
    "write_history",
]

_HOMES = {
    ".files.files": ("parse_history", "read_history", "write_history"),
    ".files.recorder": ("EventSink", "MemoryRecorder", "Recorder"),
    ".model.canonical": ("canonical", "same"),
    ".model.errors": ("HistoryError",),
    ".model.history": ("History", "pair"),
    ".model.notation": ("parse",),
    ".model.operation": ("MISMATCH", "NEMESIS", "Event", "Operation", "Type"),
}
"""Modules are imported on first use of one of their names, so that a command that reads no history does not wait for numpy."""
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOME_OF[name], __name__), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
