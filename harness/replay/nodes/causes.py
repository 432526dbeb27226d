"""Check that the events of one incarnation have causes in this incarnation: timers that were set, requested storage operations, written files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from itertools import pairwise

from tribulation.node.core.interface.effects import (
    Append,
    Effect,
    Fsync,
    FsyncDir,
    Remove,
    Rename,
    SetTimer,
    StorageEffect,
    Truncate,
    Write,
)
from tribulation.node.core.interface.events import Event, StorageDone, TimerFired

STORAGE = (Append, Write, Truncate, Fsync, Rename, Remove, FsyncDir)


class Boot(Enum):
    """The content of the disk at a boot, compared with what earlier lives are known to have written."""

    AS_WRITTEN = "as written"
    MORE = "more"
    """All of it, plus writes from after the end of the recording."""
    OTHER = "other"


class Causes:
    """Check that each step has a cause, in order; `complaint` is the first event without a cause."""

    def __init__(self) -> None:
        self._timers: dict[tuple[str, int], int] = {}
        self._ops: set[int] = set()
        self.timers = self.storage = 0
        self.complaint: str | None = None

    def events(self, now_ns: int, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, TimerFired):
                self.timers += 1
                at_ns = self._timers.get((event.key, event.generation))
                if at_ns is None or at_ns > now_ns:
                    self._object(f"timer {event.key} fired too early, or was not set")
            elif isinstance(event, StorageDone):
                self.storage += 1
                if event.op not in self._ops:
                    self._object(f"storage operation {event.op} ended, but was not requested")

    def effects(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, SetTimer):
                self._timers[effect.key, effect.generation] = effect.at_ns
            elif isinstance(effect, STORAGE):
                self._ops.add(effect.op)

    def _object(self, text: str) -> None:
        if self.complaint is None:
            self.complaint = text


class Disk:
    """A node's files as its lives wrote them. A killed process leaves its completed writes; a write in progress may be there too."""

    def __init__(self) -> None:
        self._files: dict[str, bytearray] = {}
        self._pending: dict[int, StorageEffect] = {}

    def issued(self, effects: Sequence[StorageEffect]) -> None:
        for effect in effects:
            self._pending[effect.op] = effect

    def ended(self, op: int, error: str | None) -> None:
        """Record the end of a write. A failed one may or may not be on the disk: it stays pending."""
        if error is None and (effect := self._pending.pop(op, None)) is not None:
            _apply(self._files, effect)

    def boot(self, found: Mapping[str, bytes]) -> Boot:
        """Classify `found`, the files at a start, by what this disk can hold now; in any case the next life begins with them."""
        possible: dict[str, list[bytes | None]] = {name: [bytes(data)] for name, data in self._files.items()}
        files = self._files
        for effect in self._pending.values():
            _apply(files, effect)
            for name in {*files, *possible}:
                possible.setdefault(name, [None]).append(bytes(files[name]) if name in files else None)
        names = sorted({*found, *possible})
        kind = Boot.OTHER
        if all(_may_be(found.get(name), possible.get(name, [None])) for name in names):
            kind = Boot.AS_WRITTEN
        elif all(found.get(name, b"").startswith(possible.get(name, [None])[-1] or b"") for name in names):
            kind = Boot.MORE
        self._files, self._pending = {name: bytearray(data) for name, data in found.items()}, {}
        return kind


def _may_be(found: bytes | None, states: Sequence[bytes | None]) -> bool:
    """Return whether it is one of the states, or a partial append from one to the next."""
    if any(found == state for state in states):
        return True
    pairs = pairwise(states)
    return found is not None and any(
        after is not None and after.startswith(found) and found.startswith(before or b"") for before, after in pairs
    )


def _apply(files: dict[str, bytearray], effect: StorageEffect) -> None:
    if isinstance(effect, Append):
        files.setdefault(effect.file, bytearray()).extend(effect.data)
    elif isinstance(effect, Write):
        files[effect.file] = bytearray(effect.data)
    elif isinstance(effect, Truncate):
        del files.setdefault(effect.file, bytearray())[effect.size :]
    elif isinstance(effect, Rename):
        if effect.file in files:
            files[effect.to] = files.pop(effect.file)
    elif isinstance(effect, Remove):
        files.pop(effect.file, None)
