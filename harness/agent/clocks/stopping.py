"""Stop of a process with all its threads for a moment, by ptrace, at places where its code may be changed.

Signals that arrive meanwhile are delivered afterwards, and a process that was stopped (SIGSTOP) stays so. The tracer may be killed at any time: the
kernel lets the threads of a dead tracer go on. The tracer is a process of its own, and ends whenever it might leave a thread stopped.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
import time
from collections.abc import Iterator, Sequence

SEIZE, INTERRUPT, DETACH, GET_REGISTERS = 0x4206, 0x4207, 17, 0x4204
GENERAL_REGISTERS = 1
ALL_THREADS = 0x40000000
_AT = {"x86_64": 16}
"""Where the instruction pointer stands among the general registers."""
STOP_S = 3.0
RETRY_S = 0.0005

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


class CannotStop(RuntimeError):
    """The process cannot be stopped, or not within the time."""


class _Registers(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


@contextlib.contextmanager
def stopped(pid: int, spared: Sequence[range], within_s: float = STOP_S) -> Iterator[None]:
    """Keep all threads stopped, none of them inside a `spared` range of addresses. Raises `CannotStop`, and `ProcessLookupError` when it has ended."""
    if platform.machine() not in _AT:
        raise CannotStop(f"threads of {platform.machine()} are not known here")
    deadline_s = time.monotonic() + within_s
    while True:
        held: dict[int, int] = {}
        try:
            _stop_all(pid, held, deadline_s)
            if not any(_pointer(tid) in within for tid in held for within in spared):
                yield
                return
        finally:
            for tid, signal in held.items():
                _ptrace(DETACH, tid, signal)
        if time.monotonic() > deadline_s:
            raise CannotStop(f"a thread of process {pid} ran code that is to be changed for {within_s:g} s")
        time.sleep(RETRY_S)


def _stop_all(pid: int, held: dict[int, int], deadline_s: float) -> None:
    """Stop all threads of a process. Look again until there is no new one: a thread that runs may start others."""
    while new := [tid for tid in _threads(pid) if tid not in held]:
        seized = [tid for tid in new if _seize(tid)]
        for tid in seized:
            signal = _await_stop(tid, deadline_s)
            if signal is not None:
                held[tid] = signal
    if not held:
        raise ProcessLookupError(f"process {pid} has ended")


def _seize(tid: int) -> bool:
    """Trace a thread and interrupt it. Return False for one that has ended."""
    try:
        _ptrace(SEIZE, tid, 0, must=True)
        _ptrace(INTERRUPT, tid, 0, must=True)
    except ProcessLookupError:
        return False
    except OSError as error:
        raise CannotStop(f"process {tid} cannot be traced: {error.strerror}") from None
    return True


def _await_stop(tid: int, deadline_s: float) -> int | None:
    """Return the signal that the thread gets when it goes on, 0 for none; None for a thread that has ended."""
    while True:
        try:
            seen, status = os.waitpid(tid, os.WNOHANG | ALL_THREADS)
        except ChildProcessError:
            return None
        if seen and not os.WIFSTOPPED(status):
            return None
        if seen:
            return 0 if status >> 16 else os.WSTOPSIG(status)
        if time.monotonic() > deadline_s:
            raise CannotStop(f"thread {tid} did not stop in time")
        time.sleep(RETRY_S)


def _pointer(tid: int) -> int:
    buffer = ctypes.create_string_buffer(512)
    registers = _Registers(ctypes.addressof(buffer), len(buffer))
    if _libc.ptrace(GET_REGISTERS, tid, GENERAL_REGISTERS, ctypes.byref(registers)) < 0:
        raise CannotStop(f"the registers of thread {tid} cannot be read: {os.strerror(ctypes.get_errno())}")
    (pointer,) = struct.unpack_from("=Q", buffer, 8 * _AT[platform.machine()])
    return int(pointer)


def _threads(pid: int) -> list[int]:
    try:
        return [int(entry) for entry in os.listdir(f"/proc/{pid}/task")]
    except FileNotFoundError:
        return []


def _ptrace(request: int, tid: int, data: int, must: bool = False) -> None:
    if _libc.ptrace(request, tid, None, data) < 0 and must:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
