"""Opening of the files that a user names as histories: regular files only, so that no fifo, device or folder blocks or ends a command."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO

from ..model.bounds import TEXT_BYTES
from ..model.errors import HistoryError
from .replacing import replacing

BOM = b"\xef\xbb\xbf"
_HINT = "name a history's file, or a run's folder"


def open_regular(path: str | Path) -> IO[bytes]:
    """Open a regular file. Raises OSError for anything else, and ValueError for an invalid path."""
    # Without O_NONBLOCK, opening a fifo waits for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    kind = "a folder" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "a device or socket"
    raise OSError(errno.EINVAL, f"it is {kind}, not a regular file")


_WRITTEN = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


def write_named(path: str | Path, text: str) -> None:
    """Write to whatever a user named: `/dev/stdout`, a pipe that is read, a file, which is then no longer what it was. Raises OSError for a pipe that is
    not read, instead of waiting for its reader.
    """
    _write(os.open(path, _WRITTEN | os.O_TRUNC, 0o666), text)


class NamedFile:
    """File that a user named for the result of a command: opened when the command begins, and written when it ends.

    Raises OSError for what cannot be written. A pipe or device gets only the result: it cannot be replaced later.
    """

    def __init__(self, path: str | Path, beginning: str) -> None:
        is_new = not os.path.lexists(path)
        self.path, descriptor = path, os.open(path, _WRITTEN, 0o666)
        self._special = None if stat.S_ISREG(os.fstat(descriptor).st_mode) else descriptor
        if self._special is None:
            os.close(descriptor)
            try:
                write_whole(path, beginning)
            except OSError:
                if is_new:
                    Path(path).unlink(missing_ok=True)
                raise

    def write(self, text: str) -> None:
        """Write the result, once. Raises OSError; what was there before then stays."""
        if self._special is None:
            write_whole(self.path, text)
        else:
            _write(self._special, text)


def write_whole(path: str | Path, text: str) -> None:
    """Write a regular file as a whole, or leave it as it was, as on a full disk. A link is followed: its user made it."""
    place = Path(os.path.realpath(path))
    try:
        with replacing(place) as file:
            with suppress(FileNotFoundError), open(place, "ab") as before:  # Refused where the user may not write it.
                os.fchmod(file.fileno(), stat.S_IMODE(os.fstat(before.fileno()).st_mode))
            file.write(text.encode("utf-8"))
    except PermissionError:
        # The file may be written, but its folder may not.
        write_named(path, text)
    except OSError as error:
        if error.errno != errno.EBUSY:  # A file that is mounted in a container cannot be replaced.
            raise
        write_named(path, text)


def _write(descriptor: int, text: str) -> None:
    with os.fdopen(descriptor, "wb") as file:
        os.set_blocking(file.fileno(), True)
        file.write(text.encode("utf-8"))


def opened(path: str | Path) -> IO[bytes]:
    """Open a file and skip its byte order mark. Raises `HistoryError` for anything but a readable regular file."""
    try:
        file = open_regular(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if file.read(len(BOM)) != BOM:
        file.seek(0)
    return file


def read_bytes(path: str | Path, limit: int = TEXT_BYTES) -> bytes:
    """Return the content. Raises `HistoryError` where it is larger than `limit`."""
    try:
        with opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            # No more than there is: Python gets memory for all that is asked for. It may grow meanwhile.
            content = file.read(size + 1) if size <= limit else b""
            content += file.read(limit + 1 - len(content)) if len(content) > size else b""
    except OSError as error:
        raise unreadable(path, error) from error
    if max(size, len(content)) > limit:
        raise HistoryError(
            f"{path} has {max(size, len(content))} bytes, more than {limit}",
            "formats other than jsonl are read as a whole; was this the right file?",
        )
    return content


def read_text(path: str | Path) -> str:
    """Return the content as text. Raises `HistoryError` with the line that is not UTF-8."""
    content = read_bytes(path)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise HistoryError(f"{path}:{line}: not UTF-8: {error.reason}", "histories are text in UTF-8") from error


def unreadable(path: str | Path, error: OSError | ValueError) -> HistoryError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return HistoryError(f"cannot read the history {path}: {reason}", _HINT)
