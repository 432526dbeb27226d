"""Histories: what clients did and saw. Recorded, read, paired, stored; judging them is the task of `checkers`."""

if __name__ != "tribulation.histories":
    raise ImportError(f"{__name__!r} is a part of tribulation\n\nhint: import tribulation.histories", name=__name__)

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
