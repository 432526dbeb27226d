"""How `tri` talks: results on stdout, conversation on stderr; a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

PLAIN_EVERY_S = 5.0


class _Results(Console):
    """JSON is JSON in every encoding: what the stream's lacks would be written as an escape that JSON does not know."""

    def print_json(self, json: str | None = None, **options: Any) -> None:
        super().print_json(json, **{"ensure_ascii": not self.encoding.startswith("utf"), **options})


out = _Results(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

COLOURS = {"valid": "green", "invalid": "red", "unknown": "yellow"}


def say(text: str) -> None:
    """A line of conversation."""
    err.print(Text(text))
    sys.stderr.flush()


class Progress:
    """The state of long work, shown as it changes: phase, elapsed, operations, active faults.

    On a terminal one line is redrawn; elsewhere a plain line is printed at each change of phase and every few seconds.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._live = Live(console=err, refresh_per_second=8, transient=True) if err.is_terminal else None
        self._last_plain = 0.0
        self._last_phase = ""

    def __enter__(self) -> Progress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, phase: str, detail: str = "") -> None:
        elapsed = time.monotonic() - self._started
        line = f"{elapsed:6.1f}s  {phase:<10} {detail}"
        if self._live is not None:
            self._live.update(Text(line))
        elif phase != self._last_phase or elapsed - self._last_plain >= PLAIN_EVERY_S:
            self._last_plain = elapsed
            say(line)
        self._last_phase = phase
