"""Moves of the clocks of processes that begin while a clock fault is on: a forked child has its parent's vDSO, but one that runs another program has a
new one.

A thread of the agent. Such a process sees the true time until then, for at most twice `LOOK_S` and what moving takes; `late` says how long that was.
One that ends sooner is not moved.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

from ..processes import proc, processes
from ..state.store import Store
from . import mover

Json = dict[str, Any]
LOOK_S = 0.1
PART = "clock"
late: dict[str, int] = {"processes": 0, "most_ms": 0}
"""How many were moved after they had begun, and how old the oldest of them was."""


class Newcomers:
    """`start` once, `stop` at the end. `config` gives the agent's configuration."""

    def __init__(self, store: Store, config: Callable[[], Json]) -> None:
        self._store, self._config = store, config
        self._before: set[tuple[int, bytes]] = set()
        self._known: set[tuple[int, bytes]] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clocks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            try:
                self._look()
            except (OSError, RuntimeError, ValueError, subprocess.TimeoutExpired):
                # Processes come and go; the verification sees the result.
                self._known = set()

    def _look(self) -> None:
        force = self._store.force().get(PART, {}).get("vdso")
        if not force:
            self._known, self._before = set(), set()
            return
        now = {(pid, _form(pid)) for pid in processes.members(self._config().get("process") or {})}
        if new := (now & self._before) - self._known:
            with self._store.locked():
                if force := self._store.force().get(PART, {}).get("vdso"):
                    self._move([pid for pid, _ in new], force)
        self._known, self._before = now & (self._known | new), now

    def _move(self, pids: list[int], force: Json) -> None:
        moved = mover.reach_out(pids, force)
        ages_ms = [age for age in map(_age_ms, moved) if age is not None]
        late["processes"] += len(ages_ms)
        late["most_ms"] = max([late["most_ms"], *ages_ms])


def _form(pid: int) -> bytes:
    """Return bytes that identify a program in memory: its auxiliary vector. An exec changes them, since the kernel draws its addresses again."""
    try:
        with open(f"/proc/{pid}/auxv", "rb") as file:
            return file.read()
    except OSError:
        return b""


def _age_ms(pid: int) -> int | None:
    known = proc.read(pid)
    if known is None:
        return None
    since_s = time.clock_gettime(time.CLOCK_BOOTTIME) - known.started / os.sysconf("SC_CLK_TCK")
    return round(1e3 * since_s)
