"""Writer of files with untrusted names strictly below a folder: no name and no link leads out of it.

with inside_folder.create(run_dir, "logs/n1/node.log") as file:
    file.write(content)
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

NAME_BYTES = 200
"""Limit for each part of a name; a file system takes 255."""
PARTS = 8


def place(folder: Path, name: str) -> Path:
    """The path of `name` below `folder`; its parents are made. Raises `ValueError` for an invalid name, and where a link is in the way."""
    parts = name.split("/")
    if len(parts) > PARTS or any(is_forbidden(part) for part in parts):
        raise ValueError(f"{shown(name)!r} is not a name below the run's folder")
    current = folder.resolve()
    for part in parts[:-1]:
        current /= part
        current.mkdir(exist_ok=True)
        if current.is_symlink():
            raise ValueError(f"{current} is a link, which is not followed")
    if (path := current / parts[-1]).is_symlink():
        raise ValueError(f"{path} is a link, which is not followed")
    return path


def create(folder: Path, name: str) -> BinaryIO:
    """The file of that name, new and empty. Raises `ValueError` as `place` does, and when something is there already."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    path = place(folder, name)
    try:
        return os.fdopen(os.open(path, flags, 0o644), "wb")
    except FileExistsError:
        raise ValueError(f"{path} is there already") from None


def is_forbidden(part: str) -> bool:
    """Return whether `part` cannot be a part of a name: empty, `..`, with unprintable characters, or too long."""
    return part in ("", ".", "..") or not part.isprintable() or "\\" in part or len(part.encode()) > NAME_BYTES


def shown(name: str) -> str:
    """Return `name` for a message: short, and without control characters."""
    return ascii(name)[1:-1][:NAME_BYTES] if not name.isprintable() else name[:NAME_BYTES]
