"""Freeze of a whole host: every process of it is stopped, from outside, and later continued.

It sends SIGSTOP down the tree of its process 1, again and again until it finds nothing new: a process that forks meanwhile is found the
next time. It does not use a freezer cgroup: that needs root, outlives its maker, and keeps its processes from dying of SIGKILL, so that
the end of a frozen lab would hang. No process inside can continue the others, since none runs. The kernel goes on as in a stalled
machine: it acknowledges packets and accepts connections that no process will serve.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

STOP_S = 5.0
LOOK_S = 0.002
_GONE, _STOPPED, _BLOCKED = "ZX", "Tt", "D"


def stop_all(init_pid: int) -> dict[int, int]:
    """pid → start time of each process that was stopped now. Processes stopped before are left out, and stay stopped at `continue_all`.

    Raises `TimeoutError` when new processes keep appearing, after it has continued all of them.
    """
    stopped: dict[int, int] = {}
    deadline_s = time.monotonic() + STOP_S
    passed_over: set[int] = set()
    while True:
        found = [pid for pid in _tree(init_pid) if pid not in stopped and pid not in passed_over]
        for pid in found:
            known = _stat(pid)
            if known is None or known[0] in _GONE + _STOPPED:
                # A zombie stays one while its parent is stopped.
                passed_over.add(pid)
                continue
            stopped[pid] = known[2]
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        # A process that waits for a disk cannot take the signal now, and will before it does anything else.
        moving = [pid for pid in stopped if (now := _stat(pid)) and now[0] not in _STOPPED + _GONE + _BLOCKED]
        if not found and not moving:
            return stopped
        if time.monotonic() > deadline_s:
            continue_all(stopped)
            raise TimeoutError(
                f"processes below {init_pid} still ran {STOP_S:g} s after SIGSTOP: {(moving or found)[:5]}"
            )
        time.sleep(LOOK_S)


def continue_all(stopped: dict[int, int]) -> None:
    """Continue those that are still the same processes."""
    for pid, started in stopped.items():
        known = _stat(pid)
        if known is not None and known[2] == started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _tree(root: int) -> Iterator[int]:
    """The process and all below it, parents first. Orphans of a host belong to its process 1, so this is the whole host."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (known := _stat(int(entry.name))) is not None:
            children.setdefault(known[1], []).append(int(entry.name))
    queue = [root]
    for pid in queue:
        queue += children.get(pid, [])
    yield from queue


def _stat(pid: int) -> tuple[str, int, int] | None:
    """State, parent and start time; None when there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], int(fields[1]), int(fields[19])
