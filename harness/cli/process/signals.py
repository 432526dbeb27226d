"""Signals that end a command, from its first line to its last: Ctrl-C, SIGTERM, and the SIGHUP of a terminal that is closed.

    leave_when_signalled()      # imports: nothing has started, so the process ends at once
    with ending_signals():      # the command: `Ended` is raised, and everything is undone
        code = work()
    answer_with(code)           # the end: the exit code is that of the command

A signal that the parent had ignored stays ignored. Only the standard library's smallest modules are imported here: whatever is imported before
`leave_when_signalled` is interrupted with a traceback.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn

INTERRUPTED = 130
THREADS_S = 2.0
_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """End of the command by a signal. It is a subclass: when a plain `KeyboardInterrupt` leaves an `exec`, Python later ends by SIGINT, even if it
    was caught.
    """


def leave_when_signalled() -> None:
    """Let signals end the process with exit code 130, without a traceback, until other handlers are installed."""
    _take(_leave)


class Ending:
    """`began`: a signal has arrived. The interrupted code may raise another error than `Ended`."""

    def __init__(self) -> None:
        self.began = False

    def end(self, number: int, frame: FrameType | None) -> None:
        self.began = True
        raise Ended


@contextmanager
def ending_signals(ending: Ending | None = None) -> Iterator[None]:
    """Raise `Ended` in the block when a signal arrives, so that everything started is undone."""
    taken = _take((ending or Ending()).end)
    try:
        yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)


def answer_with(code: int) -> None:
    """Let the process end with this exit code, even if a signal arrives or a user's code calls `os._exit`: nothing has to be undone any more."""
    end, pid = os._exit, os.getpid()

    def leave(number: int, frame: FrameType | None) -> None:
        end(code)

    def as_answered(status: int) -> NoReturn:
        end(code if os.getpid() == pid else status)

    os._exit = as_answered

    # At its end the interpreter resets handlers to the default, except for SIG_IGN. What is registered last runs first.
    for number in _take(leave):
        atexit.register(signal.signal, number, signal.SIG_IGN)


def leave_threads(code: int) -> None:
    """End the process with this exit code if a thread of a user's client or driver is still running: Python would wait for it without end."""
    threads = [one for one in threading.enumerate() if one is not threading.main_thread() and not one.daemon]
    until_s = time.monotonic() + THREADS_S
    for thread in threads:
        thread.join(max(0.0, until_s - time.monotonic()))
    if left := [thread.name for thread in threads if thread.is_alive()]:
        text = f"warning: threads are still running: {', '.join(left[:3])}; `close` of a client must end the threads that it started\n"
        with suppress(OSError):
            os.write(2, text.encode(errors="backslashreplace"))
        os._exit(code)


def _take(handler: Callable[[int, FrameType | None], object]) -> dict[int, signal._HANDLER]:
    """Install the handler, except for signals that have a handler of other code. Return the replaced handlers by signal; none outside the main thread."""
    taken: dict[int, signal._HANDLER] = {}
    with suppress(ValueError):
        for number in _NUMBERS:
            before = signal.getsignal(number)
            if before in (signal.SIG_DFL, signal.default_int_handler, _leave):
                signal.signal(number, handler)
                taken[number] = before
    return taken


def _leave(number: int, frame: FrameType | None) -> None:
    with suppress(OSError):
        os.write(2, b"error: interrupted\n")
    os._exit(INTERRUPTED)
