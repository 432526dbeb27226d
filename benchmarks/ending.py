"""The end of a check on machines by Ctrl-C, SIGTERM or a closed terminal: its `tri` ends in order, and its lab is taken down.

    with lab_of(QemuProvider(3)) as lab:
        lab.up()
        code = ended_with(subprocess.Popen(["tri", …]), timeout_s=600)

Without this, SIGTERM ended only the check: its run and its machines went on.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from tribulation.harness.cli.process.signals import ending_signals

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HEALING_S = 180.0
"""Time for `tri` to heal, collect and take down after a signal."""


class Lab(Protocol):
    def down(self) -> None: ...


L = TypeVar("L", bound=Lab)


@contextmanager
def lab_of(lab: L, down: Callable[[L], object] = lambda lab: lab.down()) -> Iterator[L]:
    """Take the lab down at the end, also when a signal ends the block by a `KeyboardInterrupt`. Signals that come meanwhile are ignored."""
    with ending_signals():
        try:
            yield lab
        finally:
            before = [(number, signal.signal(number, signal.SIG_IGN)) for number in SIGNALS]
            try:
                down(lab)
            finally:
                for number, handler in before:
                    signal.signal(number, handler)


def ended_with(process: subprocess.Popen[bytes], timeout_s: float) -> int:
    """Wait for it, and return its exit code. A signal to this process, or the end of the time, ends it in order."""
    try:
        return process.wait(timeout_s)
    except BaseException:
        process.terminate()
        try:
            process.wait(HEALING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
