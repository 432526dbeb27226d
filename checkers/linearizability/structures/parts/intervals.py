"""Intervals over positions: what a sequence of groups allows, what a union of intervals covers, and which deadline cannot be met.

Positions are distinct integers. A *gap* lies between two neighbouring positions, a moment at which an operation may take effect; gap i follows the
i-th smallest position. An operation with start s and end e has the gaps from s up to, not including, e.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tribulation.histories.model.columns import OPEN, Int64

Mask = npt.NDArray[np.bool_]


def out_of_order(start: Int64, end: Int64, group: Int64) -> tuple[int, int] | None:
    """Return where an order of groups contradicts real time: places (late, early), where `late` must come before `early`, which had returned before
    `late` began. None when the order is legal.

    `group` grows; inside a group any order is allowed. The order is legal iff no operation began after a member of a later group had returned.
    """
    if len(group) < 2:
        return None
    before = np.maximum.accumulate(start)
    after = np.minimum.accumulate(end[::-1])[::-1]
    border = np.flatnonzero(group[1:] != group[:-1]) + 1
    broken = border[before[border - 1] > after[border]]
    if not len(broken):
        return None
    at = int(broken[0])
    return int(np.argmax(start[:at])), at + int(np.argmin(end[at:]))


@dataclass(frozen=True, slots=True)
class Gaps:
    """Gaps between the positions of one object. `count` includes the last, which lies after everything."""

    positions: Int64

    @staticmethod
    def of(*positions: Int64) -> Gaps:
        together = np.concatenate(positions)
        return Gaps(np.sort(together[together < OPEN]))

    @property
    def count(self) -> int:
        return len(self.positions) + 1

    def after(self, position: Int64) -> Int64:
        """Return the gap that follows each position; for `OPEN` the number of gaps, so that an interval up to there includes the last."""
        found: Int64 = np.searchsorted(self.positions, position, side="right")
        return np.where(position == OPEN, self.count, found)


def coverage(first: Int64, last: Int64, count: int) -> Int64:
    """Return how many of the intervals [first, last) cover each of `count` gaps; empty ones count for nothing."""
    real = first < last
    change = np.bincount(first[real], minlength=count + 1) - np.bincount(last[real], minlength=count + 1)
    found: Int64 = np.cumsum(change[:count])
    return found


def covered_wholly(first: Int64, last: Int64, cover: Int64) -> Mask:
    """Return which of the intervals [first, last) have no gap with cover 0."""
    free_before = np.concatenate([[0], np.cumsum(cover == 0)])
    found: Mask = free_before[last] == free_before[first]
    return found


def greatest_over(first: Int64, last: Int64, weight: Int64, count: int) -> Int64:
    """Return for each gap the greatest weight among the intervals [first, last) over it, -1 where there is none.

    Every interval is the union of two blocks of a power of two; blocks are halved from long to short, so it takes O((n + count) log n).
    """
    real = first < last
    first, last, weight = first[real], last[real], weight[real]
    level = _levels(last - first)
    best = np.full(count, -1, np.int64)
    for size in range(int(level.max(initial=0)), -1, -1):
        here = level == size
        np.maximum.at(best, first[here], weight[here])
        np.maximum.at(best, last[here] - (1 << size), weight[here])
        if size:
            half = 1 << (size - 1)
            # What holds for a block of this size holds for both its halves.
            best[half:] = np.maximum(best[half:], best[:-half].copy())
    return best


def least_within(values: Int64, first: Int64, last: Int64) -> Int64:
    """Return the least of `values[first:last]` for each query; queries must not be empty."""
    answer = np.empty(len(first), np.int64)
    level = _levels(last - first)
    table = values
    for size in range(int(level.max(initial=0)) + 1):
        here = np.flatnonzero(level == size)
        if len(here):
            answer[here] = np.minimum(table[first[here]], table[last[here] - (1 << size)])
        half = 1 << size
        if len(table) > half:
            table = np.minimum(table[:-half], table[half:])
    return answer


def _levels(lengths: Int64) -> Int64:
    exponent: Int64 = np.frexp(lengths.astype(np.float64))[1].astype(np.int64)
    return np.maximum(exponent - 1, 0)


def unmet(deadlines: Int64, available: Int64) -> int | None:
    """Return the place of the first deadline that cannot be met; None if the i-th of `available` meets the i-th deadline.

    Each deadline needs one of `available` before it, no two the same (Hall's theorem for nested deadlines). Both must be sorted.
    """
    if not len(deadlines):
        return None
    short = np.flatnonzero(np.searchsorted(available, deadlines) < np.arange(1, len(deadlines) + 1))
    return int(short[0]) if len(short) else None


def thinnest_cover(target: tuple[int, int], first: Int64, last: Int64) -> list[int] | None:
    """Return the fewest of the intervals [first, last) whose union covers the target; None when it is not covered."""
    order = np.argsort(first, kind="stable")
    at, chosen, reach = 0, [], target[0]
    while reach < target[1]:
        best, best_last = -1, reach
        while at < len(order) and first[order[at]] <= reach:
            if last[order[at]] > best_last:
                best, best_last = int(order[at]), int(last[order[at]])
            at += 1
        if best < 0:
            return None
        chosen.append(best)
        reach = best_last
    return chosen
