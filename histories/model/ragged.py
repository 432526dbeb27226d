"""Ragged data: lists, and the micro-operations of transactions, as offsets into flat arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from .canonical import in_order
from .columns import ABSENT, APPEND, CAS, NONE_ID, READ, WRITE, Int32, Lists, Txns
from .interning import Interner

KINDS = {"r": READ, "read": READ, "w": WRITE, "write": WRITE, "append": APPEND, "a": APPEND, "cas": CAS}
"""Name of a part of a transaction → its code."""


class Malformed(ValueError):
    """An invalid transaction. `number` is its place among those given."""

    def __init__(self, number: int, message: str, found: bool = True) -> None:
        super().__init__(message)
        self.number = number
        self.found = found


class ListRows:
    """Rows of `Lists`, in order of arrival."""

    def __init__(self, values: Interner) -> None:
        self._values = values
        self._lengths: list[npt.NDArray[np.int64]] = []
        self._items: list[Int32] = []
        self.count = 0

    def add(self, rows: Sequence[Sequence[Any]]) -> Int32:
        """The numbers of the new rows."""
        first, self.count = self.count, self.count + len(rows)
        self._lengths.append(np.fromiter(map(len, rows), np.int64, len(rows)))
        self._items.append(self._values.many(list(chain.from_iterable(rows))))
        return np.arange(first, self.count, dtype=np.int32)

    def finish(self) -> Lists:
        return Lists(_offsets(self._lengths), _joined(self._items, np.int32))


class TxnRows:
    """Rows of `Txns`, in order of arrival."""

    def __init__(self, keys: Interner, values: Interner, lists: ListRows) -> None:
        self._keys, self._values, self._lists = keys, values, lists
        self._lengths: list[npt.NDArray[np.int64]] = []
        self._columns: list[tuple[npt.NDArray[np.uint8], Int32, Int32, Int32]] = []
        self.count = 0

    def add(self, rows: Sequence[Sequence[Any]], known: Sequence[bool]) -> Int32:
        """Return the numbers of the new rows. `known`: the transactions in which a read of None is an observation.

        Raises `Malformed` for anything that is not a transaction.
        """
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        micro = list(chain.from_iterable(rows))
        if micro and not (set(map(type, micro)) <= _SEQUENCES and set(map(len, micro)) <= {3}):
            micro = _three_parts(rows)
        kinds, keys, parts = zip(*micro, strict=True) if micro else ((), (), ())
        values = list(parts)
        try:
            kind = np.fromiter(map(KINDS.__getitem__, kinds), np.uint8, len(micro))
        except (KeyError, TypeError):
            raise _first_malformed(rows) from None
        key = self._keys.many(keys)
        observed = np.repeat(np.fromiter(known, np.bool_, len(rows)), lengths)
        value, lists = self._cells(values, np.flatnonzero(kind == APPEND).tolist())
        value[(kind == READ) & (value == NONE_ID) & ~observed] = ABSENT
        self._lengths.append(lengths)
        self._columns.append((kind, key, value, lists))
        first, self.count = self.count, self.count + len(rows)
        return np.arange(first, self.count, dtype=np.int32)

    def _cells(self, values: list[Any], appends: Sequence[int]) -> tuple[Int32, Int32]:
        """Return ids and list rows. An appended list is a single element, which is an item in reads: it gets an id, and no row."""
        elements = [values[place] for place in appends]
        whole = not _LISTS.isdisjoint(map(type, elements))
        for place in appends if whole else ():
            values[place] = None
        ids, rows = cells(values, self._values, self._lists)
        if whole:
            ids[appends] = self._values.many(elements)
        return ids, rows

    def finish(self) -> Txns | None:
        if not self.count:
            return None
        kind, key, value, lists = (list(parts) for parts in zip(*self._columns, strict=True))
        return Txns(
            _offsets(self._lengths),
            np.concatenate(kind),
            np.concatenate(key),
            np.concatenate(value),
            np.concatenate(lists),
        )


def cells(values: list[Any], scalars: Interner, lists: ListRows) -> tuple[Int32, Int32]:
    """Value ids and list rows of `values`; in each cell one of the two is `ABSENT`."""
    kinds = set(map(type, values))
    rows = np.full(len(values), ABSENT, np.int32)
    if not kinds & _LISTS:
        return scalars.many(values), rows
    at = [place for place, value in enumerate(values) if type(value) in _LISTS]
    found = [values[place] for place in at]
    rows[at] = lists.add(found if kinds.isdisjoint(_SETS) else list(map(_sequence, found)))
    for place in at:
        values[place] = None
    ids = scalars.many(values)
    ids[at] = ABSENT
    return ids, rows


_SEQUENCES = {list, tuple}
_SETS = {set, frozenset}
_LISTS = _SEQUENCES | _SETS


def _sequence(value: Any) -> Sequence[Any]:
    return in_order(value) if isinstance(value, (set, frozenset)) else value


def _three_parts(rows: Sequence[Sequence[Any]]) -> list[Any]:
    """Reduce micro-operations of four parts, a cas with its two values separate, to three. Raises `Malformed` for one that has fewer."""
    malformed = _first_malformed(rows)
    if malformed.found:
        raise malformed
    return [[op[0], op[1], op[2] if len(op) == 3 else list(op[2:])] for row in rows for op in row]


def _first_malformed(rows: Iterable[Any]) -> Malformed:
    for number, row in enumerate(rows):
        for op in row if isinstance(row, (list, tuple)) else [row]:
            if not isinstance(op, (list, tuple)) or len(op) < 3 or not isinstance(op[0], str) or op[0] not in KINDS:
                return Malformed(number, f"{op!r} is not a part of a transaction")
    return Malformed(0, "a transaction is unreadable", found=False)


def _offsets(lengths: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(_joined(lengths, np.int64))])


def _joined(parts: list[npt.NDArray[Any]], kind: type) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, kind)
