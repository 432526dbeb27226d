"""Replacement of a file: it is written next to its name and put in place in one step, so that no reader sees half of it.

A link at its name is replaced, never followed: the creator of the folder must not choose another file to be overwritten. A device, pipe or folder is
not replaced: root would remove `/dev/null` from the machine.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def replacing(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file for writing. At the end it replaces `path`; after an error it is removed."""
    path = Path(path)
    refuse_special(path)
    temporary = temporary_beside(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(temporary, flags, 0o666), "wb") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_beside(path: Path) -> Path:
    """A name next to `path` that no other process uses: two commands may write the same file at once."""
    return path.with_name(f"{path.name[:200]}.{os.urandom(6).hex()}.tmp")


def is_temporary_of(path: Path, name: str) -> bool:
    """Return whether `name` is one that `temporary_beside(path)` gives."""
    return re.fullmatch(rf"{re.escape(path.name[:200])}\.[0-9a-f]{{12}}\.tmp", name) is not None


def refuse_special(path: str | Path, *, links: bool = True) -> None:
    """Raise OSError where something other than a regular file has the name, or a link unless `links` may be replaced."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISREG(mode) or (links and stat.S_ISLNK(mode)):
        return
    kind = "a link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "a device, pipe or socket"
    raise OSError(errno.EINVAL, f"it is {kind}, not a regular file")
