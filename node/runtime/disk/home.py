"""The node's directory, and the incarnation that is made durable before the core starts.

data/            the core's files, flat           incarnation      how often this directory was booted
trace.jsonl      white-box events                 inputs/          recorded inputs, one file per incarnation
node.log         JSON lines                       ready            {"pid", "incarnation", "address"} while it serves
lock             held by the running node
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from pathlib import Path
from zlib import crc32

from .disk import replace_durably

_COUNT = re.compile("(crc32:(?P<crc>[0-9a-f]{8}) )?(?P<count>[0-9]{1,18})")
"""More starts than any node reaches; other nodes read it as an integer of 64 bits. A count alone was written by an earlier release or an operator."""
_COUNT_BYTES = 4096


def _checksum(count: str) -> str:
    return f"{crc32(count.encode('ascii')):08x}"


class HomeError(Exception):
    """The directory cannot be used. The message ends in a hint."""


class Home:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.inputs = directory / "inputs"
        self.trace = directory / "trace.jsonl"
        self.log = directory / "node.log"
        self.incarnation = directory / "incarnation"
        self.ready = directory / "ready"
        self.data.mkdir(parents=True, exist_ok=True)

    def acquire(self, timeout_s: float) -> int:
        """Lock the directory for this process's life; two nodes on one log would destroy it. Returns the descriptor.

        Waits briefly, because a killed predecessor may not be gone yet. Raises `HomeError`.
        """
        descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        deadline_s = time.monotonic() + timeout_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            except BlockingIOError:
                if time.monotonic() > deadline_s:
                    os.close(descriptor)
                    raise HomeError(
                        f"{self.directory}: another node holds the lock after {timeout_s} s\nhint: stop it, or give this one its own directory"
                    ) from None
                time.sleep(0.02)

    def next_incarnation(self) -> int:
        """Count this boot, durably. Raises `HomeError` when the counter is damaged: a repeated count would repeat random numbers."""
        self.mark_not_ready()
        previous = 0
        if self.incarnation.exists():
            # Without O_NONBLOCK, opening a pipe waits for its writer.
            with open(os.open(self.incarnation, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                text = file.read(_COUNT_BYTES).decode("ascii", "replace").strip()
            found = _COUNT.fullmatch(text)
            if found is None or (found["crc"] and found["crc"] != _checksum(found["count"])):
                raise HomeError(
                    f"{self.incarnation}: {text[:80]!r} is not a count\nhint: write the highest incarnation in trace.jsonl there"
                )
            previous = int(found["count"])
        count = str(previous + 1)
        replace_durably(self.incarnation, f"crc32:{_checksum(count)} {count}\n".encode("ascii"))
        return previous + 1

    def files(self) -> dict[str, bytes]:
        """Read the core's files from disk."""
        return {path.name: path.read_bytes() for path in sorted(self.data.iterdir()) if path.is_file()}

    def mark_ready(self, incarnation: int, address: str) -> None:
        content = json.dumps({"pid": os.getpid(), "incarnation": incarnation, "address": address})
        temporary = self.ready.with_name("ready.tmp")
        temporary.write_text(content + "\n")
        temporary.rename(self.ready)

    def mark_not_ready(self) -> None:
        self.ready.unlink(missing_ok=True)
