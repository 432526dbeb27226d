"""Users' code in this process: no adapter, client or plugin can determine how `tri` ends or what it prints.

with contained():         # its prints go to stderr, `os._exit` cannot look like a verdict, a forked copy ends, and streams are restored afterwards
    run()
with in_one_process():    # a copy of this process that the call forked ends with the call
    host_function()
put_back_time()           # the functions of `time` that were replaced
"""

from __future__ import annotations

import fcntl
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

ENDED = 4
FORKED = 0
_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep
FIRST_OF_OURS = 64
"""Our descriptors are at least this large: a library that daemonises, or closes descriptors that it did not open, begins with the smallest."""

_TIME = {
    name: getattr(time, name)
    for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep")
}


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

    def _end(self) -> None:
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
