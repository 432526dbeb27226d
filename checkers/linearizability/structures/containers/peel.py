"""The peeling of a stack: again and again a value that can be the outermost one is removed.

A value is certainly inside during its *core*, from the end of its push to the start of its pop. It can be outermost if its push and its pop each have
a moment (a gap) in no core of the values that remain. A stack's history is legal exactly if all values can be peeled (Abdulla et al., PLDI 2025; Lee
and Mathur, OOPSLA 2025, for O(n log n)). Moments freed once stay free.

Trees over gaps (how many cores cover each; range subtraction, least of all) and over operations (which starts first; latest end in a prefix) make it
O(n log n). The loops are simple enough to be compiled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tribulation.histories.model.columns import Int64

from ...compiled import fast
from ..parts.intervals import coverage

_FAR = 1 << 40


@dataclass(frozen=True, slots=True)
class Peeled:
    """`turn`: for each value when it was peeled, -1 if it is stuck. `freed`: for each gap how many values were peeled before it was free, -1 if never."""

    turn: Int64
    freed: Int64

    @property
    def stuck(self) -> Int64:
        return np.flatnonzero(self.turn < 0)


def peel(push_first: Int64, push_last: Int64, pop_first: Int64, pop_last: Int64, gaps: int) -> Peeled:
    """Peel as many values as possible. The gaps of the push and the pop of a value are [first, last). A value whose push and pop overlap has no core."""
    values = len(push_first)
    first = np.concatenate([push_first, pop_first])
    last = np.concatenate([push_last, pop_last])
    by_first = np.argsort(first, kind="stable")
    size = 1 << max(gaps - 1, 1).bit_length()
    least = np.full(2 * size, _FAR, np.int64)
    least[size : size + gaps] = coverage(push_last, pop_first, gaps)
    _build(least, size, np.minimum)
    op_size = 1 << max(2 * values - 1, 1).bit_length()
    latest = np.full(2 * op_size, -1, np.int64)
    latest[op_size : op_size + 2 * values] = last[by_first]
    _build(latest, op_size, np.maximum)
    begun = np.searchsorted(first[by_first], np.arange(gaps), side="right")
    turn, freed = np.full(values, -1, np.int64), np.full(gaps, -1, np.int64)
    run: Any = fast(_peel, 12 * values, *CALLED)
    run(least, size, latest, op_size, by_first, begun, push_last, pop_first, turn, freed)
    return Peeled(turn, freed)


def _build(tree: Int64, size: int, join: Any) -> None:
    while size > 1:
        tree[size // 2 : size] = join(tree[size : 2 * size : 2], tree[size + 1 : 2 * size : 2])
        size //= 2


def _renew(least: Int64, less: Int64, node: int) -> None:
    """Compute `least` again from `node` upwards."""
    while node:
        least[node] = min(least[2 * node], least[2 * node + 1]) - less[node]
        node //= 2


def _free(least: Int64, less: Int64, size: int) -> int:
    """Take a gap that nothing covers; it is free from now on."""
    node, above = 1, 0
    while node < size:
        above += less[node]
        node *= 2
        if least[node] - above != 0:
            node += 1
    least[node] = 1 << 40
    _renew(least, less, node // 2)
    return node - size


def _take(latest: Int64, size: int, begun: int, gap: int) -> int:
    """Remove one of the first `begun` operations, the one that ends last, if it ends after `gap`; -1 if none does."""
    best, spot = -1, 0
    left, right = size, size + begun
    while left < right:
        if left & 1:
            if latest[left] > best:
                best, spot = latest[left], left
            left += 1
        if right & 1:
            right -= 1
            if latest[right] > best:
                best, spot = latest[right], right
        left //= 2
        right //= 2
    if best <= gap:
        return -1
    while spot < size:
        spot *= 2
        if latest[spot] != best:
            spot += 1
    taken = spot - size
    while spot:
        latest[spot] = -1 if spot >= size else max(latest[2 * spot], latest[2 * spot + 1])
        spot //= 2
    return taken


def _uncover(least: Int64, less: Int64, size: int, first: int, last: int) -> None:
    """Subtract one core from the gaps [first, last)."""
    left, right = first + size, last + size
    while left < right:
        if left & 1:
            least[left] -= 1
            less[left] += 1
            left += 1
        if right & 1:
            right -= 1
            least[right] -= 1
            less[right] += 1
        left //= 2
        right //= 2
    _renew(least, less, (first + size) // 2)
    _renew(least, less, (last + size - 1) // 2)


CALLED = (_renew, _free, _take, _uncover)
"""What `_peel` calls, for the compiler."""


def _peel(
    least: Int64,
    size: int,
    latest: Int64,
    op_size: int,
    by_first: Int64,
    begun: Int64,
    core_first: Int64,
    core_last: Int64,
    turn: Int64,
    freed: Int64,
) -> None:
    """Fill `turn` and `freed`. `least[node]` is the least cover below a node, including the subtractions from whole nodes (`less`) of it and of what
    is below.
    """
    values = len(turn)
    less = np.zeros(2 * size, np.int64)
    waits = np.full(values, 2, np.int64)
    ready = np.empty(values, np.int64)
    peeled = count = 0
    while True:
        while least[1] == 0:
            gap = _free(least, less, size)
            freed[gap] = peeled
            while True:
                # Every operation that has this gap and had none before.
                op = _take(latest, op_size, begun[gap], gap)
                if op < 0:
                    break
                value = by_first[op] % values
                waits[value] -= 1
                if waits[value] == 0:
                    ready[count] = value
                    count += 1
        if peeled == count:
            return
        value = ready[peeled]
        turn[value] = peeled
        peeled += 1
        if core_first[value] < core_last[value]:
            _uncover(least, less, size, core_first[value], core_last[value])
