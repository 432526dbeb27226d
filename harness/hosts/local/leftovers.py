"""Who uses a lab, and what is left of labs that nobody uses any more.

A process that uses a lab holds a shared lock on the lab's file `users`, from before the lab can be found until it lets go or ends. The kernel
takes the lock away with the process, whatever ended it: a lab without one is provably nobody's, and no process id can be mistaken for another's.
What a killed supervisor leaves (keys, disks, empty control groups) is removed when the next lab is made.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from pathlib import Path

from ...errors import HostError
from .layout import groups
from .layout.layout import DESCRIPTION, GROUPS, KEPT, USERS
from .layout.state import exclusive, free_lock, in_use, is_alive

ENDING_S = 5.0
"""How long the processes of a lab may take to end after their supervisor."""


def hold(lab: Path, kept: bool = False) -> int:
    """A descriptor that says, for as long as it is open, that this process uses the lab. `kept`: the lab stays when nobody does."""
    descriptor = os.open(lab / USERS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    if kept:
        (lab / KEPT).touch(mode=0o600)
    return descriptor


def sweep(base: Path, but: str) -> list[str]:
    """Remove what killed processes left in `base`: labs without a supervisor that nobody uses and that were not to stay; their names.

    `but` is the lab that the caller brings up. What cannot be removed stays, and is no reason for the caller to fail.
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
    """The files of a lab whose supervisor is gone, and the control groups of its hosts; the kernel took the rest."""
    recorded: list[str] = []
    with contextlib.suppress(FileNotFoundError):
        recorded = (lab / GROUPS).read_text().splitlines()
    deadline_s = time.monotonic() + ENDING_S
    while lab.exists():
        try:
            shutil.rmtree(lab)
        except OSError:
            # Processes that end with their supervisor may write until they have.
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.02)
    groups.remove_recorded(recorded)
