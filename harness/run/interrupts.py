"""Ctrl-C, and the signals that mean the same, during a run: the first ends it in order, later ones print a message and omit the check.

An exception raised inside starting a process, healing or taking hosts down would leave things behind. So a signal is only remembered,
and checked between steps that are bounded in time. Knows nothing of runs.

    with interrupts.handled():
        bring_up()
        interrupts.raise_if_asked()
        work(stop_asked=interrupts.asked)
        take_down()
        interrupts.raise_if_asked()
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from ..errors import TribulationError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FIRST = b"\ninterrupted: faults are healed, files collected and hosts taken down before this ends\n"
AGAIN = b"\nstill healing and taking down, and then ends without a check; if this process is killed, hosts heal themselves within 10 s: see `tri hosts list`\n"


class Interrupted(TribulationError):
    """End of a run by the user; everything that had to be undone is undone."""

    exit_code = 130


class Interrupts:
    """Memory of the signals that ask the run to end."""

    def __init__(self) -> None:
        self.count = 0
        """How often the user asked."""

    @property
    def again(self) -> bool:
        """Whether the user asked more than once, and waits for nothing but the undoing."""
        return self.count > 1

    def asked(self) -> bool:
        """Return whether the user wants the run to end."""
        return self.count > 0

    def raise_if_asked(self) -> None:
        if self.asked():
            raise KeyboardInterrupt

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle the signals in the main thread (elsewhere Python delivers none). A signal that is ignored, as under nohup, stays ignored."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}
        try:
            for number, handler in before.items():
                if handler is not signal.SIG_IGN:
                    signal.signal(number, self._handle)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # Written past the console: a signal may come while the console is printing.
        self.count += 1
        with suppress(OSError):  # the terminal may be gone; that may be why the signal came
            os.write(2, AGAIN if self.again else FIRST)
