"""Fields of events about the system's log, as arrays: what `columns.Replies` is made from.

If a value has a type that no system writes there, the whole history has no `Replies`: its operations are then read as objects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import UNSET, UnsetType

from ..model.columns import NO_NUMBER, Int32, Int64, Replies, UInt8
from ..model.operation import FOUND_NOTHING, MISMATCH, Event

EXTRA = ("log_index", "term", "served_by", "session", "seq", "stale", "effect", "ts")
"""Fields of a line that an event has in `extra`."""
FIELDS = ("node", "error", *EXTRA)

Lists = dict[str, list[Any]]
"""Field → its values in consecutive events; `UNSET` where an event lacks it."""

_MISSING, _EMPTY = -1, -2
"""Ids: the event lacks the field; its value is null."""
_MISSING_NUMBER = NO_NUMBER + 1
_LIMIT = 1 << 62
_ERRORS: dict[Any, int] = {None: 0, MISMATCH: Replies.SAW_OTHER, **dict.fromkeys(FOUND_NOTHING, Replies.FOUND_NOTHING)}
_STALE = {UNSET: 0, None: 1, False: 1, True: 2}
_ABSENT = {type(None), UnsetType}
_NO_TIME = _ABSENT | {str}


class Irregular(ValueError):
    """A value of a type that no system writes there."""


def of_events(events: Sequence[Event]) -> Lists:
    found = {name: [event.extra.get(name, UNSET) for event in events] for name in EXTRA}
    return {"node": [event.node for event in events], "error": [event.error for event in events], **found}


class ReplyTables:
    """Builder of the arrays of one history, part by part. Names and sessions get ids."""

    def __init__(self) -> None:
        self._names, self._sessions = _table(), _table()

    @property
    def names(self) -> list[str]:
        return _values(self._names)

    def arrays(self, lists: Lists | None) -> dict[str, npt.NDArray[Any]]:
        """One array for each field. Raises `Irregular`, also where no fields were read."""
        if lists is None:
            raise Irregular("the fields could not be read")
        nodes = lists["node"]
        if int in set(map(type, nodes)):
            nodes = [str(node) if type(node) is int else node for node in nodes]
        errors = _refuse_others(lists["error"], {str})
        stale = _refuse_others(lists["stale"], {bool})
        _refuse_others(lists["seq"], {int})
        timeless = set(map(type, lists["ts"])) <= _NO_TIME
        size = len(nodes)
        return {
            "node": _ids(nodes, {str}, self._names),
            "error": _bytes((_ERRORS.get(error, 0) for error in lists["error"]) if str in errors else (), size),
            "log_index": _numbers(lists["log_index"]),
            "term": _numbers(lists["term"]),
            "served_by": _ids(lists["served_by"], {str}, self._names),
            "session": _ids(lists["session"], {str, int}, self._sessions),
            "seq": _numbers(lists["seq"]),
            "stale": _bytes(map(_STALE.__getitem__, lists["stale"]) if stale != {UnsetType} else (), size),
            "effect": _ids(lists["effect"], {str}, self._names),
            "ts": _bytes(() if timeless else (type(value) not in _NO_TIME for value in lists["ts"]), size),
        }

    def finish(self, invoked: dict[str, npt.NDArray[Any]], ended: dict[str, npt.NDArray[Any]]) -> Replies:
        """The fields of operations. What a completion has counts, else what the invocation has; errors are those of completions."""
        found = {name: np.where(_lacks(ended[name]), invoked[name], ended[name]) for name in EXTRA}
        node = np.where(ended["node"] >= 0, ended["node"], invoked["node"])
        served_by = np.maximum(np.where(_lacks(found["served_by"]), node, found["served_by"]), -1)
        names = {"asked": invoked["node"], "answered": ended["node"], **found}
        numbers = {name: found[name] for name in ("log_index", "term", "seq")}
        return Replies(
            **{name: np.maximum(names[name], -1) for name in ("asked", "answered", "session", "effect")},
            served_by=served_by,
            **{name: np.where(values == _MISSING_NUMBER, NO_NUMBER, values) for name, values in numbers.items()},
            error=ended["error"],
            stale=found["stale"] == _STALE[True],
            timed=bool(invoked["ts"].any() or ended["ts"].any()),
            names=self.names,
            sessions=_values(self._sessions),
        )


def _table() -> defaultdict[Any, int]:
    table: defaultdict[Any, int] = defaultdict(count().__next__)
    table[UNSET], table[None] = _MISSING, _EMPTY
    return table


def _values(table: dict[Any, int]) -> list[Any]:
    return [value for value, number in table.items() if number >= 0]


def _refuse_others(values: Sequence[Any], kinds: set[type]) -> set[type]:
    found = set(map(type, values))
    if not found <= kinds | _ABSENT:
        raise Irregular(f"a value has one of the types {sorted(kind.__name__ for kind in found)}")
    return found


def _bytes(values: Iterable[int], size: int) -> UInt8:
    """The values, or zeros where there is none."""
    return np.zeros(size, np.uint8) if values == () else np.fromiter(values, np.uint8, size)


def _ids(values: Sequence[Any], kinds: set[type], table: dict[Any, int]) -> Int32:
    if _refuse_others(values, kinds) == {UnsetType}:
        return np.full(len(values), _MISSING, np.int32)
    return np.fromiter(map(table.__getitem__, values), np.int32, len(values))


def _numbers(values: Sequence[Any]) -> Int64:
    if _refuse_others(values, {int}) == {UnsetType}:
        return np.full(len(values), _MISSING_NUMBER)
    given = [_MISSING_NUMBER if value is UNSET else NO_NUMBER if value is None else value for value in values]
    try:
        found = np.array(given, np.int64)
    except OverflowError:
        raise Irregular("a number is beyond 64 bits") from None
    absent = values.count(UNSET) + values.count(None)
    if found.max(initial=0) > _LIMIT or np.count_nonzero(found < -_LIMIT) != absent:
        raise Irregular("a number is beyond 2^62")
    return found


def _lacks(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    missing = {np.dtype(np.int64): _MISSING_NUMBER, np.dtype(np.int32): _MISSING, np.dtype(np.uint8): 0}
    found: npt.NDArray[np.bool_] = values == missing[values.dtype]
    return found
