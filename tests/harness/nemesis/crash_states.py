"""Every state that a power loss may leave on a file system with a journal, by brute force: what the model's draws are held against.

Written apart from the model: it plays the kernel, which may write back any block at any moment, and lists all that can come of that. For small blocks and
short stories only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

BLOCK = 2
Blocks = tuple[tuple[int, bytes], ...]
Write = tuple[int, bytes]
Event = Write | int
"""Bytes at an offset, or a cut to a size that is durable."""


def contents(base: bytes, events: Sequence[Event], block: int = BLOCK) -> set[bytes]:
    """What a file may hold after a power loss: `base` is durable, the events were made since."""
    cache = bytearray(base)
    dirty: set[int] = set()
    states: set[tuple[Blocks, int]] = {(_split(base, block), len(base))}
    for event in events:
        if isinstance(event, int):
            del cache[event:]
            cache.extend(bytes(event - len(cache)))
            dirty = {number for number in dirty if number * block < event}
            states = {(_cut(blocks, event, block), event) for blocks, _ in states}
        else:
            offset, data = event
            cache.extend(bytes(max(0, offset + len(data) - len(cache))))
            cache[offset : offset + len(data)] = data
            dirty.update(range(offset // block, (offset + len(data) - 1) // block + 1))
        states = _written_back(states, bytes(cache), dirty, block)
    return {_joined(blocks, size, block) for blocks, size in states}


def _written_back(
    states: set[tuple[Blocks, int]], cache: bytes, dirty: set[int], block: int
) -> set[tuple[Blocks, int]]:
    """And any of the dirty blocks may have been written back as they are now, in any order; the new size may have reached the disk with each, or not."""
    waiting = list(states)
    while waiting:
        blocks, size = waiting.pop()
        for number in dirty:
            content = cache[number * block : (number + 1) * block].ljust(block, b"\0")
            done = tuple(sorted({**dict(blocks), number: content}.items()))
            for new_size in {size, max(size, min(len(cache), (number + 1) * block))}:
                if (done, new_size) not in states:
                    states = states | {(done, new_size)}
                    waiting.append((done, new_size))
    return states


def _split(content: bytes, block: int) -> Blocks:
    return tuple((at // block, content[at : at + block].ljust(block, b"\0")) for at in range(0, len(content), block))


def _cut(blocks: Blocks, size: int, block: int) -> Blocks:
    kept = [(number, content[: max(0, size - number * block)].ljust(block, b"\0")) for number, content in blocks]
    return tuple((number, content) for number, content in kept if number * block < size)


def _joined(blocks: Blocks, size: int, block: int) -> bytes:
    content = bytearray(size + block)
    for number, data in blocks:
        content[number * block : (number + 1) * block] = data
    return bytes(content[:size])


@dataclass(eq=False)
class Inode:
    """`events` are what was made since its durable `base`; a cut stands there by its number in the journal until that part is durable."""

    base: bytes = b""
    events: list[tuple[int, Write | int]] = field(default_factory=list)
    cache: bytearray = field(default_factory=bytearray)


Names = dict[str, "Inode | None"]
"""By path; None for a directory."""


class Story:
    """What a process did, and every state that a power loss may leave of it. Names of directories end with a slash."""

    def __init__(self) -> None:
        self.names: Names = {}
        self.durable: Names = {}
        self.journal: list[tuple[object, ...]] = []

    def do(self, what: str, *operands: Any) -> bool:
        """False: a process would get an error."""
        return bool(getattr(self, what)(*operands))

    def write(self, path: str, offset: int, data: bytes) -> bool:
        if path not in self.names:
            if not self._parent_is(path):
                return False
            self._journal("set", path, Inode())
        inode = self.names[path]
        assert inode is not None
        inode.cache.extend(bytes(max(0, offset + len(data) - len(inode.cache))))
        inode.cache[offset : offset + len(data)] = data
        inode.events.append((len(self.journal), (offset, data)))
        return True

    def cut(self, path: str, size: int) -> bool:
        inode = self.names.get(path)
        if inode is None:
            return False
        del inode.cache[size:]
        inode.cache.extend(bytes(size - len(inode.cache)))
        self.journal.append(("cut",))
        inode.events.append((len(self.journal), size))
        return True

    def sync(self, path: str) -> bool:
        inode = self.names.get(path)
        if inode is None:
            return False
        inode.base, inode.events = bytes(inode.cache), []
        return self.sync_names()

    def sync_names(self) -> bool:
        self.durable, self.journal = dict(self.names), []
        for inode in {id(inode): inode for inode in self.names.values() if inode is not None}.values():
            inode.events = [(0, event) for _, event in inode.events]
        return True

    def rename(self, old: str, new: str) -> bool:
        moved, there = self.names.get(old), self.names.get(new)
        if old not in self.names or not self._parent_is(new) or (moved is not None and moved is there):
            return False
        self._journal("rename", old, new)
        return True

    def unlink(self, path: str) -> bool:
        if path not in self.names:
            return False
        self._journal("remove", path)
        return True

    def link(self, old: str, new: str) -> bool:
        inode = self.names.get(old)
        if inode is None or new in self.names or not self._parent_is(new):
            return False
        self._journal("set", new, inode)
        return True

    def make_directory(self, path: str) -> bool:
        if path in self.names:
            return False
        self._journal("set", path, None)
        return True

    def remove_directory(self, path: str) -> bool:
        if path not in self.names or any(name.startswith(path) and name != path for name in self.names):
            return False
        self._journal("remove", path)
        return True

    def states(self) -> Iterator[dict[str, bytes]]:
        """By path what a file holds, and nothing for a directory."""
        for count in range(len(self.journal) + 1):
            names = dict(self.durable)
            for step in self.journal[:count]:
                _replay(names, step)
            inodes = list({id(inode): inode for inode in names.values() if inode is not None}.values())
            for held in product(*(sorted(_reachable(inode, count)) for inode in inodes)):
                content = dict(zip(map(id, inodes), held, strict=True))
                yield {path: b"" if inode is None else content[id(inode)] for path, inode in names.items()}

    def seen(self) -> dict[str, bytes]:
        return {path: b"" if inode is None else bytes(inode.cache) for path, inode in self.names.items()}

    def _parent_is(self, path: str) -> bool:
        folder = path.rpartition("/")[0]
        return not folder or f"{folder}/" in self.names

    def _journal(self, *step: object) -> None:
        self.journal.append(step)
        _replay(self.names, step)


def _replay(names: Names, step: tuple[Any, ...]) -> None:
    what, *operands = step
    if what == "set":
        names[operands[0]] = operands[1]
    elif what == "remove":
        del names[operands[0]]
    elif what == "rename":
        names[operands[1]] = names.pop(operands[0])


def _reachable(inode: Inode, durable: int) -> set[bytes]:
    """With so much of the journal durable: up to the first cut that is not."""
    events: list[Event] = []
    for number, event in inode.events:
        if isinstance(event, int) and number > durable:
            break
        events.append(event)
    return contents(inode.base, events)
