"""Counts of operations by kind and outcome, in intervals of the run: fast for many intervals of a large history."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tribulation.histories.model.columns import FAIL, INFO, NO_NUMBER, OK, Int32, UInt8

from .logged import Logged

_ENDLESS_NS = np.iinfo(np.int64).max
OUTCOMES = {OK: "ok", FAIL: "fail", INFO: "info"}

Times = npt.NDArray[np.int64]
Ids = UInt8 | Int32

Counts = dict[str, dict[str, int]]
"""f, or another distinction of operations → how many ended ok, fail and info."""


class Crowd:
    """Index of the operations of a run. It is built in O(n log n), and each query takes O(log n) for each kind of operation. `kinds` index `names`."""

    def __init__(self, ops: Logged, kinds: Ids, names: Sequence[str]) -> None:
        # One of unknown outcome was open until its client gave up, or without end.
        ends = np.where(ops.complete_ns == NO_NUMBER, _ENDLESS_NS, ops.complete_ns)
        codes = kinds.astype(np.int64) * len(OUTCOMES) + ops.type
        _, first = np.unique(codes, return_index=True)
        self._groups = {}
        for at in np.sort(first):
            mine = codes == codes[at]
            group = names[kinds[at]], OUTCOMES[ops.type[at]]
            self._groups[group] = np.sort(ops.invoke_ns[mine]), np.sort(ends[mine])
        # Answers arrive in any order, so the first ok one is not that of the first invocation.
        answered = ends[ops.ok & (ops.complete_ns != NO_NUMBER)]
        asked = ops.invoke_ns[ops.ok]
        self._first_ok_ns = int(answered.min()) if len(answered) else None
        self._last_ok_ns = int(asked.max()) if len(asked) else None

    @classmethod
    def by_f(cls, ops: Logged) -> Crowd:
        return cls(ops, ops.f, ops.f_names)

    @classmethod
    def by_node(cls, ops: Logged) -> Crowd:
        """The name that stands for no node: no node has an empty name."""
        return cls(ops, ops.node, [*ops.names, ""])

    def counts(self) -> Counts:
        return self.open_in(-_ENDLESS_NS, _ENDLESS_NS)

    def open_in(self, start_ns: int, end_ns: int) -> Counts:
        """Count operations that were open at some time in the interval, including its ends."""
        return self._counts(
            lambda begins, ends: np.searchsorted(begins, end_ns, "right") - np.searchsorted(ends, start_ns, "left")
        )

    def begun_in(self, start_ns: int, end_ns: int) -> Counts:
        """Count operations that began in the interval, excluding its end."""
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
