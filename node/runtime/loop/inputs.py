"""Recording of the inputs of one incarnation, from a thread of its own: buffered, on disk within a tenth of a second.

A killed node loses only the last moments of its recording; a replay then ends earlier. If the disk is too slow, the recording ends and the node
continues.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from ...wire import encode_payload
from ..disk.disk import write_all
from ..telemetry.recording import MAX_FILE_BYTES, MAX_TOTAL_BYTES, record

FLUSH_S = 0.1
MAX_BUFFERED_BYTES = 32 * 1024 * 1024


class InputsWriter:
    """The loop calls `add`; all other work on the file happens in the thread. `complain` receives the error, once."""

    def __init__(
        self, directory: Path, incarnation: int, complain: Callable[[str], None], max_bytes: int = MAX_FILE_BYTES
    ) -> None:
        directory.mkdir(exist_ok=True)
        make_room(directory, MAX_TOTAL_BYTES - max_bytes)
        path = directory / f"events-{incarnation:06d}.log"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        self._complain = complain
        self._left_bytes = max_bytes
        self._parts: list[bytes] = []
        self._buffered_bytes = 0
        self._stopped = False
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="inputs", daemon=True)
        self._thread.start()

    def add(self, data: bytes) -> None:
        if self._stopped:
            return
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            self._stop("the recording reached the bound on its size")
        elif self._buffered_bytes > MAX_BUFFERED_BYTES:
            self._stop("the disk does not take the recording fast enough")
        else:
            self._push(data)

    def close(self, timeout_s: float = 5.0) -> None:
        """Write the rest of the recording and close the file."""
        self._closing.set()
        self._thread.join(timeout_s)

    def _stop(self, why: str) -> None:
        self._stopped = True
        self._push(record(encode_payload({"stopped": why})))
        self._complain(why)

    def _run(self) -> None:
        try:
            while not self._closing.wait(FLUSH_S):
                self._flush()
            self._flush()
        except OSError as error:
            self._stopped = True
            self._complain(f"cannot write the recording: {error}")
        finally:
            os.close(self._descriptor)

    def _flush(self) -> None:
        with self._lock:
            parts, self._parts = self._parts, []
        if parts:
            data = b"".join(parts)
            write_all(self._descriptor, data)
            with self._lock:
                self._buffered_bytes -= len(data)

    def _push(self, data: bytes) -> None:
        with self._lock:
            self._parts.append(data)
            self._buffered_bytes += len(data)


def make_room(directory: Path, allowed_bytes: int) -> None:
    """Remove the oldest recordings until the rest fits. Their names sort by age."""
    files = sorted(directory.glob("events-*.log"))
    total = sum(path.stat().st_size for path in files)
    for path in files:
        if total <= allowed_bytes:
            return
        total -= path.stat().st_size
        path.unlink()
