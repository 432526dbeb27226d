"""Certificates and keys in files that may be replaced while the node runs.

The files are checked periodically. New content replaces the old when all of it is valid; otherwise the old stays in use, and the log says why.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from ...errors import ConfigError
from ..telemetry.logs import NodeLog

T = TypeVar("T")
MOST_BYTES = 1 << 16
"""Far above the size of any key; `/dev/zero` has no end."""
_Stamp = tuple[tuple[int, int, int], ...]


class Rotating(Generic[T]):
    """`load(again)` reads the files; it raises `ConfigError`. The constructor calls it with `again` false and raises the same."""

    def __init__(self, what: str, paths: Sequence[Path], load: Callable[[bool], T], log: NodeLog) -> None:
        self._what, self._paths, self._load, self._log = what, tuple(paths), load, log
        self._judged = self._seen = self._stamp()
        self.value = load(False)

    def look(self, *, force: bool = False) -> None:
        """Load files that have changed. Files that are being changed wait until the next check: of two files that belong together, one may still be
        old.
        """
        stamp = self._stamp()
        steady, self._seen = stamp == self._seen, stamp
        if not force and (stamp == self._judged or not steady):
            return
        self._judged = stamp
        try:
            self.value = self._load(True)
        except ConfigError as error:
            self._log.error(f"new {self._what} refused, the old stays in use", reason=error.message, hint=error.hint)
        except Exception as error:
            # Files that a library cannot read must not end a running node.
            self._log.error(
                f"new {self._what} refused, the old stays in use", reason=f"{type(error).__name__}: {error}"
            )
        else:
            self._log.info(f"new {self._what} in use")

    def _stamp(self) -> _Stamp:
        return tuple(_stamp_of(path) for path in self._paths)


def read_secret(path: Path, what: str) -> bytes:
    """Read a file that only its owner may read. Raises `ConfigError`, whose text does not contain the secret."""
    try:
        # Without O_NONBLOCK, a pipe would wait for its writer.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MOST_BYTES + 1) if stat.S_ISREG(mode) else b""
    except OSError as error:
        raise ConfigError(
            f"{what}: cannot read {path}: {error.strerror}", "write the path of a readable file"
        ) from None
    if not stat.S_ISREG(mode):
        raise ConfigError(f"{what}: {path} is not a regular file", "write the path of a readable file")
    if mode & 0o077:
        raise ConfigError(f"{what}: {path} has mode {mode & 0o777:04o}: others may read it", f"chmod 600 {path}")
    if len(content) > MOST_BYTES:
        raise ConfigError(f"{what}: {path} has more than {MOST_BYTES} bytes", "write the path of a file with a key")
    return content


def _stamp_of(path: Path) -> tuple[int, int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_ino, found.st_size)
