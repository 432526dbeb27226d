"""The unsynced writes that survive a power loss: for each file none, all, or some blocks. Pure.

Blocks are written back separately, in any order and at any time, each as it was at that time (its *version*: the position of the last change in it).
A file has grown as far as some block that was written back: to the end of the file at that time, or to the end of the block. An earlier block that
was not written has zeros. A truncation is an operation of the journal: if it is not durable, it hides all later writes; if it is durable, it was
applied to the file.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from random import Random

from .nodes import Change

BLOCK = 4096


def survivors(size: int, changes: Sequence[Change], random: Random, block: int = BLOCK) -> list[Change]:
    """Return what survives of the pending `changes` of a file with `size` durable bytes, and at the end a truncation to its new size."""
    changes = reachable(changes)
    writers = _writers(changes, block)
    kept = random.choice(("none", "all", "some"))
    if kept == "none" or not writers:
        return []
    growth = _growth(size, changes)
    if kept == "all":
        return [*changes, Change(growth[-1][1] if growth else size, None)]
    ends = {size, *(grown for _, grown in growth)}
    ends |= {end for number in writers if size < (end := (number + 1) * block) < max(ends)}
    end = random.choice(sorted(ends))
    least = _version_of_end(end, growth, writers, block) if end > size else None
    versions = {}
    for number, positions in sorted(writers.items()):
        possible = [-1, *positions]
        if least is not None and number == (end - 1) // block:
            possible = [position for position in positions if position >= least]
        versions[number] = random.choice(possible)
    return [*_pieces(changes, versions, block), Change(end, None)]


def reachable(changes: Sequence[Change]) -> list[Change]:
    """Return the changes that can be on the disk: up to the first truncation that is not durable, without those that a failed sync lost."""
    found: list[Change] = []
    for change in changes:
        if change.lost:
            continue
        if change.data is None and not change.durable:
            break
        found.append(change)
    return found


def _growth(size: int, changes: Sequence[Change]) -> list[tuple[int, int]]:
    """Position and new size, for each write after the last durable cut that makes the file longer."""
    growth: list[tuple[int, int]] = []
    for position, change in enumerate(changes):
        if change.data is None:
            growth = []
        elif change.offset + len(change.data) > (growth[-1][1] if growth else size):
            growth.append((position, change.offset + len(change.data)))
    return growth


def _writers(changes: Sequence[Change], block: int) -> dict[int, list[int]]:
    """Return by block the positions of the changes that write to it, since the last truncation before the block."""
    writers: dict[int, list[int]] = {}
    for position, change in enumerate(changes):
        if change.data is None:
            writers = {number: found for number, found in writers.items() if number * block < change.offset}
        elif change.data:
            for number in range(change.offset // block, (change.offset + len(change.data) - 1) // block + 1):
                writers.setdefault(number, []).append(position)
    return writers


def _version_of_end(end: int, growth: Sequence[tuple[int, int]], writers: dict[int, list[int]], block: int) -> int:
    """The block at the end of the file was written back when the file was at least that long, so it has this version or a later one."""
    reached = next(position for position, size in growth if size >= end)
    positions = writers[(end - 1) // block]
    return positions[max(0, bisect_right(positions, reached) - 1)]


def _pieces(changes: Sequence[Change], versions: dict[int, int], block: int) -> list[Change]:
    """The parts of the changes that blocks of these versions hold."""
    pieces: list[Change] = []
    for position, change in enumerate(changes):
        if change.data is None:
            pieces.append(change)
            continue
        start, end = change.offset, change.offset + len(change.data)
        while start < end:
            stop = min(end, start - start % block + block)
            if versions.get(start // block, -1) >= position:
                pieces.append(Change(start, change.data[start - change.offset : stop - change.offset]))
            start = stop
    return pieces
