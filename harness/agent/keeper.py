"""Keeper of the limits on the processes while they are active: a restarted process is limited too; and if the mechanism is signals, it gives the
processes their share. It also ends slow starts when their time is over.

A thread of the agent. It reads the limits from `force.json`, so that it limits nothing after the watchdog has undone them; and it waits for the store's
lock only if there is something to change.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from typing import Any

from .faults import limits, slow_start
from .processes import limit_looks, processes
from .state.store import Store

LOOK_S = 0.05
CYCLE_S = 0.1
MOST_STOPPED_S = 1.0
"""The longest stop at a time, however long the processes ran: that may have been before they were limited."""


class Keeper:
    """Call `start` once. `stop` leaves no process stopped that should run."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._force: dict[str, Any] = {}
        self._changed_ns = -1
        self._wait_s = LOOK_S
        self._runs_since_s = time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopping.wait(self._wait_s):
            self._wait_s = LOOK_S
            # Processes may go at any moment; the verification sees the result.
            with contextlib.suppress(OSError, RuntimeError, ValueError):
                self._look()

    def _look(self) -> None:
        self._end_slow_start()
        force = self._limits()
        if not force:
            return
        began_s = time.monotonic()
        found = processes.tree(force["process"])
        if limits.unlimited(force, found.processes):
            with self._store.locked():
                if force := self._store.force().get(limits.NAME, {}):
                    limits.hold(force)
        # Where there are very many processes, looking at them must not take a processor.
        self._wait_s = max(LOOK_S, 10 * (time.monotonic() - began_s))
        cpu = force.get("cpu", {})
        if cpu.get("means") == limit_looks.SIGNALS and "share_ppm" in cpu and found.processes and not self._paused():
            self._give_share(found, cpu["share_ppm"])

    def _limits(self) -> dict[str, Any]:
        self._read()
        limited: dict[str, Any] = self._force.get(limits.NAME, {})
        return limited

    def _read(self) -> None:
        """Read the active limits; read them again when the file was replaced."""
        try:
            changed_ns = os.stat(self._store.path("force.json")).st_mtime_ns
        except FileNotFoundError:
            self._force, self._changed_ns = {}, -1
            return
        if changed_ns != self._changed_ns:
            self._force, self._changed_ns = self._store.force(), changed_ns

    def _end_slow_start(self) -> None:
        self._read()
        if time.monotonic_ns() < self._force.get(slow_start.NAME, {}).get("until_ns", time.monotonic_ns() + 1):
            return
        with self._store.locked():
            force = self._store.force()
            if slow_start.over(force.get(slow_start.NAME, {})):
                self._store.set_force({name: value for name, value in force.items() if name != slow_start.NAME})

    def _paused(self) -> bool:
        return "process" in self._force and bool(self._force["process"].get("paused"))

    def _give_share(self, found: processes.Tree, share_ppm: int) -> None:
        """One turn: stop the processes until their use is within the share, then continue them. On a busy machine a turn takes longer, and the share
        is the same.
        """
        found.send(signal.SIGSTOP)
        ran_s = max(CYCLE_S * share_ppm / 1e6, time.monotonic() - self._runs_since_s)
        self._stopping.wait(min(MOST_STOPPED_S, ran_s * (1e6 / share_ppm - 1)))
        # Under the lock: a fault that pauses it now must find it paused afterwards.
        with self._store.locked():
            self._limits()
            if not self._paused():
                processes.resume(found.pairs)
        self._runs_since_s = time.monotonic()
        self._wait_s = CYCLE_S * share_ppm / 1e6
