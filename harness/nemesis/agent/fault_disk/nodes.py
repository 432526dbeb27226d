"""What the tree of the disk is made of: files with their pending changes, directories with their pending names.

A file or directory is known to the kernel by its number, and to us by this object as long as anybody can reach it. Holds data and does nothing.
"""

from __future__ import annotations

import os
from collections import deque
from typing import NamedTuple

KNOWN_ENDS = 512


class Change(NamedTuple):
    """`data` at `offset`, or, when `data` is None, a cut to `offset` bytes. What is `lost` is seen by readers and never written."""

    offset: int
    data: bytes | None
    lost: bool = False


class File:
    """`place` is where its durable bytes are: a directory and the name there, or None for a file in `HIDDEN`. `ends` are where the latest writes ended."""

    def __init__(self, number: int, size: int, place: tuple[Directory, str] | None) -> None:
        self.number, self.size, self.place = number, size, place
        self.lookups = 0
        self.links = 0
        self.mtime_ns = 0
        self.pending: list[Change] = []
        self.pending_bytes = 0
        self.ends: deque[int] = deque(maxlen=KNOWN_ENDS)


class Directory:
    """`names` is what readers see, `durable` which file the backing has under which name; `dirty` are the names that differ."""

    def __init__(self, number: int, parent: Directory | None, name: str) -> None:
        self.number, self.parent, self.name = number, parent, name
        self.lookups = 0
        self.names: dict[str, File | Directory] = {}
        self.durable: dict[str, File] = {}
        self.dirty: set[str] = set()

    @property
    def path(self) -> str:
        return "." if self.parent is None else os.path.normpath(f"{self.parent.path}/{self.name}")
