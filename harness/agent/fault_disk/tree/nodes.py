"""The elements of the disk's tree: files with their pending changes, directories with their names, and operations on names.

The kernel identifies a file or directory by its number, and this program by the object here, as long as it is reachable. Only data, no logic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple, Union

HIDDEN = ".tribulation"
"""Prefix of names that are reserved for the disk: a process that knows them can open them, but they are never listed."""
KNOWN_ENDS = 512


class Change(NamedTuple):
    """`data` at `offset`, or, if `data` is None, a truncation to `offset` bytes. A `lost` change is seen by readers and never written.

    A `durable` truncation was applied to the durable bytes; it stays listed because earlier writes are still pending.
    """

    offset: int
    data: bytes | None
    lost: bool = False
    durable: bool = False


class File:
    """`homes` are its durable names: directory and name. Without such a name its durable bytes are in `HIDDEN`. `ends` are the positions at which the
    latest writes ended.

    `pins` counts the operations on names that refer to the file and are not durable yet.
    """

    def __init__(self, number: int, size: int) -> None:
        self.number, self.size = number, size
        self.lookups = 0
        self.links = 0
        self.pins = 0
        self.mtime_ns = 0
        self.homes: dict[tuple[Directory, str], None] = {}
        self.pending: list[Change] = []
        self.pending_bytes = 0
        self.ends: deque[int] = deque(maxlen=KNOWN_ENDS)

    @property
    def path(self) -> str:
        """In the backing."""
        return _path(next(iter(self.homes), None), self.number)


class Directory:
    """`names` are those that readers see, `durable` are those in the backing, each with its file; `dirty` are the names that differ.

    `parent` and `name` are its place for readers, `home` is its durable place; without one it is in `HIDDEN`.
    """

    def __init__(self, number: int, parent: Directory | None, name: str) -> None:
        self.number, self.parent, self.name = number, parent, name
        self.lookups = 0
        self.pins = 0
        self.home: tuple[Directory, str] | None = None
        self.names: dict[str, File | Directory] = {}
        self.durable: dict[str, File] = {}
        self.dirty: set[str] = set()

    @property
    def path(self) -> str:
        """In the backing."""
        return "." if self.parent is None else _path(self.home, self.number)


Node = Union[File, Directory]


def bytes_of(changes: Iterable[Change]) -> int:
    return sum(len(change.data) for change in changes if change.data is not None)


class Link(NamedTuple):
    """A new name: of a new file or directory, or one more of a file."""

    directory: Directory
    name: str
    node: Node


class Unlink(NamedTuple):
    directory: Directory
    name: str
    node: Node


class Move(NamedTuple):
    """A rename. What had the new name before is `replaced`."""

    source: Directory
    old: str
    target: Directory
    new: str
    node: Node
    replaced: Node | None


class Cut(NamedTuple):
    """An explicit change of a file's size, unlike one that a write causes."""

    file: File
    change: Change


Operation = Union[Link, Unlink, Move, Cut]


def _path(home: tuple[Directory, str] | None, number: int) -> str:
    """Return the path of a node. Without recursion: a process may nest directories deeper than Python calls."""
    names: list[str] = []
    while home is not None:
        directory, name = home
        names.append(name)
        if directory.parent is None:
            return "/".join(reversed(names))
        home, number = directory.home, directory.number
    return "/".join([HIDDEN, str(number), *reversed(names)])
