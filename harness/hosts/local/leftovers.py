"""Processes that use a lab, and the removal of labs that no process uses any more.

A process that uses a lab holds a shared lock on the lab's file `users`, from before the lab can be found until it releases the lab or ends. The kernel
releases the lock with the process, however it ended. So a lab without a lock is certainly unused, and no process id can be mistaken for another's.
What a killed supervisor leaves (keys, disks, empty control groups) is removed when the next lab is made.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from pathlib import Path

from tribulation.histories.files.opening import open_regular

from ...errors import HostError
from .layout import groups
from .layout.layout import DESCRIPTION, GROUPS, KEPT, USERS
from .layout.state import MOST_BYTES, exclusive, free_lock, in_use, is_alive

ENDING_S = 5.0
"""How long the processes of a lab may take to end after their supervisor."""


def hold(lab: Path, kept: bool = False) -> int:
    """A descriptor that marks the lab as used by this process while it is open. `kept`: the lab stays when no process uses it."""
    descriptor = os.open(lab / USERS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    if kept:
        (lab / KEPT).touch(mode=0o600)
    return descriptor


def sweep(base: Path, but: str) -> list[str]:
    """Remove what killed processes left in `base`: labs without a supervisor that no process uses and that were not to stay; returns their names.

    `but` is the lab that the caller brings up. What cannot be removed stays, and the caller does not fail because of it.
    """
    swept = []
    for lab in sorted(base.iterdir()):
        if lab.name == but or not any((lab / name).exists() for name in (DESCRIPTION, USERS)):
            continue
        with contextlib.suppress(HostError, OSError), exclusive(base, lab.name, timeout_s=0.0):
            if not (is_alive(lab) or in_use(lab) or (lab / KEPT).exists()):
                remove(lab)
                swept.append(lab.name)
    for lock in base.glob(".*.lock"):
        free_lock(lock)
    return swept


def remove(lab: Path) -> None:
    """Remove the files of a lab whose supervisor is gone, and the control groups of its hosts; the kernel removed the rest."""
    recorded: list[str] = []
    with contextlib.suppress(OSError), open_regular(lab / GROUPS) as file:
        recorded = file.read(MOST_BYTES).decode(errors="surrogateescape").splitlines()
    deadline_s = time.monotonic() + ENDING_S
    while lab.exists():
        try:
            shutil.rmtree(lab)
        except OSError:
            # Processes that end with their supervisor may still write until they have ended.
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.02)
    groups.remove_recorded(recorded)
