"""Standard streams that cannot fail: text that cannot be printed is lost, and nothing else happens.

A command's exit code is its verdict's. So the file below `sys.stdout` and `sys.stderr` accepts everything: if a reader is gone, a disk is full, or a
terminal was closed, the text is lost, and no code above (rich, click, print, logging, tracebacks, the flush at the interpreter's end) ever sees an
error. Text of others (a key, a value, a host's message) cannot control the terminal, because control characters are escaped here. A descriptor that
was closed before the start is opened on /dev/null, or the run's own files would get its number.

    with guarded_streams() as streams:
        code = work()
        print(streams.lost_result)    # why stdout did not accept all of it, or None
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, TextIO, cast

from tribulation.histories.printable import printable

from ...foreign import FIRST_OF_OURS

CHUNK = 4096
"""The number of bytes that a writable pipe accepts without blocking (PIPE_BUF)."""
TALK_PATIENCE_S = 1.0
"""How long a line on stderr waits for a stopped terminal or a full pager, before it is dropped: a run must not wait for its reader."""


class Unfailing(io.RawIOBase):
    """The descriptor's file. The first error is kept in `failure`, and everything from then on goes to /dev/null.

    `patience_s` is how long a write waits for a slow reader; None: without limit.
    """

    def __init__(self, descriptor: int, patience_s: float | None = None) -> None:
        self._descriptor, self._own = descriptor, _copy_of(descriptor)
        self._patience_s = patience_s
        self._stuck = False
        self.failure: OSError | None = None

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        written = 0
        while self.failure is None and written < len(view) and self._is_ready():
            try:
                written += os.write(self._own, view[written : written + CHUNK])
            except BlockingIOError:
                continue
            except OSError as error:
                self.fail(error)
        return len(view)

    def fail(self, error: OSError) -> None:
        """Discard all later output, also of child processes."""
        self.failure = self.failure or error
        with suppress(OSError):  # no descriptor is left to open it with
            _open_null(self._descriptor)

    def _is_ready(self) -> bool:
        """Return False if the reader accepts nothing for too long. Later writes then do not wait, until it accepts something again."""
        poll = select.poll()
        poll.register(self._own, select.POLLOUT)
        patience_s = 0.0 if self._stuck and self._patience_s is not None else self._patience_s
        self._stuck = not poll.poll(None if patience_s is None else 1000 * patience_s)
        return not self._stuck


class Streams:
    """`result` is below stdout, `talk` below stderr; None if other code has replaced the stream."""

    def __init__(self, result: Unfailing | None, talk: Unfailing | None) -> None:
        self.result, self.talk = result, talk

    @property
    def lost_result(self) -> str | None:
        """Why stdout did not accept everything; None if it did, and also if its reader has ended, as `| head` does."""
        failure = self.result.failure if self.result is not None else None
        return None if failure is None or failure.errno == errno.EPIPE else failure.strerror


@contextmanager
def guarded_streams() -> Iterator[Streams]:
    """Make stdout and stderr unfailing until the end of the process, because the last flush comes after everything else.

    Streams that are not the interpreter's own (a test's, a notebook's) are left alone.
    """
    closed = _open_closed()
    result = Unfailing(1) if sys.stdout is sys.__stdout__ else None
    talk = Unfailing(2, TALK_PATIENCE_S) if sys.stderr is sys.__stderr__ else None
    if result is not None:
        _flush(sys.stdout)
        sys.stdout = sys.__stdout__ = _text(result, sys.stdout, line_buffering=result.isatty())  # type: ignore[misc]
        if 1 in closed:
            result.failure = OSError(errno.EBADF, os.strerror(errno.EBADF))
    if talk is not None:
        _flush(sys.stderr)
        sys.stderr = sys.__stderr__ = _text(talk, sys.stderr, line_buffering=True)  # type: ignore[misc]
    try:
        yield Streams(result, talk)
    finally:
        _flush(sys.stdout)
        _flush(sys.stderr)


class Escaping(io.TextIOWrapper):
    """A standard stream that escapes control characters in text; `verbatim` is for trusted writers."""

    def write(self, text: str, /) -> int:
        super().write(printable(text))
        return len(text)

    def close(self) -> None:
        """Flush only: if a user's code closes `sys.stdout`, `tri` can still print."""
        _flush(self)

    @property
    def verbatim(self) -> IO[str]:
        return cast(IO[str], _Verbatim(self))


class _Verbatim:
    """The stream below, as it is."""

    def __init__(self, stream: Escaping) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return io.TextIOWrapper.write(self._stream, text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _text(raw: Unfailing, before: TextIO | None, line_buffering: bool) -> Escaping:
    """Write characters that the encoding lacks as escapes."""
    encoding = "utf-8" if before is None else before.encoding
    buffered = io.BufferedWriter(raw)
    return Escaping(buffered, encoding, errors="backslashreplace", line_buffering=line_buffering)


def _open_closed() -> set[int]:
    """Open /dev/null for the standard descriptors that are closed, and return those."""
    closed = set()
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            closed.add(descriptor)
            _open_null(descriptor)
    return closed


def _copy_of(descriptor: int) -> int:
    """Return a second, high descriptor for the same file: a user's code may close 1 or 2, and the next file or socket would get this number."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, FIRST_OF_OURS)
    except OSError:
        return descriptor


def _open_null(descriptor: int) -> None:
    """Make the descriptor refer to /dev/null, also in child processes."""
    null = os.open(os.devnull, os.O_RDWR)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)
    else:
        os.set_inheritable(descriptor, True)


def _flush(stream: TextIO | None) -> None:
    if stream is not None:
        with suppress(OSError, ValueError):
            stream.flush()
