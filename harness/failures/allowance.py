"""The budget of shrinking: runs, seconds and seconds of CPU time, shared by all steps and spent one run at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from math import ceil
from typing import TypeVar

from .bounded_run import LateError, at_most

T = TypeVar("T")


class SpentError(Exception):
    """The allowance is used up. The results so far are kept; the shrinker catches this."""


class Allowance:
    """`runs`, `time_s` and `cpu_s` None: no limit. `clock` and `cpu_clock` are in seconds, and monotonic.

    `share` of each limit may be used now; the rest belongs to later phases.
    """

    def __init__(
        self,
        runs: int | None = None,
        time_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        cpu_s: float | None = None,
        cpu_clock: Callable[[], float] = time.process_time,
    ) -> None:
        self.runs = runs
        self.time_s = time_s
        self.cpu_s = cpu_s
        self.share = 1.0
        self.spent_runs = 0
        self._used_up = 0.0
        """The share in which a run was stopped at the time limit."""
        self._clock, self._cpu_clock = clock, cpu_clock
        self._start_s, self._cpu_start_s = clock(), cpu_clock()

    @property
    def spent_s(self) -> float:
        return self._clock() - self._start_s

    @property
    def spent_cpu_s(self) -> float:
        return self._cpu_clock() - self._cpu_start_s

    @property
    def left_s(self) -> float | None:
        """Time that is left of this share; None: no limit."""
        return None if self.time_s is None else self.time_s * self.share - self.spent_s

    @property
    def left_cpu_s(self) -> float | None:
        return None if self.cpu_s is None else self.cpu_s * self.share - self.spent_cpu_s

    @property
    def left(self) -> bool:
        """Whether another run may start."""
        if self.runs is not None and self.spent_runs >= ceil(self.runs * self.share):
            return False
        return self._used_up < self.share and all(
            left_s is None or left_s > 0 for left_s in (self.left_s, self.left_cpu_s)
        )

    def __str__(self) -> str:
        """The tries so far, and the rest of each limit."""
        tries = f"{self.spent_runs} tries" if self.runs is None else f"try {self.spent_runs} of {self.runs}"
        limits = ((self.time_s, self.spent_s, "left"), (self.cpu_s, self.spent_cpu_s, "of CPU time left"))
        left = [f"{max(0.0, most - spent):.0f} s {what}" for most, spent, what in limits if most is not None]
        return " · ".join([tries, *left])

    def spend(self) -> None:
        """Take one run. Raises `SpentError` when none is left."""
        if not self.left:
            raise SpentError
        self.spent_runs += 1

    @contextmanager
    def one_run(self) -> Iterator[None]:
        """Spend one run on the body. Raises `SpentError` when none is left, or when the time ends before the body does."""
        self.spend()
        try:
            with at_most(self.left_cpu_s, self.left_s):
                yield
        except LateError:
            self._used_up = self.share  # A timer may end a little early by the clock.
            raise SpentError from None

    def each(self, results: Iterator[T]) -> Iterator[T]:
        """Yield the results, of which each costs one run. Raises `SpentError` as `one_run` does."""
        while True:
            with self.one_run():
                result = list(islice(results, 1))
            if not result:
                return
            yield from result
