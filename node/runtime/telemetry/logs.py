"""The node's two line-oriented files: node.log for people and programs, trace.jsonl for the checkers.

Both are written with plain `write` and never fsynced: they must survive a killed process, not a dead machine. Both are bounded.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...core.interface.effects import DROPPED, trace_number
from ...json_text import encoder, quoted
from ..disk.disk import write_all

LOG_BYTES = 16 * 1024 * 1024
TRACE_BYTES = 1024 * 1024 * 1024

_dumps = encoder(allow_nan=True, default=repr)
_OWN = frozenset(("node", "incarnation", "seq", "mono_ns", "event"))


class NodeLog:
    """JSON lines `{"time", "level", "message", …}`, from any thread. At `LOG_BYTES` the file moves to `node.log.1`, replacing it."""

    def __init__(self, path: Path, **context: Any) -> None:
        self._path = path
        self._context = context
        self._descriptor = _open_append(path)
        self._size = os.fstat(self._descriptor).st_size
        self._lock = threading.Lock()
        self.rotated = 0
        """How often the file was replaced. From the second time on, each replacement loses the previous `node.log.1`."""
        self.unwritten = 0

    def info(self, message: str, **fields: Any) -> None:
        self._write("info", message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        self._write("warning", message, fields)

    def error(self, message: str, **fields: Any) -> None:
        self._write("error", message, fields)

    def close(self) -> None:
        """Close the log. Later writes of other threads are dropped, because the file descriptor may be reused by then."""
        with self._lock:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        head = {"time": stamp, "mono_ns": time.monotonic_ns(), "level": level, "message": message}
        line = (_dumps({**head, **self._context, **fields}) + "\n").encode("ascii")
        with self._lock:
            if self._descriptor < 0:
                return
            try:
                if self._size + len(line) > LOG_BYTES:
                    self._rotate()
                self._size += len(line)
                write_all(self._descriptor, line)
            except OSError:
                # A full disk must not end a node because of its log.
                self.unwritten += 1

    def _rotate(self) -> None:
        """Replace the file. The new file is open before the old one is closed, so after a failure there is still a log to write to."""
        os.replace(self._path, self._path.with_name(self._path.name + ".1"))
        old, self._descriptor = self._descriptor, _open_append(self._path)
        os.close(old)
        self._size = 0
        self.rotated += 1


class TraceFile:
    """Trace lines, numbered as they are released.

    The lines of a turn are written before the turn's frames leave. So everything that another node or a client received from this node is in its
    trace, even when this node is killed a moment later. Lines that were dropped before they came here also use up numbers (`lost`). At `TRACE_BYTES`
    a last line `trace-bounded` is written; later lines are only counted (`unwritten`).
    """

    def __init__(self, path: Path, node: str, incarnation: int) -> None:
        _end_torn_line(path)
        self._descriptor = _open_append(path)
        self._size = os.fstat(self._descriptor).st_size
        self._head = {"node": node, "incarnation": incarnation}
        self._start = _dumps(self._head)[:-1] + ","
        self._seq = 0
        self._lines: list[str] = []
        self._bounded = False
        self.unwritten = 0

    def add(self, mono_ns: int, event: str, fields: Mapping[str, Any]) -> None:
        if self._bounded:
            self.unwritten += 1
            return
        seq = trace_number(self._seq, event, fields)
        if _OWN.isdisjoint(fields):
            inner = _dumps(fields)[1:] if fields else "}"
            comma = "," if fields else ""
            self._lines.append(f'{self._start}"seq":{seq},"mono_ns":{mono_ns},"event":{quoted(event)}{comma}{inner}')
        else:
            self._lines.append(_dumps({**self._head, "seq": seq, "mono_ns": mono_ns, "event": event, **fields}))
        self._seq = seq + 1

    def lost(self, mono_ns: int, count: int, where: str) -> None:
        """Record that `count` lines were dropped: the numbers have a gap, and a line reports it."""
        self.add(mono_ns, DROPPED, {"count": count, "where": where})

    def flush(self) -> None:
        if not self._lines:
            return
        data = ("\n".join(self._lines) + "\n").encode("ascii")
        last_seq = self._seq
        self._lines.clear()
        write_all(self._descriptor, data)
        self._size += len(data)
        if self._size > TRACE_BYTES and not self._bounded:
            self.add(0, "trace-bounded", {"bytes": self._size, "last_seq": last_seq})
            self._bounded = True
            self.flush()

    def close(self) -> None:
        self.flush()
        os.close(self._descriptor)


def _end_torn_line(path: Path) -> None:
    """End a torn line. A process that was killed while it wrote leaves half a line, and the first line of this life must not be joined to it."""
    with open(path, "ab+") as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            if file.read(1) != b"\n":
                file.write(b"\n")


def _open_append(path: Path) -> int:
    # Without O_NONBLOCK, opening a pipe waits for its reader.
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
