"""Facts of one kind as columns of whole numbers, added one by one or many at once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]

T = TypeVar("T", bound=Hashable)

NONE = -(1 << 63)
"""The number that stands for None. Numbers in a trace are much smaller."""


class Codes(Generic[T]):
    """Values as numbers, in order of first use."""

    __slots__ = ("_codes", "values")

    def __init__(self) -> None:
        self.values: list[T] = []
        self._codes: dict[T, int] = {}

    def of(self, value: T) -> int:
        code = self._codes.setdefault(value, len(self.values))
        if code == len(self.values):
            self.values.append(value)
        return code

    def of_each(self, values: Sequence[T], which: Int64) -> Int64:
        """Return the codes of `values[one]` for each one of `which`."""
        return np.array([self.of(value) for value in values], np.int64)[which]


class Rows:
    """One row for each fact, in the order in which they were added."""

    __slots__ = ("_blocks", "_count", "_one_by_one", "_width")

    def __init__(self, width: int) -> None:
        self._width = width
        self._blocks: list[Int64] = []
        self._one_by_one: list[tuple[int, ...]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, row: tuple[int, ...]) -> None:
        self._one_by_one.append(row)
        self._count += 1

    def extend(self, columns: Sequence[Int64]) -> None:
        """Add rows: for each column its numbers."""
        self._join()
        self._blocks.append(np.array(columns, np.int64))
        self._count += len(columns[0])

    @property
    def columns(self) -> Int64:
        """All columns as an array of shape (width, rows)."""
        self._join()
        if len(self._blocks) != 1:
            whole = np.concatenate(self._blocks, axis=1) if self._blocks else np.zeros((self._width, 0), np.int64)
            self._blocks = [whole]
        return self._blocks[0]

    def _join(self) -> None:
        if self._one_by_one:
            self._blocks.append(np.array(self._one_by_one, np.int64).T)
            self._one_by_one = []


class Forms(NamedTuple):
    """The rows of several columns, each once (`values`), and which of them each row is."""

    values: list[tuple[int, ...]]
    which: Int64


def forms_of(*columns: Int64) -> Forms:
    which: Int64 = np.zeros(len(columns[0]), np.int64)
    first = np.zeros(0, np.intp)
    for column in columns:
        _, each = np.unique(column, return_inverse=True)
        _, first, which = np.unique(which * (len(each) + 1) + each, return_index=True, return_inverse=True)
    return Forms([tuple(int(column[at]) for column in columns) for at in first.tolist()], which)


def highest_of_each(group: Int64, values: Int64) -> dict[int, int]:
    """Return by group the first of its rows with its highest value. Rows of the group `NONE` are left out."""
    order = np.lexsort((np.arange(len(group)), -values, group))
    groups, first = np.unique(group[order], return_index=True)
    found = zip(groups.tolist(), order[first].tolist(), strict=True)
    return {one: row for one, row in found if one != NONE}
