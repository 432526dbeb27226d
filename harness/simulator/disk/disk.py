"""Content of a disk: for each file its durable bytes and the writes not yet synced, and the same for the directory's names.

A process that dies leaves the page cache alone: everything written is still there. Only a power loss resolves what is pending, by
keyed draws: all of it lost, a prefix kept, any subset kept, or sectors of a write torn. A file's data and its name are resolved
separately: a file that was synced without `fsync_dir` may vanish, and a renamed file may appear without its bytes.

Faults of the device itself, while they last, are its `trouble`; it outlives processes. The disk knows nothing of time;
`storage.py` decides when an operation happens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from itertools import pairwise

from ...keyed_random import draw, key_of

SECTOR = 512

LOST, PREFIX, SUBSET, TORN, KEPT = "lost", "prefix", "subset", "torn", "kept"
_MODES = (LOST, LOST, PREFIX, PREFIX, SUBSET, TORN, TORN, KEPT)


@dataclass(slots=True)
class Pending:
    """A write to the page cache: `data` at `offset`, or, when `data` is None, a cut to `offset` bytes."""

    offset: int
    data: bytes | None


@dataclass(slots=True)
class Inode:
    """`cached` is what a reader sees, `durable` what certainly survives, `pending` leads from one to the other."""

    number: int
    durable: bytearray = field(default_factory=bytearray)
    cached: bytearray = field(default_factory=bytearray)
    pending: list[Pending] = field(default_factory=list)
    ends: deque[int] = field(default_factory=lambda: deque(maxlen=512))
    """Where the latest writes ended."""

    def write(self, change: Pending) -> None:
        _apply(self.cached, change)
        self.pending.append(change)
        if change.data is not None:
            self.ends.append(change.offset + len(change.data))

    def sync(self) -> None:
        for change in self.pending:
            _apply(self.durable, change)
        self.pending.clear()

    def forget_pending(self) -> None:
        """Apply a failed fsync: the kernel marks the pages clean, so readers see them and no later fsync writes them."""
        self.pending.clear()


@dataclass(slots=True)
class Trouble:
    """Faults of a device. Each field counts those that require it, except `slow_ns`, the sum of their mean delays.

    `held` syncs are not answered, so what is written meanwhile may be lost. `waiting` are completions that a device owes.
    """

    slow_ns: int = 0
    stalled: int = 0
    full: int = 0
    failing: int = 0
    lying: int = 0
    read_only: int = 0
    broken: int = 0
    held: int = 0
    waiting: list[Callable[[], None]] = field(default_factory=list)

    @property
    def refusal(self) -> str | None:
        """The error with which writes fail, the worst first."""
        if self.broken:
            return "EIO"
        return "EROFS" if self.read_only else "ENOSPC" if self.full else None

    def add(self, what: str, by: int) -> None:
        setattr(self, what, getattr(self, what) + by)
        if not self.stalled and self.waiting:
            waiting, self.waiting = self.waiting, []
            for end in waiting:
                end()

    def end(self) -> None:
        """Remove all trouble from the device."""
        self.slow_ns = self.full = self.failing = self.lying = self.read_only = self.broken = self.held = 0
        self.add("stalled", -self.stalled)


@dataclass(frozen=True, slots=True)
class Decay:
    """Bytes of a file that differ from what was written: where, the original, and the damaged bytes."""

    inode: Inode
    offset: int
    pristine: bytes
    damaged: bytes


class Disk:
    """One flat directory. `lost_bytes`, `torn_writes` and `lossy_cuts` (power losses that lost anything) show whether power losses had an effect."""

    def __init__(self, seed: int, node_key: int) -> None:
        self._seed, self._node_key = seed, node_key
        self._next_inode = 0
        self._power_losses = 0
        self._names: dict[str, Inode] = {}
        self._durable_names: dict[str, Inode] = {}
        self._pending_names: list[tuple[str, str, Inode | None]] = []
        self.trouble = Trouble()
        self.decays: list[Decay] = []
        self.lost_bytes = 0
        self.torn_writes = 0
        self.lossy_cuts = 0

    def wrong(self) -> list[str]:
        """Return the names of the faults of the device now, and `decayed` if bytes on it are damaged; empty for a good disk."""
        found = [field.name for field in fields(self.trouble) if getattr(self.trouble, field.name)]
        return [*found, *(["decayed"] if self.decays else [])]

    def files(self) -> dict[str, bytes]:
        """Return every name with its bytes, as a process that starts now would read them."""
        return {name: bytes(self._names[name].cached) for name in sorted(self._names)}

    def durable_bytes(self, file: str) -> bytes:
        """Return the part of this file that would certainly survive a power loss now."""
        inode = self._durable_names.get(file)
        return b"" if inode is None else bytes(inode.durable)

    def inodes(self) -> list[Inode]:
        """Return every named file, in the order of names."""
        return [self._names[name] for name in sorted(self._names)]

    def append(self, file: str, data: bytes) -> None:
        self._need_room()
        inode = self._open(file)
        inode.write(Pending(len(inode.cached), data))

    def write(self, file: str, data: bytes) -> None:
        self._need_room()
        inode = self._open(file)
        inode.write(Pending(0, None))
        inode.write(Pending(0, data))

    def truncate(self, file: str, size: int) -> None:
        self._must_change()
        self._existing(file).write(Pending(size, None))

    def fsync(self, file: str) -> None:
        inode = self._existing(file)
        if self.trouble.read_only and inode.pending:
            raise OSError("EROFS")
        if not self.trouble.lying:
            inode.sync()

    def fsync_failed(self, file: str) -> None:
        self._existing(file).forget_pending()

    def rename(self, file: str, to: str) -> None:
        self._must_change()
        inode = self._existing(file)
        del self._names[file]
        self._names[to] = inode
        self._pending_names.append((file, to, inode))

    def remove(self, file: str) -> None:
        self._must_change()
        self._existing(file)
        del self._names[file]
        self._pending_names.append((file, "", None))

    def fsync_dir(self) -> None:
        if self.trouble.broken:
            raise OSError("EIO")
        if self.trouble.lying or self.trouble.read_only:
            return
        self._pending_names.clear()
        self._durable_names = dict(self._names)

    def power_loss(self) -> None:
        """Resolve everything pending; the result is durable, since the next boot reads it from the platter."""
        self._power_losses += 1
        lost_before = self.lost_bytes
        inodes = {inode.number: inode for inode in (*self._names.values(), *self._durable_names.values())}
        for number in sorted(inodes):
            self._resolve_data(inodes[number])
        self._resolve_names()
        self.lossy_cuts += self.lost_bytes > lost_before

    def can_lose(self, tear: bool) -> bool:
        """Return whether `lose` would drop, or tear, anything now."""
        inodes = (*self._names.values(), *self._durable_names.values())
        return self._last_written() is not None if tear else any(one.data for i in inodes for one in i.pending)

    def lose(self, tear: int | None) -> int:
        """Drop everything that is not synced. Returns how many bytes that was. With `tear`, bits of a draw, the last write
        to a file with a durable name survives in part, and what was written to that file before it survives completely."""
        lost_before, torn = self.lost_bytes, self._last_written() if tear is not None else None
        inodes = {inode.number: inode for inode in (*self._names.values(), *self._durable_names.values())}
        for inode in inodes.values():
            if inode is torn and tear is not None:
                self._tear_last(inode, tear)
            self.lost_bytes += sum(len(change.data) for change in inode.pending if change.data is not None)
            inode.pending.clear()
            inode.cached = bytearray(inode.durable)
        self._pending_names.clear()
        self._names = dict(self._durable_names)
        return self.lost_bytes - lost_before

    def _last_written(self) -> Inode | None:
        """Return the youngest file with unsynced writes, as far as a disk knows."""
        named = self._durable_names.values()
        candidates = [inode for inode in named if any(change.data for change in inode.pending)]
        return max(candidates, key=lambda inode: inode.number, default=None)

    def _tear_last(self, inode: Inode, bits: int) -> None:
        last = max(at for at, change in enumerate(inode.pending) if change.data)
        for change in inode.pending[:last]:
            _apply(inode.durable, change)
        torn = inode.pending[last]
        assert torn.data is not None
        self.torn_writes += 1
        self._tear(inode, torn.offset, torn.data, bits)
        inode.pending.clear()

    def durable_files(self) -> dict[str, bytes]:
        """Return every file as a power loss now would certainly leave it."""
        return {name: bytes(inode.durable) for name, inode in sorted(self._durable_names.items())}

    def wipe(self) -> None:
        """Replace the disk by an empty one."""
        self._names, self._durable_names, self._pending_names = {}, {}, []
        self.decays = []

    def replace(self, files: Mapping[str, bytes]) -> None:
        """Replace the disk by one that holds these files durably."""
        self.wipe()
        for name, content in files.items():
            inode = self._open(name)
            inode.write(Pending(0, content))
            inode.sync()
        self._pending_names.clear()
        self._durable_names = dict(self._names)

    def _need_room(self) -> None:
        if self.trouble.refusal is not None:
            raise OSError(self.trouble.refusal)

    def _must_change(self) -> None:
        """Refuse a change that the disk cannot make. A full disk lets files be truncated, renamed and removed."""
        if self.trouble.refusal not in (None, "ENOSPC"):
            raise OSError(self.trouble.refusal)

    def _open(self, file: str) -> Inode:
        inode = self._names.get(file)
        if inode is None:
            self._next_inode += 1
            inode = self._names[file] = Inode(self._next_inode)
            self._pending_names.append(("", file, inode))
        return inode

    def _existing(self, file: str) -> Inode:
        if file not in self._names:
            raise FileNotFoundError(f"no file {file!r} on this disk")
        return self._names[file]

    def _bits(self, *identity: int) -> int:
        return draw(self._seed, self._node_key, 0xD15C, self._power_losses, *identity)

    def _resolve_data(self, inode: Inode) -> None:
        mode = _MODES[self._bits(inode.number) % len(_MODES)]
        kept = self._bits(inode.number, 1) % (len(inode.pending) + 1)
        for position, change in enumerate(inode.pending):
            bits = self._bits(inode.number, 2, position)
            whole = mode == KEPT or (mode in (PREFIX, TORN) and position < kept) or (mode == SUBSET and bits & 1)
            if whole:
                _apply(inode.durable, change)
            elif mode == TORN and position == kept and change.data is not None:
                self.torn_writes += 1
                self._tear(inode, change.offset, change.data, bits)
            elif change.data is not None:
                self.lost_bytes += len(change.data)
        inode.pending.clear()
        inode.cached = bytearray(inode.durable)

    def _tear(self, inode: Inode, offset: int, data: bytes, bits: int) -> None:
        """Keep only some sectors of this write; the length may be that of the write or end at the last sector."""
        first_end = SECTOR - offset % SECTOR
        cuts = [0, *range(first_end, len(data), SECTOR), len(data)]
        if len(cuts) == 2 or bits & 1:
            cut = (bits >> 1) % len(data) if data else 0
            _apply(inode.durable, Pending(offset, data[:cut]))
            self.lost_bytes += len(data) - cut
            return
        for sector, (start, end) in enumerate(pairwise(cuts)):
            if bits >> (2 + sector % 60) & 1:
                _apply(inode.durable, Pending(offset + start, data[start:end]))
            else:
                self.lost_bytes += end - start

    def _resolve_names(self) -> None:
        """Resolve the pending names: directory changes are journalled, so a prefix of them survives."""
        kept = self._bits(key_of("names")) % (len(self._pending_names) + 1)
        names = self._durable_names
        for old, new, inode in self._pending_names[:kept]:
            if old:
                names.pop(old, None)
            if new and inode is not None:
                names[new] = inode
        self._pending_names.clear()
        self._names = dict(names)
        self._durable_names = names


def _apply(content: bytearray, change: Pending) -> None:
    offset, data = change.offset, change.data
    if data is None:
        del content[offset:]
    if len(content) < offset:
        # A hole left by a write that did not survive reads as zeros.
        content.extend(bytes(offset - len(content)))
    if data is not None:
        content[offset : offset + len(data)] = data
