"""Probes a disk as a process that uses it: it writes, syncs, reads back, and reads all files.

It is independent of the faults on the disk. The file that it writes has a name that a fault disk never lists, so that the service does not see it.
A stalled disk keeps its probe waiting, and the agent has leases to renew: so a probe is started first, and asked later for its result.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import subprocess
import sys
from typing import Any

Json = dict[str, Any]
PROGRAM = """
import errno, json, os, sys, time
directory, backing = sys.argv[1:]
name = f".tribulation-probe-{os.getpid()}"
path, data, error = os.path.join(directory, name), b"probe" * 512, None
def step(what, act):
    global error
    if error is None:
        try:
            return act()
        except OSError as failure:
            error = f"{errno.errorcode.get(failure.errno, failure.errno)} from {what}"
def read_back():
    with open(path, "rb") as file:
        if file.read() != data:
            raise OSError(errno.EIO, "other bytes")
began = time.monotonic_ns()
file = step("open", lambda: os.open(path, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600))
step("write", lambda: os.write(file, data))
step("fsync", lambda: os.fsync(file))
folder = step("open of the directory", lambda: os.open(directory, os.O_RDONLY))
step("fsync of the directory", lambda: os.fsync(folder))
step("read", read_back)
took = time.monotonic_ns() - began
try:
    with open(os.path.join(backing, name), "rb") as kept:
        durable = kept.read() == data
except OSError:
    durable = False
print(json.dumps({"error": error, "took_ns": took, "durable": durable}), flush=True)
try:
    os.unlink(path)
    os.fsync(folder)
except (OSError, TypeError):
    pass
"""


class Probe:
    """One probe at a time, in a process of its own, so that no other work has to wait."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._old: list[subprocess.Popen[bytes]] = []

    @property
    def begun(self) -> bool:
        return self._process is not None

    def begin(self, directory: str, backing: str) -> None:
        """Begin the probe; `backing` is the directory with the bytes that would survive."""
        self.give_up()
        command = [sys.executable, "-I", "-S", "-c", PROGRAM, directory, backing]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def answer(self, within_s: float) -> Json | None:
        """Return `error` (the first one, with its name and place), `took_ns` and `durable`, once; None while there is no answer."""
        assert self._process is not None and self._process.stdout is not None, "`begin` comes first"
        ready, _, _ = select.select([self._process.stdout], [], [], within_s)
        if not ready:
            return None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise RuntimeError(f"the probe of the disk ended with {self._process.wait(5)} and no answer")
        # What it wrote it takes away by itself.
        self._old.append(self._process)
        self._process = None
        seen: Json = json.loads(line)
        return seen

    def give_up(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._old.append(self._process)
            self._process = None
        for process in [process for process in self._old if process.poll() is not None]:
            if process.stdout is not None:
                process.stdout.close()
            self._old.remove(process)


def digests(directory: str) -> dict[str, str]:
    """Return every visible file, with a digest of its bytes."""
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, directory)] = hashlib.sha256(file.read()).hexdigest()
    return found
