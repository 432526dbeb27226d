"""A client program as a process: its lines with deadlines, and what it writes to standard error."""

from __future__ import annotations

import ctypes
import os
import re
import select
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from .program_messages import excerpt

LONGEST_LINE = 16 << 20
CHUNK = 1 << 16
MOST_STDERR = 1 << 20
"""Bytes of standard error that are kept for a client."""
TAIL, LAST_WORDS = 4096, 80
END_S = 0.3
"""Time for a program to end by itself when its input has ended."""
PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_ERROR = re.compile(r"error|exception|panic|fatal", re.IGNORECASE)


class ProgramError(Exception):
    """Error of a program, as a sentence."""


class ProgramEnded(ProgramError):
    """The program is gone, or has closed its output."""


class ProgramSilent(ProgramError):
    """The program did not answer, or did not read, in time."""


class BrokenProtocol(ProgramError):
    """The program wrote what is no answer."""


class Program:
    """A started program. It has a pipe at each end; used by one thread."""

    def __init__(self, command: Sequence[str], folder: Path, stderr: Path | None = None) -> None:
        self.name = shlex.join(command[:2])
        # The kernel sends the signal when the *thread* that started the program ends: only the main one stays to the end.
        in_main = threading.current_thread() is threading.main_thread()
        self._process = subprocess.Popen(
            list(command),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            preexec_fn=_end_with_the_run if in_main else None,
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._input, self._output = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._input, False)
        os.set_blocking(self._output, False)
        self._read = bytearray()
        self._tail = b""
        pipe = os.dup(self._process.stderr.fileno())
        self._process.stderr.close()
        self._drain = threading.Thread(target=self._keep, args=(pipe, stderr), name="client-stderr", daemon=True)
        self._drain.start()

    def send(self, line: bytes, deadline_s: float) -> None:
        """Send a line. Raises `BrokenProtocol` if the program wrote something without a request."""
        self._require_quiet()
        left = memoryview(line)
        while left:
            if not _ready(self._input, select.POLLOUT, deadline_s):
                raise ProgramSilent(f"{self.name} does not read its standard input")
            try:
                left = left[os.write(self._input, left) :]
            except BlockingIOError:
                continue
            except OSError:
                raise self._ended("before it read the request") from None

    def receive(self, deadline_s: float) -> bytes:
        """The next line, without its end."""
        searched = 0
        while (end := self._read.find(b"\n", searched)) < 0:
            searched = len(self._read)
            if searched > LONGEST_LINE:
                raise BrokenProtocol(f"{self.name} wrote a line of more than {LONGEST_LINE >> 20} MiB")
            if not _ready(self._output, select.POLLIN, deadline_s):
                begun = f" to the end of its line {excerpt(bytes(self._read))}" if self._read else ""
                raise ProgramSilent(f"{self.name} did not answer{begun} in time")
            if not self._more():
                raise self._ended("in the middle of a line" if self._read else "before it answered")
        line = bytes(self._read[:end])
        del self._read[: end + 1]
        return line

    def close(self) -> None:
        """End its input, and kill it if it does not end by that."""
        process = self._process
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                assert pipe is not None
                pipe.close()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # A process that the program started may hold standard error open.
        self._drain.join(END_S)

    def _require_quiet(self) -> None:
        while _ready(self._output, select.POLLIN, 0.0) and len(self._read) < CHUNK and self._more():
            pass
        if self._read:
            line = bytes(self._read).partition(b"\n")[0]
            raise BrokenProtocol(f"{self.name} wrote {excerpt(line)} without a request")

    def _more(self) -> bool:
        try:
            data = os.read(self._output, CHUNK)
        except BlockingIOError:
            return True
        self._read += data
        return bool(data)

    def _ended(self, when: str) -> ProgramEnded:
        try:
            code = self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            return ProgramEnded(f"{self.name} closed its standard output {when}")
        self._drain.join(END_S)
        how = f"with exit status {code}" if code >= 0 else f"by {_signal_name(-code)}"
        last = _last_words(self._tail)
        return ProgramEnded(f"{self.name} ended {how} {when}" + (f"; its last words: {last}" if last else ""))

    def _keep(self, pipe: int, file: Path | None) -> None:
        """Read standard error to its end, whether it is kept or not: a full pipe would stop the program."""
        kept = -1
        if file is not None:
            with suppress(OSError):
                file.parent.mkdir(parents=True, exist_ok=True)
                kept = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            with suppress(OSError):
                while data := os.read(pipe, CHUNK):
                    self._tail = (self._tail + data)[-TAIL:]
                    _append(kept, data)
        finally:
            os.close(pipe)
            if kept >= 0:
                os.close(kept)


def _end_with_the_run() -> None:
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _ready(descriptor: int, event: int, deadline_s: float) -> bool:
    """Return whether it is ready before that time (monotonic). An end or an error is ready as well."""
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(max(0, round((deadline_s - time.monotonic()) * 1000))))


def _last_words(tail: bytes) -> str:
    """The last line that names an error, else the last one."""
    lines = [line for line in tail.decode(errors="backslashreplace").splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.search(line)]
    return (errors or lines or [""])[-1].strip()[:LAST_WORDS]


def _append(kept: int, data: bytes) -> None:
    """Write as much as the file may still take. A full disk ends no client."""
    with suppress(OSError):
        if kept >= 0 and (room := MOST_STDERR - os.fstat(kept).st_size) > 0:
            os.write(kept, data[:room])


def _signal_name(number: int) -> str:
    """Return the name of a signal, or its number: of real-time signals, Python names only the first and the last."""
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
