"""A guard around the core: while it is active, core code that uses time, random numbers, a socket or a thread gets an error.

Patched functions still work for all other code: each wrapper checks its caller. An import fence over the source (a test)
finds what is bound at import; this one finds what is reached at run time. Both are needed.
"""

from __future__ import annotations

import builtins
import os
import random
import secrets
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .errors import FenceError

CORE = ("tribulation.node.core",)
"""Packages (and everything below them) that are fenced off."""

_TIME = (
    "time",
    "time_ns",
    "monotonic",
    "monotonic_ns",
    "perf_counter",
    "perf_counter_ns",
    "process_time",
    "process_time_ns",
    "thread_time",
    "clock_gettime",
    "clock_gettime_ns",
    "sleep",
    "localtime",
    "gmtime",
    "strftime",
)
_RANDOM = (
    *("random", "randrange", "randint", "choice", "choices", "shuffle", "sample", "uniform", "gauss", "normalvariate"),
    *("expovariate", "triangular", "getrandbits", "randbytes", "seed", "SystemRandom"),
)
_FORBIDDEN: tuple[tuple[Any, str], ...] = (
    *((time, name) for name in _TIME),
    *((random, name) for name in _RANDOM),
    (os, "urandom"),
    *((os, name) for name in ("getrandom",) if hasattr(os, name)),
    (os, "getpid"),
    (uuid, "uuid1"),
    (uuid, "uuid4"),
    *((secrets, name) for name in ("token_bytes", "token_hex", "token_urlsafe", "randbelow", "choice")),
    (socket, "socket"),
    (socket, "create_connection"),
    (socket, "gethostname"),
    (threading.Thread, "start"),
    (threading, "get_ident"),
    (threading, "get_native_id"),
    (builtins, "open"),
)

_standing = 0
_originals: list[tuple[Any, str, Any]] = []


@contextmanager
def fence() -> Iterator[None]:
    """Guard the core while the body runs. Nests; the outermost removes it."""
    global _standing
    if _standing == 0:
        for owner, name in _FORBIDDEN:
            original = getattr(owner, name)
            _originals.append((owner, name, original))
            setattr(owner, name, _guard(original, f"{getattr(owner, '__name__', owner)}.{name}"))
    _standing += 1
    try:
        yield
    finally:
        _standing -= 1
        if _standing == 0:
            while _originals:
                owner, name, original = _originals.pop()
                setattr(owner, name, original)


def _guard(original: Any, label: str) -> Any:
    if isinstance(original, type):
        return _guard_class(original, label)

    def guarded(*arguments: Any, **options: Any) -> Any:
        _refuse_core(sys._getframe(1).f_globals.get("__name__", ""), label)
        return original(*arguments, **options)

    return guarded


def _guard_class(original: type, label: str) -> type:
    """Return a guarded class: it stays a class, so that `isinstance` and subclassing go on working elsewhere."""

    def construct(cls: type, *arguments: Any, **options: Any) -> Any:
        _refuse_core(sys._getframe(1).f_globals.get("__name__", ""), label)
        return original.__new__(cls, *arguments, **options)

    return type(original)(original.__name__, (original,), {"__new__": construct, "__slots__": ()})


def _refuse_core(caller: str, label: str) -> None:
    if any(caller == package or caller.startswith(package + ".") for package in CORE):
        raise FenceError(
            f"{caller} called {label}",
            "the core gets time from `step`, random numbers from `core/interface/rng.py`, and nothing else",
        )
