"""Delta debugging: reduces a failing sequence to a failing one in which every item is needed.

ddmin([1, 2, 3, 4, 5, 6], lambda kept: 2 in kept and 5 in kept).items     # (2, 5)

The algorithm is ddmin (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28(2), 2002), with its
complements only: after the empty sequence and the halves, testing only a small part is rarely worth a run (Hodován and Kiss, A-TEST 2016).
Parts are removed from the end, because late events are rarely the cause. It is independent of plans and histories.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from .allowance import Allowance, SpentError

T = TypeVar("T")

Progress = Callable[[int, int], None]
"""Called after each test with the number of items left and the number of tests."""


@dataclass(frozen=True, slots=True)
class Minimum(Generic[T]):
    """`items` fail, in their old order. `one_minimal`: each of them was removed once, by itself, and the rest did not fail."""

    items: tuple[T, ...]
    one_minimal: bool
    tests: int


def ddmin(
    items: Sequence[T],
    fails: Callable[[tuple[T, ...]], bool],
    allowance: Allowance | None = None,
    progress: Progress = lambda left, tests: None,
) -> Minimum[T]:
    """The smallest failing part of `items` that the algorithm finds. `fails(items)` is assumed to be true.

    `fails` need not be monotone, but must answer the same for the same items; no part is tested twice. When the allowance is spent, or `fails`
    raises `SpentError`, the result is the best so far, and `one_minimal` is false unless it was shown before.
    """
    search = _Search(items, fails, allowance or Allowance(), progress)
    try:
        search.run()
        complete = True
    except SpentError:
        complete = False
    return Minimum(tuple(items[index] for index in search.kept), complete, search.tests)


class _Search(Generic[T]):
    """Works on indices, so that equal items are distinguished."""

    def __init__(
        self, items: Sequence[T], fails: Callable[[tuple[T, ...]], bool], allowance: Allowance, progress: Progress
    ) -> None:
        self.kept: tuple[int, ...] = tuple(range(len(items)))
        self.tests = 0
        self._items = items
        self._fails = fails
        self._allowance = allowance
        self._progress = progress
        self._passed: set[tuple[int, ...]] = set()

    def run(self) -> None:
        if not self.kept or self._accepts(()):
            return
        size = len(self.kept) // 2
        while size > 1:
            self._sweep(size)
            size = min(size, len(self.kept)) // 2
        self._one_by_one()

    def _sweep(self, size: int) -> None:
        """Remove each part of `size` items once, the last one first."""
        end = len(self.kept)
        while end > 0:
            start = max(0, end - size)
            self._accepts(self.kept[:start] + self.kept[end:])
            end = start

    def _one_by_one(self) -> None:
        """Remove single items in turn, until each was refused since the last success: 1-minimality.

        A refusal counts only for the items present at that time. After every success all are tried again, which matters where `fails` is not monotone.
        """
        at, refused = len(self.kept) - 1, 0
        while self.kept and refused < len(self.kept):
            if self._accepts(self.kept[:at] + self.kept[at + 1 :]):
                refused = 0
            else:
                refused += 1
            at = at - 1 if at > 0 else len(self.kept) - 1

    def _accepts(self, candidate: tuple[int, ...]) -> bool:
        """Test a part, and keep it if it fails."""
        if candidate in self._passed:
            return False
        self._allowance.spend()
        self.tests += 1
        failed = self._fails(tuple(self._items[index] for index in candidate))
        if failed:
            self.kept = candidate
        else:
            self._passed.add(candidate)
        self._progress(len(self.kept), self.tests)
        return failed
