"""Objects of a history as columns: the rows of each object, and the names of its operations.

An object is one key of one workload. Linearizability is local, so each is judged by itself; values are not examined here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tribulation.histories.model.columns import ABSENT, OK, Columns, Int64

_RADIX = 1 << 16


@dataclass(frozen=True, slots=True)
class Objects:
    """`rows[offsets[i]:offsets[i + 1]]` are the rows of object `i`, in order of invocation; `names[i]` is its workload and key."""

    columns: Columns
    rows: Int64
    offsets: Int64
    names: Sequence[tuple[str | None, Any]]

    def __len__(self) -> int:
        return len(self.names)

    def rows_of(self, number: int) -> Int64:
        return self.rows[self.offsets[number] : self.offsets[number + 1]]

    def only(self, numbers: Sequence[int]) -> Objects:
        """Return some of the objects, in this order."""
        if list(numbers) == list(range(len(self))):
            return self
        parts = [self.rows_of(number) for number in numbers]
        lengths = [len(part) for part in parts]
        rows = np.concatenate(parts) if parts else np.zeros(0, np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return Objects(self.columns, rows, offsets, [self.names[number] for number in numbers])

    def operation_names(self) -> list[frozenset[str]]:
        """Return for each object the names (`f`) of its operations."""
        columns = self.columns
        number = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        found: list[set[str]] = [set() for _ in self.names]
        for pair in np.flatnonzero(np.bincount(number * 256 + columns.f[self.rows])).tolist():
            found[pair >> 8].add(columns.f_names[pair & 255])
        return [frozenset(names) for names in found]


def objects_of(columns: Columns, level: str) -> Objects:
    """Return the objects with at least one operation that happened, of `level` or of no level, in order of their first invocation."""
    rows = _of_level(columns, level)
    code = _codes(columns, rows)
    if len(code) and (code == code[0]).all():
        order, starts = np.arange(len(code)), np.zeros(1, np.int64)
    else:
        # Small numbers sort by radix, in linear time.
        narrow = code.astype(np.uint16) if len(code) and code.max() < _RADIX else code
        order = np.argsort(narrow, kind="stable")
        ordered = code[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(code) else code
    names = [_name(columns, int(code[order[start]])) for start in starts.tolist()]
    found = Objects(columns, rows[order], np.append(starts, len(rows)).astype(np.int64), names)
    happened = np.concatenate([[0], np.cumsum(columns.type[found.rows] == OK)])
    judged = np.flatnonzero(happened[found.offsets[1:]] > happened[found.offsets[:-1]])
    first = found.rows[found.offsets[judged]] if len(judged) else judged
    return found.only(judged[np.argsort(first)].tolist())


def _of_level(columns: Columns, level: str) -> Int64:
    counts = [code for code, name in enumerate(columns.level_names) if name is None or name == level]
    if len(counts) == len(columns.level_names):
        return np.arange(len(columns))
    return np.flatnonzero(np.isin(columns.level, counts))


def _codes(columns: Columns, rows: Int64) -> Int64:
    """Return one number for workload and key together, by row."""
    return columns.workload[rows].astype(np.int64) * (len(columns.keys) + 1) + (columns.key[rows] - ABSENT)


def _name(columns: Columns, code: int) -> tuple[str | None, Any]:
    workload, key = divmod(code, len(columns.keys) + 1)
    return columns.workload_names[workload], None if key == 0 else columns.keys[key - 1]


def labels(names: Iterable[tuple[str | None, Any]]) -> list[str]:
    """Return the names of objects in statistics."""
    from ...base.wording import show

    return [show(key) if workload is None else f"{workload}/{show(key)}" for workload, key in names]
