"""Programs of this machine: ended after a time, and after more output than any of them should have.

    done = run_program(["ip", "-j", "addr"], timeout_s=20)
    done.exit_code, done.stdout

`subprocess.run` alone keeps all output, and after its timeout ends only the program itself: what that had started goes on, also when it prints
without end.
"""

from __future__ import annotations

import os
import selectors
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import HostError

MOST_BYTES = 1 << 20
_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Ended:
    exit_code: int
    stdout: str
    stderr: str


def run_program(
    command: Sequence[str],
    *,
    timeout_s: float,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    hint: str | None = None,
) -> Ended:
    """Run it to its end. Raises `HostError` with `hint` where it takes longer or prints more than `MOST_BYTES`; it and its children are then killed.

    Raises OSError where there is no such program.
    """
    with tempfile.TemporaryFile() as source:
        source.write(stdin.encode())
        source.seek(0)
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A session of its own, so that its children end with it.
            start_new_session=True,
        )
    with process:
        try:
            printed = _read(process, time.monotonic() + timeout_s)
            if isinstance(printed, str):
                limit = f"within {timeout_s:g} s" if printed == LATE else f"after {MOST_BYTES >> 20} MiB of output"
                raise HostError(f"`{_named(command)}` did not end {limit}", hint=hint)
            return Ended(process.returncode, *(text.decode("utf-8", "replace") for text in printed))
        except BaseException:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            raise


def end_of(path: Path, most: int) -> str:
    """Return the last characters of a file to which a program or a host prints, whatever its size is. Raises OSError."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        # Up to four bytes a character.
        file.seek(max(0, file.seek(0, os.SEEK_END) - 4 * most))
        return file.read(4 * most).decode("utf-8", "replace").strip()[-most:]


LATE, LONG = "late", "long"


def _read(process: subprocess.Popen[bytes], end_s: float) -> tuple[bytes, bytes] | str:
    """Read its output to the end, and wait for it; or return why it must be ended."""
    assert process.stdout is not None and process.stderr is not None
    got = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    out, err = got.values()
    with selectors.DefaultSelector() as selector:
        for descriptor in got:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            if (left_s := end_s - time.monotonic()) <= 0:
                return LATE
            for key, _ in selector.select(left_s):
                piece = os.read(key.fd, 1 << 16)
                got[key.fd] += piece
                if not piece:
                    selector.unregister(key.fd)
                if len(out) + len(err) > MOST_BYTES:
                    return LONG
    try:
        process.wait(max(0.001, end_s - time.monotonic()))
    except subprocess.TimeoutExpired:
        return LATE
    return bytes(out), bytes(err)


def _named(command: Sequence[str]) -> str:
    text = shlex.join(command)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
