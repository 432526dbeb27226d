"""Counts of operations by kind and outcome, in intervals of the run: fast for many intervals of a large history."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tribulation.histories import Operation, Type

_ENDLESS_NS = np.iinfo(np.int64).max

Times = npt.NDArray[np.int64]

Counts = dict[str, dict[str, int]]
"""f, or another distinction of operations → how many ended ok, fail and info."""


class Crowd:
    """Built in O(n log n); each query takes O(log n) for each kind of operation."""

    def __init__(self, ops: Sequence[Operation], by: Callable[[Operation], str] = lambda op: op.f) -> None:
        groups: dict[tuple[str, str], tuple[list[int], list[int]]] = {}
        for op in ops:
            begins, ends = groups.setdefault((by(op), op.type.value), ([], []))
            begins.append(op.invoke_ns)
            # One of unknown outcome was open until its client gave up, or without end.
            ends.append(_ENDLESS_NS if op.complete_ns is None else op.complete_ns)
        self._groups = {key: (_sorted(begins), _sorted(ends)) for key, (begins, ends) in groups.items()}
        # Answers arrive in any order, so the first ok one is not that of the first invocation.
        self._first_ok_ns = min(
            (op.complete_ns for op in ops if op.type is Type.OK and op.complete_ns is not None), default=None
        )
        self._last_ok_ns = max((op.invoke_ns for op in ops if op.type is Type.OK), default=None)

    def counts(self) -> Counts:
        return self.open_in(-_ENDLESS_NS, _ENDLESS_NS)

    def open_in(self, start_ns: int, end_ns: int) -> Counts:
        """Count those that were open at some time in the interval, its ends included: begun by its end, and not ended before its start."""
        return self._counts(
            lambda begins, ends: np.searchsorted(begins, end_ns, "right") - np.searchsorted(ends, start_ns, "left")
        )

    def begun_in(self, start_ns: int, end_ns: int) -> Counts:
        """Count those that began in the interval, its end excluded."""
        return self._counts(
            lambda begins, _: np.searchsorted(begins, end_ns, "left") - np.searchsorted(begins, start_ns, "left")
        )

    def _counts(self, count: Callable[[Times, Times], np.intp]) -> Counts:
        found: Counts = {}
        for (name, kind), (begins, ends) in self._groups.items():
            number = int(count(begins, ends))
            if number:
                found.setdefault(name, {"ok": 0, "fail": 0, "info": 0})[kind] = number
        return found

    def is_around(self, start_ns: int, end_ns: int) -> bool:
        """Return whether an operation ended ok before the interval, and one that began after it did."""
        if self._first_ok_ns is None or self._last_ok_ns is None:
            return False
        return self._first_ok_ns <= start_ns and self._last_ok_ns >= end_ns


def _sorted(times_ns: list[int]) -> Times:
    return np.sort(np.asarray(times_ns, np.int64))
