"""Counter of a process's runs through an address, by the processor's breakpoints (perf_event_open) without stopping it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct

PERF_EVENT_OPEN = 298
"""On x86_64."""
BREAKPOINT, ON_EXECUTION, LENGTH = 5, 4, 8
NOT_IN_THE_KERNEL = 1 << 5 | 1 << 6
CLOSE_ON_EXEC = 8
ATTRIBUTES = struct.Struct("=IIQQQQQIIQQ56x")
"""Type, size, config, period, sample type, read format, flags, wake-up, breakpoint type, address, length."""
COUNT = struct.Struct("=Q")
MOST_THREADS = 256

_libc = ctypes.CDLL(None, use_errno=True)


class Counters:
    """One counter for each thread that `watch` finds, `MOST_THREADS` at most."""

    def __init__(self) -> None:
        self._refused: str | None = None
        self._open: dict[tuple[int, int], int] = {}

    def watch(self, pid: int, address: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            for tid in map(int, os.listdir(f"/proc/{pid}/task")):
                if (tid, address) not in self._open and len(self._open) < MOST_THREADS:
                    self._add(tid, address)

    def _add(self, tid: int, address: int) -> None:
        attributes = ATTRIBUTES.pack(
            BREAKPOINT, ATTRIBUTES.size, 0, 0, 0, 0, NOT_IN_THE_KERNEL, 0, ON_EXECUTION, address, LENGTH
        )
        file = _libc.syscall(PERF_EVENT_OPEN, attributes, tid, -1, -1, CLOSE_ON_EXEC)
        if file >= 0:
            self._open[tid, address] = file
        elif os.path.exists(f"/proc/{tid}"):
            self._refused = os.strerror(ctypes.get_errno())

    @property
    def refused(self) -> str | None:
        """Why no counter could be opened; None if one is open, or none was tried."""
        return None if self._open else self._refused

    def any(self) -> bool:
        return any(COUNT.unpack(os.read(file, COUNT.size))[0] for file in self._open.values())

    def close(self) -> None:
        for file in self._open.values():
            os.close(file)
        self._open.clear()
