"""Reports of events of the tested node at once: a requested line in its trace, or a new file.

    agent.pyz follow DIRECTORY '{"trace": path, "events": {"leader": "leader-elected"}, "files": {path: "snapshot-begun"}, "spare_s": 0.05}'

prints `{"event", "age_ns"}`, one line each: `age_ns` is the time since the node wrote it, by the host's monotonic clock (0 for a file). For each
event it prints at most one line in `spare_s`, because a busy leader commits all the time; an event without a name is printed regularly as a sign of
life. It ends with its standard input. The kernel reports changes (inotify(7)); regularly it also checks by itself, because another disk may be
mounted under it.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

from .state.lines import read_object

LOOK_S = 0.5
READ_BYTES = 4 << 20
AGE_LIMIT_NS = 1 << 62
IN_MODIFY, IN_MOVED_TO, IN_CREATE = 0x002, 0x080, 0x100
_HEAD = struct.Struct("iIII")

Json = dict[str, Any]


class Follower:
    """Call `report(event, age_ns)` for everything new since the last call."""

    def __init__(self, asked: Json, report: Callable[[str, int], None]) -> None:
        self._trace: str | None = asked["trace"]
        self._events: dict[str, str] = asked["events"]
        self._files: dict[str, str] = asked["files"]
        self._spare_s = float(asked["spare_s"])
        self._report, self._reported_s = report, dict[str, float]()
        self._offset = self._size()
        self._torn = b""

    @property
    def folders(self) -> list[str]:
        return sorted({os.path.dirname(path) for path in [*self._files, *([self._trace] if self._trace else [])]})

    def appeared(self, folder: str, name: str) -> None:
        event = self._files.get(f"{folder}/{name}")
        if event is not None:
            self._say(event, 0)

    def read(self) -> None:
        """Report the events in the trace's new lines; in all lines of a trace that was started again."""
        size = self._size()
        if size == self._offset or self._trace is None:
            return
        if size < self._offset:
            self._offset, self._torn = 0, b""
        with open(self._trace, "rb") as file:
            file.seek(self._offset)
            while data := file.read(READ_BYTES):
                *lines, self._torn = (self._torn + data).split(b"\n")
                for line in lines:
                    self._line(line)
                # A line without an end is none of the node's, and must not fill this host's memory.
                self._torn = self._torn if len(self._torn) <= READ_BYTES else b""
            self._offset = file.tell()

    def _line(self, line: bytes) -> None:
        # Most lines are none of ours, and a JSON parser would be most of the cost.
        if not any(f'"{event}"'.encode() in line for event in self._events):
            return
        try:
            found = read_object(line)
        except ValueError:
            return
        event, mono_ns = found.get("event"), found.get("mono_ns")
        if isinstance(event, str) and event in self._events and type(mono_ns) is int:
            self._say(self._events[event], min(AGE_LIMIT_NS, max(0, time.monotonic_ns() - mono_ns)))

    def _say(self, event: str, age_ns: int) -> None:
        now_s = time.monotonic()
        if now_s - self._reported_s.get(event, -self._spare_s) >= self._spare_s:
            self._reported_s[event] = now_s
            self._report(event, age_ns)

    def _size(self) -> int:
        try:
            return os.stat(self._trace).st_size if self._trace is not None else 0
        except OSError:
            return 0


class _Watch:
    """inotify: `changes` returns the (folder, name, mask) since the last call."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._folders: dict[int, str] = {}

    def add(self, folder: str) -> None:
        """Watch a folder; does nothing if it is already watched, or does not exist yet."""
        found = self._libc.inotify_add_watch(self.descriptor, os.fsencode(folder), IN_MODIFY | IN_MOVED_TO | IN_CREATE)
        if found >= 0:
            self._folders[found] = folder

    def changes(self) -> list[tuple[str, str, int]]:
        try:
            data = os.read(self.descriptor, 1 << 16)
        except BlockingIOError:
            return []
        found, at = [], 0
        while at < len(data):
            watch, mask, _, length = _HEAD.unpack_from(data, at)
            name = data[at + _HEAD.size : at + _HEAD.size + length].rstrip(b"\0")
            at += _HEAD.size + length
            if watch in self._folders:
                found.append((self._folders[watch], os.fsdecode(name), mask))
        return found


def run(asked: Json) -> None:
    """Run until standard input ends."""

    def report(event: str, age_ns: int) -> None:
        sys.stdout.write(json.dumps({"event": event, "age_ns": age_ns}) + "\n")
        sys.stdout.flush()

    follower, watch = Follower(asked, report), _Watch()
    look_s = 0.0
    while True:
        if time.monotonic() >= look_s:
            look_s = time.monotonic() + LOOK_S
            for folder in follower.folders:
                watch.add(folder)
            report("", 0)
        ready, _, _ = select.select([watch.descriptor, sys.stdin], [], [], LOOK_S)
        if sys.stdin in ready and not sys.stdin.buffer.read(1):
            return
        for folder, name, mask in watch.changes():
            if mask & (IN_CREATE | IN_MOVED_TO):
                follower.appeared(folder, name)
        follower.read()
