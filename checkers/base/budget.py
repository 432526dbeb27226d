"""Budgets of a check: a meter that long loops charge, and that stops them when the time or memory is exhausted."""

from __future__ import annotations

import time

from .result import Budget

_LOOK_EVERY = 512

NOWHERE = -1


class OutOfBudget(Exception):
    """A bound of the budget was reached. `what` is "time" or "memory"; `position` is the position in the history that the work had reached (or
    `NOWHERE`).
    """

    def __init__(self, what: str, limit: str, position: int) -> None:
        super().__init__(f"the {what} budget of {limit} is exhausted")
        self.what = what
        self.limit = limit
        self.position = position


class Meter:
    """Meter of one check. It counts the bytes that the caller reports, and reads the clock every few hundred charges."""

    def __init__(self, time_s: float, memory_mb: float, whole: Budget | None = None) -> None:
        self._memory_mb = memory_mb
        # The user's budget, which errors name, even when this meter had only a part of it.
        self._whole = whole or Budget(time_s, int(memory_mb))
        self._clock = time.thread_time if self._whole.cpu else time.monotonic
        self._deadline = self._clock() + time_s
        self._bytes = 0
        self._charges = 0
        self.peak_bytes = 0

    @classmethod
    def of(cls, budget: Budget) -> Meter:
        return cls(budget.time_s, budget.memory_mb, budget)

    def charge(self, size: int, position: int, times: int = 1) -> None:
        """Charge `times` steps and `size` bytes. Raises `OutOfBudget` when a bound is reached."""
        self._bytes += size
        self._charges += times
        if self._charges % _LOOK_EVERY >= times:
            return
        self.peak_bytes = max(self.peak_bytes, self._bytes)
        if self._bytes > self._memory_mb * 1_000_000:
            raise OutOfBudget("memory", f"{self._whole.memory_mb} MB", position)
        if self._clock() > self._deadline:
            raise OutOfBudget("time", f"{self._whole.time_s:g} s", position)

    def release(self, size: int) -> None:
        self._bytes -= size

    @property
    def left_s(self) -> float:
        return max(0.0, self._deadline - self._clock())

    def part(self, time_s: float) -> Meter:
        """Return a meter for a part of the work: at most `time_s`, never more than the remaining time, with the remaining memory."""
        return Meter(min(time_s, self.left_s), self._memory_mb - self._bytes / 1_000_000, self._whole)
