"""Histories: what clients did and saw. Recorded, read, paired, stored; never judged (that is `checkers`)."""

from .canonical import canonical, same
from .errors import HistoryError
from .files import parse_history, read_history, write_history
from .history import History, pair
from .notation import parse
from .operation import MISMATCH, NEMESIS, Event, Operation, Type
from .recorder import EventSink, MemoryRecorder, Recorder

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
