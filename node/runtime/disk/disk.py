"""The data directory as a flat set of files: the operations of `tribulation.node.core.interface.effects` as system calls.

Blocking; only the storage thread calls it. Descriptors stay open between operations, because a log is appended to and fsynced hundreds of times a
second. Errors are raised as `OSError`, unchanged: the caller decides how to handle them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class Disk(Protocol):
    """Interface that the storage thread needs. Names are plain file names of one directory."""

    def append(self, file: str, data: bytes) -> None: ...

    def write(self, file: str, data: bytes) -> None: ...

    def truncate(self, file: str, size: int) -> None: ...

    def fsync(self, file: str) -> None: ...

    def rename(self, file: str, to: str) -> None: ...

    def remove(self, file: str) -> None: ...

    def fsync_dir(self) -> None: ...

    def close(self) -> None: ...


class DirectoryDisk:
    """A directory on a local file system. Appends go to the end (`O_APPEND`), so a truncation needs no seek."""

    MAX_OPEN = 64

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._descriptors: dict[str, int] = {}

    def append(self, file: str, data: bytes) -> None:
        write_all(self._open(file), data)

    def write(self, file: str, data: bytes) -> None:
        descriptor = self._open(file)
        os.ftruncate(descriptor, 0)
        write_all(descriptor, data)

    def truncate(self, file: str, size: int) -> None:
        os.ftruncate(self._open(file), size)

    def fsync(self, file: str) -> None:
        # fdatasync also writes the file's size; it leaves out only times, which nothing reads.
        os.fdatasync(self._open(file))

    def rename(self, file: str, to: str) -> None:
        self._forget(file)
        self._forget(to)
        os.rename(self._path(file), self._path(to))

    def remove(self, file: str) -> None:
        self._forget(file)
        os.unlink(self._path(file))

    def fsync_dir(self) -> None:
        fsync_directory(self.directory)

    def close(self) -> None:
        for file in list(self._descriptors):
            self._forget(file)

    def _path(self, file: str) -> Path:
        if not file or "/" in file or file in (".", ".."):
            raise ValueError(f"{file!r} is not a file name of the flat data directory")
        return self.directory / file

    def _open(self, file: str) -> int:
        descriptor = self._descriptors.get(file)
        if descriptor is None:
            if len(self._descriptors) >= self.MAX_OPEN:
                self._forget(next(iter(self._descriptors)))
            descriptor = os.open(self._path(file), os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._descriptors[file] = descriptor
        return descriptor

    def _forget(self, file: str) -> None:
        descriptor = self._descriptors.pop(file, None)
        if descriptor is not None:
            os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all data: `os.write` may write only a part (a full disk, a signal). Raises when the rest cannot be written."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])


def fsync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_durably(path: Path, content: bytes) -> None:
    """Replace a small file so that after any crash it has its old or its new content, and the new one once this function has returned."""
    temporary = path.with_name(path.name + ".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(temporary, path)
    fsync_directory(path.parent)
