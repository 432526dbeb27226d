"""Processes that outlive the user's code that started them: with a session of its own (`setsid`), none is reached by a signal to its parent's group.

adopt()                       # in the process that users' code runs below: what loses its parent becomes its child
end_children(5.0)             # at the end: kill its children, and theirs, which become its own
with marking() as mark:       # elsewhere: what is started meanwhile has the mark in its environment, and so has what that starts
    ...
end_marked(mark, 5.0)         # kill all that has it

What could not be ended is returned, as text.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import signal
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress

MARK = "TRIBULATION_CLIENTS"
PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER = 36, 37
AGAIN_S, END_S = 0.01, 5.0


@contextmanager
def marking() -> Iterator[str]:
    before, mark = os.environ.get(MARK), secrets.token_hex(8)
    os.environ[MARK] = mark
    try:
        yield mark
    finally:
        os.environ.pop(MARK, None)
        if before is not None:
            os.environ[MARK] = before


@contextmanager
def ending_strays(report: Callable[[str], object], keep: bool = False) -> Iterator[None]:
    """End what an adapter started on this machine, at the end of the block; report what cannot be ended, as a sentence with a hint."""
    before, adopting = frozenset(_children()), adopts()
    adopt()
    try:
        with marking() as mark:
            yield
    finally:
        if not keep and (left := _ended(lambda: {*_with_mark(mark), *_children()} - before, END_S)):
            report(left_over("the adapter", left))
        # Blocks are nested: the run of a trial is one inside that of the trial.
        adopt(adopting)


def left_over(who: str, left: Sequence[str]) -> str:
    return f"processes that {who} started could not be ended: {', '.join(left)}\n\nhint: end them by hand; `close` or `stop` must end what was started"


def adopt(wanted: bool = True) -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0)


def adopts() -> bool:
    """Return whether processes that lose their parent become children of this one."""
    found = ctypes.c_int()
    ctypes.CDLL(None).prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(found), 0, 0, 0)
    return bool(found.value)


def reap(others: Collection[int]) -> None:
    """Wait for children that have ended, up to one of the `others`, for which the caller waits."""
    with suppress(ChildProcessError):
        while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and found.si_pid not in others:
            os.waitpid(found.si_pid, os.WNOHANG)


def end_children(timeout_s: float) -> list[str]:
    """Kill every child of this process, until none is left."""
    return _ended(_children, timeout_s)


def end_marked(mark: str, timeout_s: float) -> list[str]:
    """Kill every process with the mark, except this one. Of another user's process it is not known."""
    return _ended(lambda: _with_mark(mark), timeout_s)


def _ended(found: Callable[[], Collection[int]], timeout_s: float) -> list[str]:
    until_s = time.monotonic() + timeout_s
    while left := found():
        if time.monotonic() > until_s:
            return [_described(pid) for pid in left]
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(AGAIN_S)
    return []


def _children() -> list[int]:
    """Return the children of this process that run."""
    me = os.getpid()
    return [pid for pid in _all() if (stat := _stat(pid)) and int(stat[1]) == me and stat[0] != b"Z"]


def _with_mark(mark: str) -> list[int]:
    wanted, me = f"{MARK}={mark}".encode(), os.getpid()
    return [pid for pid in _all() if pid != me and wanted in _read(pid, "environ").split(b"\0")]


def _all() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _stat(pid: int) -> list[bytes]:
    """Return the fields from the state on; none of a process that is gone."""
    return _read(pid, "stat").rpartition(b")")[2].split()


def _read(pid: int, name: str) -> bytes:
    with suppress(OSError), open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read(1 << 20)
    return b""


def _described(pid: int) -> str:
    return f"{pid} ({_read(pid, 'comm').decode(errors='backslashreplace').strip()})"
