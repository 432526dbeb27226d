"""The dead man's switch: a detached process that undoes everything on this host when the harness has not renewed its lease.

It outlives the agent and the SSH connection. It holds a lock as long as it lives: so the agent knows that it is armed. It ends only under the store's
lock, so that an agent never relies on a watchdog that is about to end.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import subprocess
import sys
import time
from typing import IO

from .apply import undo_all
from .network import firewall
from .state.log import log_line
from .state.store import Store

START_S = 90.0
GIVE_UP_S = 600.0
LOOK_S = 0.25
"""How soon it sees that the lease was ended."""


def ensure(store: Store, program: str) -> None:
    """Start a watchdog unless one lives; under the store's lock. Returns when it is armed. Raises `RuntimeError` when it does not start."""
    if _guarded(store):
        return
    with open(store.path("watchdog.log"), "ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-I", program, "watchdog", store.directory],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    assert child.stdout is not None
    with child.stdout as answer:
        ready, _, _ = select.select([answer], [], [], START_S)
        if not ready or answer.readline() != b"armed\n":
            raise RuntimeError(f"the watchdog did not start within {START_S:g} s; see {store.path('watchdog.log')}")


def _guarded(store: Store) -> bool:
    with contextlib.suppress(ChildProcessError):
        # Reap watchdogs of ours that have gone.
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    with open(store.path("watchdog.lock"), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def run(store: Store) -> None:
    """Guard until the lease has run out and nothing is active."""
    with open(store.path("watchdog.lock"), "w") as guard:
        # The agent's look at this lock may hold it for an instant.
        fcntl.flock(guard, fcntl.LOCK_EX)
        sys.stdout.write("armed\n")
        sys.stdout.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        _guard(store, guard)


def _guard(store: Store, guard: IO[str]) -> None:
    failing_since: float | None = None
    while True:
        left_s = store.lease_left_s()
        if left_s > 0:
            time.sleep(min(left_s, LOOK_S))
            continue
        try:
            if not os.path.exists(store.path("lease")):
                # The agent's files were removed: nothing is active, or only the table can be recognised as ours.
                firewall.remove()
                return
            with store.locked():
                if store.lease_left_s() <= 0:
                    undo_all(store, "watchdog")
                    fcntl.flock(guard, fcntl.LOCK_UN)
                    return
        except Exception as error:
            # A firewall tool that is briefly in the way must not leave a fault on without end.
            log_line(f"could not undo, trying again: {type(error).__name__}: {error}")
            failing_since = failing_since or time.monotonic()
            if time.monotonic() - failing_since > GIVE_UP_S:
                store.write_journal({"who": "watchdog", "gave_up": str(error)})
                raise
            time.sleep(1.0)
