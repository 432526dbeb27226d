"""Writes a history while it happens: one line an event, flushed before `record` returns.

One recorder is shared by all clients of a run. Its lock makes the order of the lines *the* order of the history: an
event that is written before another is written really began or ended before it. It reads no clock; the caller gives the time.
"""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from .codec import encode_event
from .operation import Event, Type


class Recorder:
    """Appends events to a new file `path`, which must not exist: a history is never continued by a second recorder."""

    def __init__(self, path: str | Path) -> None:
        self._file = Path(path).open("xb", buffering=0)  # noqa: SIM115 (open as long as the run)
        self._lock = threading.Lock()
        self._next_index = 0

    def record(
        self,
        time_ns: int,
        process: int | str,
        type: Type | str,
        f: str,
        value: Any = None,
        *,
        key: Any = None,
        workload: str | None = None,
        level: str | None = None,
        node: str | None = None,
        error: str | None = None,
        **extra: Any,
    ) -> Event:
        """Writes one event and returns it with its index. Raises `ValueError` once closed, `TypeError` on a value that JSON lacks."""
        with self._lock:
            event = Event(
                self._next_index, time_ns, process, Type(type), f, value, key, workload, level, node, error, extra
            )
            # Unbuffered and in one write: a crash can tear the last line, never lose an earlier one.
            self._file.write(encode_event(event))
            self._next_index += 1
        return event

    @property
    def count(self) -> int:
        """How many events were written."""
        return self._next_index

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
