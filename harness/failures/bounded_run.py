"""A time limit for one run: a run that takes too long is interrupted by a signal."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

LEAST_S = 0.001
"""A timer of 0 s would never end."""


class LateError(BaseException):
    """The run took too long. Not an `Exception`, so that no handler in between catches it."""


@contextmanager
def at_most(cpu_s: float | None = None, time_s: float | None = None) -> Iterator[None]:
    """Raise `LateError` when the body takes longer. None: no limit. In threads, which no signal reaches, there is no bound."""
    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            if cpu_s is not None:
                stack.enter_context(_timer(signal.SIGPROF, signal.ITIMER_PROF, cpu_s))
            if time_s is not None:
                stack.enter_context(_timer(signal.SIGALRM, signal.ITIMER_REAL, time_s))
        yield


@contextmanager
def _timer(number: signal.Signals, timer: int, seconds: float) -> Iterator[None]:
    def late(number: int, frame: FrameType | None) -> None:
        raise LateError

    before = signal.signal(number, late)
    signal.setitimer(timer, max(LEAST_S, seconds))
    try:
        yield
    finally:
        signal.setitimer(timer, 0)
        signal.signal(number, before)
