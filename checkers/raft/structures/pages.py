"""Whole numbers by index, in pages: most indices of a log follow each other, so a page of arrays takes a tenth of a dictionary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

_SHIFT = 10
PAGE = 1 << _SHIFT
_MOST = 1 << 63


class Pages:
    """Map from an index to `width` values. The first ones that an index was given stay. Single indices, and values other than numbers of 64 bits, are
    kept apart.
    """

    __slots__ = ("_odd", "_pages", "_single", "_width")

    def __init__(self, width: int) -> None:
        self._width = width
        self._pages: dict[int, tuple[Bool, Int64]] = {}
        self._single: dict[int, tuple[Any, ...]] = {}
        self._odd: dict[int, tuple[Any, ...]] = {}
        """Those of the single ones that no page can take."""

    def __len__(self) -> int:
        return len(self._single) + sum(int(np.count_nonzero(known)) for known, _ in self._pages.values())

    def get(self, index: int) -> tuple[Any, ...] | None:
        page = self._pages.get(index >> _SHIFT)
        if page is not None:
            known, values = page
            at = index & (PAGE - 1)
            if known[at]:
                return tuple(values[:, at].tolist())
        return self._single.get(index)

    def setdefault(self, index: int, value: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return what the index has, which is `value` if it had nothing."""
        found = self.get(index)
        if found is not None:
            return found
        fits, page = self._fits(value), self._pages.get(index >> _SHIFT)
        if fits and page is not None:
            page[0][index & (PAGE - 1)] = True
            page[1][:, index & (PAGE - 1)] = value
            return value
        self._single[index] = value
        if not fits:
            self._odd[index] = value
        return value

    def first_other(self, first: int, values: Int64) -> int | None:
        """Return the place of the first of these values, of `first` and the indices after it, where the index has another one; None if there is none."""
        end = first + values.shape[1]
        found = [index - first for index in self._odd if first <= index < end]
        for at, mine, page in self._parts(first, end):
            known, held = page
            wrong = np.flatnonzero(known[mine] & (held[:, mine] != values[:, at]).any(axis=0))
            if len(wrong):
                found.append(at.start + int(wrong[0]))
                break
        return min(found, default=None)

    def fill(self, first: int, values: Int64) -> None:
        """Give values to `first` and the indices after it. `first_other` has found none that differ."""
        for at, mine, (known, held) in self._parts(first, first + values.shape[1]):
            held[:, mine] = values[:, at]
            known[mine] = True

    def look_up(self, indices: Int64, otherwise: int) -> Int64:
        """Return the values of many indices, one column for each; `otherwise` where there are none, or other values than numbers of 64 bits."""
        found = np.full((self._width, len(indices)), otherwise, np.int64)
        number = indices >> _SHIFT
        order = np.argsort(number, kind="stable")
        bounds = np.flatnonzero(np.diff(number[order], prepend=number[order][:1] - 1))
        for rows in np.split(order, bounds[1:]) if len(order) else ():
            page = self._pages.get(int(number[rows[0]]))
            if page is not None:
                known, held = page
                at = indices[rows] & (PAGE - 1)
                found[:, rows] = np.where(known[at], held[:, at], otherwise)
        if self._single:
            for row in np.flatnonzero(np.isin(indices, np.array(list(self._single), np.int64))).tolist():
                value = self._single[int(indices[row])][: self._width]
                found[:, row] = [one if _is_small(one) else otherwise for one in value]
        return found

    def _fits(self, value: tuple[Any, ...]) -> bool:
        return len(value) == self._width and all(map(_is_small, value))

    def _parts(self, first: int, end: int) -> Iterator[tuple[slice, slice, tuple[Bool, Int64]]]:
        """Yield the pages of these indices: for each the part of the indices, the part of the page, and the page."""
        at = first
        while at < end:
            number = at >> _SHIFT
            stop = min(end, (number + 1) << _SHIFT)
            begin = at & (PAGE - 1)
            yield slice(at - first, stop - first), slice(begin, begin + stop - at), self._page(number)
            at = stop

    def _page(self, number: int) -> tuple[Bool, Int64]:
        page = self._pages.get(number)
        if page is None:
            page = self._pages[number] = np.zeros(PAGE, np.bool_), np.zeros((self._width, PAGE), np.int64)
            low = number << _SHIFT
            for index in range(low, low + PAGE) if self._single else ():
                value = self._single.get(index)
                if value is not None and index not in self._odd:
                    page[0][index - low] = True
                    page[1][:, index - low] = value
                    del self._single[index]
        return page


def _is_small(value: Any) -> bool:
    return type(value) is int and -_MOST < value < _MOST
