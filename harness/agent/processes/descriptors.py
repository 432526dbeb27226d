"""Limits of the descriptors that processes may have open: their soft limits, read and set; their hard ones stay.

They are read from /proc, which needs no privilege. They are set as our own user. Where that is refused, because the process is another user's and we lack
CAP_SYS_RESOURCE (as root of a container may), they are set as that user.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Mapping

from . import proc

UNLIMITED = 1 << 62
"""Stands for no limit at all."""


def read(pid: int) -> int | None:
    """Return the soft limit; None when the process has ended."""
    found = _limits(pid)
    return found[0] if found else None


def put(softs: Mapping[int, int]) -> None:
    """Set the soft limit of each pid, or its hard one if that is lower. Raises `OSError` or `RuntimeError` where that is refused."""
    refused: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    for pid, wanted in softs.items():
        if (known := _limits(pid)) is None:
            continue
        soft, hard = (-1 if limit == UNLIMITED else limit for limit in (min(wanted, known[1]), known[1]))
        try:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        except PermissionError:
            if known_as := proc.identity(pid):
                refused.setdefault((known_as[0], known_as[1]), []).append((pid, soft, hard))
    for owner, limits in refused.items():
        _put_as(owner, limits)


def _put_as(owner: tuple[int, int], limits: list[tuple[int, int, int]]) -> None:
    """Set the limits in a child of ours that becomes that user, and runs no program: the user may not be able to read ours."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(owner[1])
            os.setuid(owner[0])
            for pid, soft, hard in limits:
                with contextlib.suppress(ProcessLookupError):
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
            code = 0
        finally:
            os._exit(code)
    if os.waitpid(child, 0)[1] != 0:
        raise RuntimeError(
            f"descriptors of user {owner[0]}'s processes cannot be limited: the kernel refuses this for that user too"
        )


def _limits(pid: int) -> tuple[int, int] | None:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/limits", errors="surrogateescape") as file:
        for line in file:
            if line.startswith("Max open files"):
                soft, hard = (UNLIMITED if word == "unlimited" else int(word) for word in line.split()[3:5])
                return soft, hard
    return None
