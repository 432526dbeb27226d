"""Users' code in this process: no adapter, client or plugin can determine how `tri` ends or what it prints.

with contained():         # its prints go to stderr, `os._exit` cannot look like a verdict, a forked copy ends, and streams are restored afterwards
    run()
with in_one_process():    # a copy of this process that the call forked ends with the call
    host_function()
put_back_time()           # the functions of `time` that were replaced
with noted_timers():      # a timer that users' code set does not end the process when it fires
    run()
fired_timers()            # a sentence about those that fired since it was last asked
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

ENDED = 4
FORKED = 0
_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep
FIRST_OF_OURS = 64
"""Our descriptors are at least this large: a library that daemonises, or closes descriptors that it did not open, begins with the smallest."""

_TIME = {
    name: getattr(time, name)
    for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep")
}


_TIMERS = {
    signal.SIGALRM: signal.ITIMER_REAL,
    signal.SIGVTALRM: signal.ITIMER_VIRTUAL,
    signal.SIGPROF: signal.ITIMER_PROF,
}
"""By default, each of these signals ends the process at once: no fault would be healed, and there would be no verdict."""
_fired: dict[str, None] = {}


class _Containment:
    """May be entered many times, from any thread; the first entry starts it and the last exit ends it."""

    def __init__(self) -> None:
        self._lock, self._depth = threading.Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            self._depth += 1
            if self._depth == 1:
                self._begin()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self._end()

    def _begin(self) -> None:
        self._streams, self._exit, self._pid = (sys.stdout, sys.stderr), os._exit, os.getpid()
        is_own = sys.stdout is sys.__stdout__ and sys.stderr is sys.__stderr__ and sys.stdout is not None
        self._copies = _stdout_to_stderr() if is_own else []
        os._exit = self._refuse
        self._limit, least = sys.setrecursionlimit, sys.getrecursionlimit()
        # Our own calls need as much as before.
        sys.setrecursionlimit = lambda depth: self._limit(max(depth, least))
        # The interpreter's own name for it as well: it writes to a descriptor of its own.
        self._named = sys.__stdout__
        sys.stdout = sys.stderr
        if is_own:
            sys.__stdout__ = sys.__stderr__  # type: ignore[misc]
        self._timers = noted_timers()
        self._timers.__enter__()
        self._set_handler = signal.signal
        signal.signal = self._keep_noted  # type: ignore[assignment]

    def _keep_noted(self, number: int, handler: Any) -> Any:
        is_default = handler is signal.SIG_DFL and number in _TIMERS
        if is_default and not sys._getframe(1).f_code.co_filename.startswith(_OURS):
            handler = _note
        return self._set_handler(number, handler)

    def _end(self) -> None:
        signal.signal = self._set_handler
        self._timers.__exit__(None, None, None)
        os._exit, sys.setrecursionlimit = self._exit, self._limit
        sys.stdout, sys.stderr = self._streams
        sys.__stdout__ = self._named  # type: ignore[misc]
        for descriptor, copy in zip((1, 2), self._copies, strict=False):
            os.dup2(copy, descriptor)
            os.close(copy)
        put_back_time()

    def _refuse(self, status: int) -> NoReturn:
        frame = sys._getframe(1)
        if os.getpid() == self._pid and not frame.f_code.co_filename.startswith(_OURS):
            reported = f"error: {frame.f_code.co_filename}:{frame.f_lineno} ended the process by os._exit({status})\n"
            with suppress(OSError):
                os.write(self._copies[-1] if self._copies else 2, reported.encode(errors="backslashreplace"))
            self._exit(ENDED)
        self._exit(status)


_containment = _Containment()


@contextmanager
def contained() -> Iterator[None]:
    with _containment, in_one_process():
        yield


@contextmanager
def in_one_process() -> Iterator[None]:
    """End a child that a user's code forked and that continues with our code: it would be a second, unsupervised run."""
    pid = os.getpid()
    try:
        yield
    finally:
        if os.getpid() != pid:
            os._exit(FORKED)


@contextmanager
def noted_timers() -> Iterator[None]:
    """Note a timer's signal instead of the end of the process; afterwards the handlers are as before, and no timer runs that did not run before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _TIMERS}
    running = {number for number, timer in _TIMERS.items() if signal.getitimer(timer)[0]}
    for number, handler in before.items():
        if handler is signal.SIG_DFL:
            signal.signal(number, _note)
    try:
        yield
    finally:
        for number, handler in before.items():
            if number not in running:
                signal.setitimer(_TIMERS[number], 0)
            # Users' code may have ended this block in another thread, where no handler can be set.
            with suppress(ValueError, TypeError):
                signal.signal(number, handler)


def _note(number: int, frame: FrameType | None) -> None:
    _fired[signal.Signals(number).name] = None


def fired_timers() -> str | None:
    """Return a sentence about the timers of users' code that fired since the last call."""
    if not _fired:
        return None
    names = ", ".join(_fired)
    _fired.clear()
    return f"a timer fired that the system's file or a plugin had set ({names}), which would have ended the process: it was ignored\n\nhint: wait with the timeouts of your driver or of a thread, not with `signal.alarm` or `signal.setitimer`"


def put_back_time() -> list[str]:
    """Return the functions of `time` that were replaced, and put them back: every wait and every time in a history needs them."""
    replaced = [name for name, own in _TIME.items() if getattr(time, name) is not own]
    for name in replaced:
        setattr(time, name, _TIME[name])
    return replaced


def _stdout_to_stderr() -> list[int]:
    """Copies of both descriptors; from now on, stdout of children goes to stderr."""
    sys.stdout.flush()
    copies = []
    with suppress(OSError):
        copies = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, FIRST_OF_OURS) for number in (1, 2)]
        os.dup2(2, 1)
    return copies
