"""Damage at rest: bytes that were written well and are read back otherwise, as bit rot and misdirected writes leave them.

What was there is kept beside the damage, so that it can be undone: a fault that is taken out of a plan, or healed, leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ...keyed_random import mix
from .disk import SECTOR, Decay, Disk, Inode

_Place = tuple[Inode, int]
"""A file, and where in it a sector begins."""


def rot(disk: Disk, bits: int) -> Decay | None:
    """One bit of one file flips. Every durable bit is as likely."""
    sizes = [(inode, len(inode.durable)) for inode in disk.inodes()]
    total = sum(size for _, size in sizes)
    if not total:
        return None
    at = bits % total
    for inode, size in sizes:
        if at < size:
            pristine = inode.durable[at]
            return _damage(disk, inode, at, bytes([pristine ^ 1 << mix(bits) % 8]))
        at -= size
    raise AssertionError("a position below the sum of the sizes is in one of the files")


def misdirect(disk: Disk, bits: int) -> Decay | None:
    """A sector that was meant for one place went to another: here is what was written, there is what another sector should hold.

    The sector that was meant is as it was before, which on an appended log is zeros; the other holds its bytes. A sector with which a file would end just where
    a write had ended is spared, as by `cut`: what it acknowledged would be forgotten, and no system could know.
    """
    pair = next(_misdirections(disk, bits), None)
    if pair is None:
        return None
    (from_inode, from_at), (to_inode, to_at) = pair
    content = _sector(*pair[0])
    _damage(disk, to_inode, to_at, content)
    return _damage(disk, from_inode, from_at, bytes(SECTOR))


def _misdirections(disk: Disk, bits: int) -> Iterator[tuple[_Place, _Place]]:
    """Which sector was meant, and which was hit: as drawn, and then all others, of those that change anything."""
    sectors = [(inode, start) for inode in disk.inodes() for start in range(0, len(inode.durable) - SECTOR + 1, SECTOR)]
    count, first, skip = len(sectors), bits, mix(bits)
    for step in range(count):
        meant = (first + step) % count
        if _ends_there(*sectors[meant]):
            continue
        for further in range(count - 1):
            other = (meant + 1 + (skip + further) % (count - 1)) % count
            content = _sector(*sectors[meant])
            if content != bytes(SECTOR) or content != _sector(*sectors[other]):
                yield sectors[meant], sectors[other]


def _sector(inode: Inode, start: int) -> bytes:
    return bytes(inode.durable[start : start + SECTOR])


def _ends_there(inode: Inode, at: int) -> bool:
    """Whether the file without its bytes from here on looks as if the later writes had never been: no system could tell."""
    return at in inode.ends and not any(inode.durable[at + SECTOR :])


def cut(disk: Disk, bits: int) -> Decay | None:
    """The end of the youngest file is gone, less than a sector of it, and not just where a write had ended: that no system could tell from
    writes that had never been."""
    inode, sizes = _cuts(disk)
    if inode is None or not sizes:
        return None
    size = sizes[bits % len(sizes)]
    decay = Decay(inode, size, bytes(inode.durable[size:]), b"")
    del inode.durable[size:], inode.cached[size:]
    disk.decays.append(decay)
    return decay


def _cuts(disk: Disk) -> tuple[Inode | None, list[int]]:
    """The youngest file, and the lengths to which it may be cut."""
    inode = max((inode for inode in disk.inodes() if inode.durable), key=lambda inode: inode.number, default=None)
    length = 0 if inode is None else len(inode.durable)
    return inode, [size for size in range(max(1, length - SECTOR + 1), length) if inode and size not in inode.ends]


def may_show(disk: Disk, kind: str) -> bool:
    """Whether this damage would change anything of what is on the disk now."""
    if kind == "misdirected-write":
        return next(_misdirections(disk, 0), None) is not None
    return bool(_cuts(disk)[1]) if kind == "truncate" else any(inode.durable for inode in disk.inodes())


DECAYS: Mapping[str, Callable[[Disk, int], Decay | None]] = {
    "bit-rot": rot,
    "misdirected-write": misdirect,
    "truncate": cut,
}


def repair(disk: Disk) -> None:
    """Undo all decay, latest first, where nothing was written over it since."""
    while disk.decays:
        decay = disk.decays.pop()
        for content in (decay.inode.durable, decay.inode.cached):
            if not decay.damaged and len(content) != decay.offset:
                # Something was written where the end had been.
                continue
            end = decay.offset + len(decay.damaged)
            if content[decay.offset : end] == decay.damaged:
                content[decay.offset : end] = decay.pristine


def _damage(disk: Disk, inode: Inode, at: int, damaged: bytes) -> Decay:
    """In the page cache too: what a process reads after its start is what the platter holds."""
    decay = Decay(inode, at, bytes(inode.durable[at : at + len(damaged)]), damaged)
    for content in (inode.durable, inode.cached):
        content[at : at + len(damaged)] = damaged
    disk.decays.append(decay)
    return decay
