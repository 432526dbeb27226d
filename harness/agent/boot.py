"""The boot of a host that lost its power while faults were active: what is left of them, and the undo when no harness comes.

Rules, limits and stopped processes went with the power; what is on the disk did not: a marker that keeps the process down, a file that says what
time it is. And the watchdog is gone. So each agent leaves a boot hook behind where hosts have such, and that calls `after_boot`.
"""

from __future__ import annotations

import os
import shlex
import sys

from . import watchdog
from .faults import PARTS
from .state import account
from .state.store import Store

HOOK = "30-faults"
GRACE_S = 10.0
"""A harness that switched the host on renews within this time; until then nothing is undone that would have to be done again."""


def leave_hook(store: Store, program: str) -> None:
    hooks = os.path.join(os.path.dirname(store.directory.rstrip("/")), "boot.d")
    if not os.path.isdir(hooks):
        return
    force, command = (
        shlex.quote(store.path("force.json")),
        shlex.join([sys.executable, "-I", program, "boot", store.directory]),
    )
    # Most boots have nothing to do here, and need no interpreter for that.
    script = f"#!/bin/sh\n[ -s {force} ] && [ -e {shlex.quote(program)} ] || exit 0\nexec {command}\n"
    path = os.path.join(hooks, HOOK)
    with open(f"{path}.new", "w") as file:
        file.write(script)
    os.chmod(f"{path}.new", 0o755)
    os.replace(f"{path}.new", path)


def after_boot(store: Store, program: str) -> None:
    """Forget what the power loss ended, and arm a watchdog for what is still active."""
    with store.locked():
        force = store.force()
        kept = {
            part.NAME: force[part.NAME]
            for part in PARTS
            if part.NAME in force and getattr(part, "OUTLIVES_POWER", False)
        }
        for part in reversed(PARTS):
            if part.NAME in force and part.NAME not in kept:
                part.undo(force[part.NAME])
        store.set_force(kept)
        if not kept:
            account.end_others(store, (), "boot")
        else:
            # Switched on because no harness renewed: then none comes either.
            store.renew(0.0 if os.environ.get("UNATTENDED") else GRACE_S)
            watchdog.ensure(store, program)
