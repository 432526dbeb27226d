"""A disk for tests: files in a page cache, what of them is durable, and what a power cut leaves."""

from __future__ import annotations

from random import Random

from tribulation.node.core.interface.effects import (
    Append,
    Fsync,
    FsyncDir,
    Remove,
    Rename,
    StorageEffect,
    Truncate,
    Write,
)


class File:
    def __init__(self) -> None:
        self.data = bytearray()
        self.synced = b""


class Disk:
    def __init__(self) -> None:
        self.names: dict[str, File] = {}
        self.durable: dict[str, File] = {}

    def apply(self, effect: StorageEffect) -> None:
        if isinstance(effect, Append):
            self.names.setdefault(effect.file, File()).data += effect.data
        elif isinstance(effect, Write):
            self.names[effect.file] = File()
            self.names[effect.file].data += effect.data
        elif isinstance(effect, Truncate):
            del self.names[effect.file].data[effect.size :]
        elif isinstance(effect, Fsync):
            file = self.names[effect.file]
            file.synced = bytes(file.data)
        elif isinstance(effect, Rename):
            self.names[effect.to] = self.names.pop(effect.file)
        elif isinstance(effect, Remove):
            self.names.pop(effect.file, None)
        else:
            assert isinstance(effect, FsyncDir)
            self.durable = dict(self.names)

    def files(self) -> dict[str, bytes]:
        """What a restarted process finds when the machine stayed up."""
        return {name: bytes(file.data) for name, file in self.names.items()}

    def power_cut(self, random: Random, torn: bool) -> None:
        """Lose what was not synced, or keep a piece of it, with `torn` perhaps garbled; each name's change is kept or lost by itself."""
        names = {}
        for name in sorted({**self.names, **self.durable}):
            file = (self.names if random.random() < 0.5 else self.durable).get(name)
            if file is not None:
                names[name] = _survivor(file, random, torn)
        self.names, self.durable = names, dict(names)


def _survivor(file: File, random: Random, torn: bool) -> File:
    kept = File()
    kept.data += file.synced
    start, end = len(file.synced), len(file.data)
    if end > start and bytes(file.data[:start]) == file.synced and random.random() < 0.7:
        kept.data += file.data[start : random.randint(start, end) if torn else end]
        if torn and random.random() < 0.3 and len(kept.data) > start:
            kept.data[random.randrange(start, len(kept.data))] ^= 1 << random.randrange(8)
    kept.synced = bytes(kept.data)
    return kept
