"""Recording of a history while it happens: one line per event, flushed before `record` returns.

All clients of a run share one recorder. Its lock makes the order of the lines *the* order of the history: an event that is written before another
really began or ended before it. It reads no clock; the caller gives the time.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from ..model.operation import Event, Type
from .codec import encode_event


class EventSink(ABC):
    """Numbers events; the subclass decides what happens to them."""

    def __init__(self) -> None:
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
        """Record one event and return it with its index."""
        event = Event(
            self._next_index, time_ns, process, Type(type), f, value, key, workload, level, node, error, extra
        )
        self._take(event)
        self._next_index += 1
        return event

    @property
    def count(self) -> int:
        """How many events were taken."""
        return self._next_index

    @abstractmethod
    def _take(self, event: Event) -> None: ...


class MemoryRecorder(EventSink):
    """Recorder that keeps the events in memory, as they would be read from a file, for runs that cannot be lost half-way. Used by one thread."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []

    def _take(self, event: Event) -> None:
        if isinstance(event.value, (list, tuple, dict)):
            # A copy: the system may still change its values, but not the recorded ones.
            event = replace(event, value=_copied(event.value))
        self.events.append(event)


def _copied(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_copied(item) for item in value]
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return value


class Recorder(EventSink):
    """Appends events to a new file `path`, which must not exist: a second recorder never continues a history.

    `record` raises `ValueError` once closed, and `TypeError` for a value that JSON lacks. A disk error raises nothing, because clients and faults
    must still be ended in order. The first error stays in `failure`, and nothing more is written, so the file is the beginning of the history.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.failure: OSError | None = None
        self._file = Path(path).open("xb", buffering=0)  # noqa: SIM115 (open as long as the run)
        self._lock = threading.Lock()

    def record(self, time_ns: int, *what: Any, **more: Any) -> Event:
        with self._lock:
            return super().record(time_ns, *what, **more)

    def _take(self, event: Event) -> None:
        line = memoryview(encode_event(event))
        if self.failure is not None:
            return
        try:
            # Unbuffered, and one write unless the disk is full: a crash can tear the last line, never lose an earlier one.
            while line:
                line = line[self._file.write(line) or 0 :]
        except OSError as error:
            self.failure = error

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
