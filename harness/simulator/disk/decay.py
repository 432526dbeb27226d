"""Damage at rest: bytes that were written correctly and read back wrong, as bit rot and misdirected writes leave them.

The old bytes are kept with the damage, so that it can be undone: a fault that is taken out of a plan, or healed, leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ...keyed_random import mix
from .disk import SECTOR, Decay, Disk, Inode

_Place = tuple[Inode, int]
"""A file, and where in it a sector begins."""


def rot(disk: Disk, bits: int) -> Decay | None:
    """Flip one bit of one file. Every durable bit is equally likely."""
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
    """Send a sector to the wrong place: one place then holds what another should, and the other holds what was there before.

    The intended sector is as it was before, which on an appended log is zeros; the other holds its bytes. A sector is spared, as by `cut`, if the
    file would then end exactly where a write had ended: what it acknowledged would be forgotten, and no system could notice.
    """
    pair = next(_misdirections(disk, bits), None)
    if pair is None:
        return None
    (from_inode, from_at), (to_inode, to_at) = pair
    content = _sector(*pair[0])
    _damage(disk, to_inode, to_at, content)
    return _damage(disk, from_inode, from_at, bytes(SECTOR))


def _misdirections(disk: Disk, bits: int) -> Iterator[tuple[_Place, _Place]]:
    """Yield pairs of intended sector and sector that was hit, of those that change anything: the drawn one first, then all others."""
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
    """Return whether the file without its bytes from here on looks as if the later writes had never happened: no system could notice."""
    return at in inode.ends and not any(inode.durable[at + SECTOR :])


def cut(disk: Disk, bits: int) -> Decay | None:
    """Cut less than a sector off the end of the youngest file, and never exactly where a write had ended: no system could distinguish that from
    writes that never happened."""
    inode, sizes = _cuts(disk)
    if inode is None or not sizes:
        return None
    size = sizes[bits % len(sizes)]
    decay = Decay(inode, size, bytes(inode.durable[size:]), b"")
    del inode.durable[size:], inode.cached[size:]
    disk.decays.append(decay)
    return decay


def _cuts(disk: Disk) -> tuple[Inode | None, list[int]]:
    """Return the youngest file, and the lengths to which it may be cut."""
    inode = max((inode for inode in disk.inodes() if inode.durable), key=lambda inode: inode.number, default=None)
    length = 0 if inode is None else len(inode.durable)
    return inode, [size for size in range(max(1, length - SECTOR + 1), length) if inode and size not in inode.ends]


def may_show(disk: Disk, kind: str) -> bool:
    """Return whether this damage would change anything on the disk now."""
    if kind == "misdirected-write":
        return next(_misdirections(disk, 0), None) is not None
    return bool(_cuts(disk)[1]) if kind == "truncate" else any(inode.durable for inode in disk.inodes())


DECAYS: Mapping[str, Callable[[Disk, int], Decay | None]] = {
    "bit-rot": rot,
    "misdirected-write": misdirect,
    "truncate": cut,
}


def repair(disk: Disk) -> None:
    """Undo all decay, latest first, where it was not overwritten since."""
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
    """Damage bytes, in the page cache too: a process that starts reads what is on the platter."""
    decay = Decay(inode, at, bytes(inode.durable[at : at + len(damaged)]), damaged)
    for content in (inode.durable, inode.cached):
        content[at : at + len(damaged)] = damaged
    disk.decays.append(decay)
    return decay
