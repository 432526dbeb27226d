"""The active faults of this host, the lease, and the journal: small files that agent, watchdog and `heal` share under one lock.

`force.json` is written and fsynced *before* anything is done, and always names everything that may be active; so undoing it is
complete even if one of the programs dies at any time.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from .lines import read_object

JOURNAL = "journal.jsonl"
LEASE_CHARACTERS = 30


class Store:
    def __init__(self, directory: str) -> None:
        self.directory = directory
        os.makedirs(directory, mode=0o755, exist_ok=True)

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock: one program at a time changes the active state."""
        with open(self.path("lock"), "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def force(self) -> dict[str, Any]:
        """Return by part what may be active; empty if nothing is. Raises `ValueError` for a damaged file."""
        try:
            with open(self.path("force.json"), "rb") as file:
                return read_object(file.read())
        except FileNotFoundError:
            return {}

    def set_force(self, force: dict[str, Any]) -> None:
        write_durably(self.path("force.json"), json.dumps(force))

    def renew(self, lease_s: float) -> None:
        """Let the lease end `lease_s` from now, on this host's monotonic clock, which no clock fault moves."""
        write_durably(self.path("lease"), str(time.monotonic_ns() + int(lease_s * 1e9)), fsync=False)

    def lease_left_s(self) -> float:
        try:
            with open(self.path("lease")) as file:
                return (int(file.read(LEASE_CHARACTERS)) - time.monotonic_ns()) / 1e9
        except (FileNotFoundError, ValueError):
            return 0.0

    def write_journal(self, entry: dict[str, Any]) -> None:
        self.append(JOURNAL, [{"mono_ns": time.monotonic_ns(), "wall_ns": time.time_ns(), **entry}])

    def read_journal(self) -> list[dict[str, Any]]:
        return list(self.lines(JOURNAL))

    def append(self, name: str, objects: Sequence[dict[str, Any]]) -> None:
        """Append lines to this file, durably."""
        if not objects:
            return
        with open(self.path(name), "a+b") as file:
            file.seek(max(0, file.tell() - 1))
            # What was torn by a power loss must not spoil the line after it.
            torn = file.read(1) not in (b"", b"\n")
            file.write(b"\n" * torn + "".join(json.dumps(each) + "\n" for each in objects).encode())
            file.flush()
            os.fsync(file.fileno())

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield the whole lines of this file; damaged ones are left out."""
        with contextlib.suppress(FileNotFoundError), open(self.path(name), "rb") as file:
            for line in file:
                with contextlib.suppress(ValueError):
                    if line.endswith(b"\n"):
                        yield read_object(line)


def write_durably(path: str, text: str, fsync: bool = True) -> None:
    """Write a temporary file, and rename it: a reader sees the old text or the new."""
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w") as file:
        file.write(text)
        if fsync:
            file.flush()
            os.fsync(file.fileno())
    os.replace(temporary, path)
    if fsync:
        folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
