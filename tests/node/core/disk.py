"""A disk for tests: files in a page cache, what of them is durable, and what a power cut leaves."""

from __future__ import annotations

from random import Random

from node.core.effects import Append, Fsync, FsyncDir, Remove, Rename, StorageEffect, Truncate, Write


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
        """Lose what was not synced; or keep a piece of it, with `torn` perhaps garbled."""
        names = dict(self.names if random.random() < 0.5 else self.durable)
        for name, file in names.items():
            kept = File()
            kept.data += file.synced
            grown = len(file.data) - len(file.synced)
            if grown > 0 and bytes(file.data[: len(file.synced)]) == file.synced and random.random() < 0.7:
                kept.data += file.data[
                    len(file.synced) : len(file.synced) + random.randint(0, grown) if torn else len(file.data)
                ]
            kept.synced = bytes(kept.data)
            names[name] = kept
        self.names, self.durable = names, dict(names)
