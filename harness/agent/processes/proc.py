"""The processes that this host's /proc shows, each as one row of a table."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Any

STOP_PENDING = 1 << (19 - 1)
"""SIGSTOP in the masks of /proc/PID/status."""

EXITING = 0x4
"""In the flags of /proc/PID/stat: it runs nothing of its own any more, and has left its control groups already."""


@dataclass(frozen=True, slots=True)
class Process:
    """`started` distinguishes it from a later process of the same number. `parent`, `group` and `session` are 0 where they are of another namespace."""

    pid: int
    name: str
    state: str
    parent: int
    group: int
    session: int
    started: int

    @property
    def living(self) -> bool:
        return self.state not in "ZX"

    @property
    def stopped(self) -> bool:
        """Stopped, or in the kernel and about to stop before it runs a line of its own."""
        return self.state in "Tt" or (self.state == "D" and _stops_next(self.pid))

    def __str__(self) -> str:
        return f"{self.pid} {self.name} {self.state}"


def read(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", errors="replace") as file:
            head, _, tail = file.read().rpartition(")")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = tail.split()
    state = fields[0]
    if state == "Z" or int(fields[6]) & EXITING:
        # The first thread has ended; others may go on.
        state = _state_of_threads(pid) if int(fields[17]) > 1 else "Z"
    parent, group, session = (int(field) for field in fields[1:4])
    return Process(pid, head.partition("(")[2], state, parent, group, session, int(fields[19]))


def table() -> dict[int, Process]:
    """Return every process but the kernel's own, by pid."""
    found = (read(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return {process.pid: process for process in found if process is not None and not _of_kernel(process)}


def _of_kernel(process: Process) -> bool:
    return process.session == process.group == 0 and 2 in (process.pid, process.parent)


def command_line(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def identity(pid: int) -> list[Any] | None:
    """Return [user, group, [further groups]], the effective ones; None when the process has ended."""
    found: dict[str, list[int]] = {}
    with contextlib.suppress(OSError, ValueError), open(f"/proc/{pid}/status", errors="surrogateescape") as file:
        for line in file:
            name, _, words = line.partition(":")
            if name in ("Uid", "Gid", "Groups"):
                found[name] = [int(word) for word in words.split()]
    return [found["Uid"][1], found["Gid"][1], sorted(found["Groups"])] if len(found) == 3 else None


def control_groups(pid: int) -> frozenset[str]:
    """Return the lines of its `/proc/PID/cgroup`, one for each hierarchy."""
    try:
        with open(f"/proc/{pid}/cgroup", errors="surrogateescape") as file:
            return frozenset(file.read().splitlines())
    except OSError:
        return frozenset()


def resident_bytes(pid: int) -> int:
    """Return the private memory of a process plus its share of shared memory, in bytes.

    A group counts as much for a process that was in it from the beginning.
    """
    # Kernels before 5.4 do not know shares apart from files.
    return _kilobytes(pid, "smaps_rollup", "Pss_Anon:", "Pss_Shmem:") or _kilobytes(
        pid, "status", "RssAnon:", "RssShmem:"
    )


def _kilobytes(pid: int, file: str, *words: str) -> int:
    total = 0
    with contextlib.suppress(OSError), open(f"/proc/{pid}/{file}", errors="surrogateescape") as lines:
        for line in lines:
            if line.startswith(words):
                total += int(line.split()[1]) << 10
    return total


def _state_of_threads(pid: int) -> str:
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/stat", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
            if fields[0] not in "ZX" and not int(fields[6]) & EXITING:
                return fields[0]
    except OSError:
        pass
    return "Z"


def _stops_next(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/status", errors="surrogateescape") as file:
            masks = [int(line.split()[1], 16) for line in file if line.startswith(("SigPnd", "ShdPnd"))]
    except OSError:
        return False
    return any(mask & STOP_PENDING for mask in masks)
