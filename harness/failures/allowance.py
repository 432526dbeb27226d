"""The budget of shrinking: runs and seconds, shared by all steps and spent one run at a time."""

from __future__ import annotations

import time
from collections.abc import Callable


class SpentError(Exception):
    """The allowance is used up. What has been found so far stands; the shrinker catches this."""


class Allowance:
    """`runs` and `time_s` None: no limit. `clock` is in seconds, and monotonic."""

    def __init__(
        self, runs: int | None = None, time_s: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.runs = runs
        self.time_s = time_s
        self.spent_runs = 0
        self._clock = clock
        self._start_s = clock()

    @property
    def spent_s(self) -> float:
        return self._clock() - self._start_s

    @property
    def left(self) -> bool:
        """Whether one more run may start. A run is never cut short, so the last one may end after the time."""
        runs_left = self.runs is None or self.spent_runs < self.runs
        return runs_left and (self.time_s is None or self.spent_s < self.time_s)

    def spend(self) -> None:
        """Take one run. Raises `SpentError` when none is left."""
        if not self.left:
            raise SpentError
        self.spent_runs += 1
