"""A few operations on integer arrays, by sorting: keys here come nearly sorted, which a stable sort uses and a hash table does not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


def ragged(start: Int64, size: Int64) -> Int64:
    """Return the indices start[0] .. start[0]+size[0]-1, start[1] .. and so on."""
    ends = np.cumsum(size)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(start - (ends - size), size) + np.arange(total, dtype=np.int64)


def distinct(values: npt.NDArray[np.integer]) -> Int64:
    """Return the values, sorted, each once."""
    ordered = np.sort(values, kind="stable")
    return np.asarray(ordered[begins(ordered)])


def first_of_each(values: Int64) -> tuple[Int64, Int64]:
    """Return the values, sorted, each once, and the first place of each."""
    order = np.argsort(values, kind="stable")
    fresh = begins(values[order])
    return values[order[fresh]], order[fresh]


def begins(ordered: npt.NDArray[np.integer]) -> Bool:
    """Return a mask of the values that differ from the one before them; the first does."""
    fresh = np.ones(len(ordered), bool)
    fresh[1:] = ordered[1:] != ordered[:-1]
    return fresh


def find(ordered: Int64, wanted: Int64) -> tuple[Int64, Bool]:
    """Return the place of each wanted value in the sorted ones, and whether it is there."""
    if not len(ordered):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    at = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return at, np.asarray(ordered[at] == wanted)


def find_unsorted(values: Int64, wanted: Int64) -> tuple[Int64, Bool]:
    """Return the place of each wanted value among the values, and whether it is there."""
    order = np.argsort(values, kind="stable")
    at, known = find(values[order], wanted)
    return (order[at] if len(order) else at), known
