"""Histories of many keys with key and value in the value field: `[key, value]`, as Jepsen's independent tests record them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .columns import ABSENT, NONE_ID, Columns, Int32, Int64, Lists
from .errors import HistoryError
from .interning import Interner

_READS = ("read", "get")


def looks_keyed(columns: Columns) -> bool:
    """Return whether every invocation has the value `[key, value]`. The evidence is that reads, which have no argument, have `[key, null]`."""
    reads = [code for code, name in enumerate(columns.f_names) if name in _READS]
    reading = np.isin(columns.f, reads)
    if not reading.any() or (columns.key != ABSENT).any() or (columns.argument_list == ABSENT).any():
        return False
    starts, lengths = _extent(columns, columns.argument_list)
    if (lengths != 2).any():
        return False
    return bool((columns.lists.items[starts[reading] + 1] == NONE_ID).all())


def split_keys(columns: Columns, source: str | None = None) -> Columns:
    """Return the same operations with separate keys. Raises `HistoryError` where a value is not `[key, value]`."""
    place = f"{source}: " if source else ""
    argued = _pairs(columns, columns.argument_list, np.ones(len(columns), np.bool_), place, "argument")
    answers = columns.result_list != ABSENT
    answered = _pairs(columns, columns.result_list, answers, place, "result")
    unlike = np.flatnonzero(answers & (argued[0] != answered[0]))
    if len(unlike):
        row = int(unlike[0])
        raise HistoryError(
            f"{place}the operation of index {columns.invoke[row]} is about key {columns.values[argued[0][row]]!r},"
            f" its completion about key {columns.values[answered[0][row]]!r}",
            "a completion repeats the key of its invocation",
        )
    names, key = np.unique(argued[0], return_inverse=True)
    lists = _Unpacked(columns)
    argument, argument_list = lists.cells(argued[1], np.full(len(columns), ABSENT, np.int32))
    unanswered = np.where(answers, ABSENT, columns.result)
    result, result_list = lists.cells(np.where(answers, answered[1], unanswered).astype(np.int32), None)
    return replace(
        columns,
        key=key.astype(np.int32),
        keys=[columns.values[name] for name in names.tolist()],
        argument=argument,
        argument_list=argument_list,
        result=result,
        result_list=result_list,
        values=lists.values,
        lists=lists.finish(),
    )


def _pairs(columns: Columns, rows: Int32, wanted: npt.NDArray[np.bool_], place: str, what: str) -> tuple[Int32, Int32]:
    """Ids of key and value of each wanted row's list, `ABSENT` elsewhere."""
    starts, lengths = _extent(columns, rows)
    wrong = np.flatnonzero(wanted & (lengths != 2))
    if len(wrong):
        row = int(wrong[0])
        raise HistoryError(
            f"{place}the {what} of the operation {columns.f_names[columns.f[row]]!r} of index {columns.invoke[row]} is not [key, value]",
            "keys are given either in a field `key` or in every value",
        )
    keys = np.full(len(columns), ABSENT, np.int32)
    values = np.full(len(columns), ABSENT, np.int32)
    keys[wanted] = columns.lists.items[starts[wanted]]
    values[wanted] = columns.lists.items[starts[wanted] + 1]
    return keys, values


def _extent(columns: Columns, rows: Int32) -> tuple[Int64, Int64]:
    """Start and length of each row's list; length -1 where there is none."""
    offsets = columns.lists.offsets
    present = rows != ABSENT
    at = np.where(present, rows, 0)
    if len(offsets) < 2:
        return np.zeros(len(rows), np.int64), np.full(len(rows), -1, np.int64)
    return offsets[at], np.where(present, offsets[at + 1] - offsets[at], -1)


class _Unpacked:
    """Make separate rows of values that were lists within `[key, value]`, and so had an id."""

    def __init__(self, columns: Columns) -> None:
        self._old = columns.lists
        self.values: Sequence[Any] = columns.values
        self._nested = np.fromiter(
            (number for number, value in enumerate(columns.values) if isinstance(value, (list, tuple))), np.int32
        )
        self._rows: list[Int32] = []
        self._lengths: list[int] = []
        if len(self._nested):
            table = Interner(columns.values)
            for number in self._nested.tolist():
                items = table.many(list(columns.values[number]))
                self._rows.append(items)
                self._lengths.append(len(items))
            self.values = table.table()

    def cells(self, ids: Int32, rows: Int32 | None) -> tuple[Int32, Int32]:
        """The ids of scalars, and the rows of those that are lists."""
        rows = np.full(len(ids), ABSENT, np.int32) if rows is None else rows
        if not len(self._nested):
            return ids, rows
        at = np.searchsorted(self._nested, ids)
        at[at == len(self._nested)] = 0
        is_list = self._nested[at] == ids
        first = len(self._old.offsets) - 1
        return np.where(is_list, np.int32(ABSENT), ids), np.where(is_list, (first + at).astype(np.int32), rows)

    def finish(self) -> Lists:
        if not self._rows:
            return self._old
        ends = int(self._old.offsets[-1]) + np.cumsum(np.array(self._lengths, np.int64))
        return Lists(np.concatenate([self._old.offsets, ends]), np.concatenate([self._old.items, *self._rows]))
