"""Chains: versions that cas made from each other, in their order, with the intervals of all operations that touched them.

In a legal order all operations of a chain are contiguous: a version's write, its reads, then the cas that replaced it, which is the write of the next
version … This order is legal inside the chain iff no operation in it began after a later one had returned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tribulation.histories.model.columns import OPEN, Int64

from .broken import VIRTUAL, Broken, Violated, firsts
from .versions import NONE, Versions


@dataclass(slots=True)
class Touched:
    """Times of each version: when its write began and ended, the latest start and the earliest end of its reads (-1 and `OPEN` where there are none)."""

    write_start: Int64
    write_end: Int64
    read_start: Int64
    read_end: Int64

    @staticmethod
    def of(versions: Versions) -> Touched:
        accesses, count = versions.accesses, versions.count
        write_start, write_end = np.full(count, -1, np.int64), np.full(count, -1, np.int64)
        writes = np.flatnonzero(versions.made != NONE)
        made = versions.made[writes]
        write_start[made], write_end[made] = accesses.start[writes], accesses.end[writes]
        reads = np.flatnonzero(versions.made == NONE)
        read = versions.read[reads]
        read_start, read_end = np.full(count, -1, np.int64), np.full(count, OPEN, np.int64)
        np.maximum.at(read_start, read, accesses.start[reads])
        np.minimum.at(read_end, read, accesses.end[reads])
        return Touched(write_start, write_end, read_start, read_end)


@dataclass(slots=True)
class Chains:
    """`root` and `depth` place each version; `first_end` and `last_start` are those of all operations of the chain, at its root."""

    versions: Versions
    touched: Touched
    root: Int64
    depth: Int64
    first_end: Int64
    last_start: Int64


def chains_of(versions: Versions) -> Chains:
    """Return the chains. Raises `Violated` for a cycle of cas, and where a chain's own order is not legal."""
    root, depth = _roots(versions)
    touched = Touched.of(versions)
    _check_single(versions, touched)
    _check_long(versions, touched, root, depth)
    first_end = np.minimum(touched.write_end, touched.read_end)
    last_start = np.maximum(touched.write_start, touched.read_start)
    linked = np.flatnonzero(depth)
    np.minimum.at(first_end, root[linked], first_end[linked])
    np.maximum.at(last_start, root[linked], last_start[linked])
    return Chains(versions, touched, root, depth, first_end, last_start)


def _roots(versions: Versions) -> tuple[Int64, Int64]:
    """Return the root and the depth of each version, by pointer jumping: each round doubles how far every version looks back."""
    root = versions.parent.copy()
    is_root = root == np.arange(len(root))
    depth = (~is_root).astype(np.int64)
    going = np.flatnonzero(depth)
    for _ in range(len(root).bit_length() + 2):
        if not len(going):
            return root, depth
        there = root[going]
        further = ~is_root[there]
        depth[going] += depth[there]
        root[going] = root[there]
        # A version that points to a root has arrived, because a root has depth 0 and points to itself.
        going = going[further]
    raise _circles(versions, going)


def _circles(versions: Versions, lost: Int64) -> Violated:
    """Return the violation: `lost` versions, which reach no root, lie on a cycle of cas or depend on one."""
    found = {}
    writer = versions.written.writer
    rows = versions.registers.accesses.row
    for register, at in firsts(versions.register[lost]).items():
        seen: dict[int, int] = {}
        path: list[int] = []
        version = int(lost[at])
        while version not in seen:
            seen[version] = len(path)
            path.append(version)
            version = int(versions.parent[version])
        circle = path[seen[version] :][::-1]
        found[register] = Broken(
            "cas-cycle",
            tuple(int(rows[writer[one]]) for one in circle),
            tuple(versions.value(int(versions.parent[one])) for one in circle),
        )
    return Violated(found)


def _check_single(versions: Versions, touched: Touched) -> None:
    """Check reads of a version that returned before its write began."""
    early = np.flatnonzero(touched.read_end < touched.write_start)
    if not len(early):
        return
    accesses = versions.accesses
    found = {}
    for register, at in firsts(versions.register[early]).items():
        version = int(early[at])
        reads, _ = versions.shows(version)
        first = reads[np.argmin(accesses.end[reads])]
        rows = (int(accesses.row[first]), _writer_row(versions, version))
        found[register] = Broken("future-read", rows, (versions.value(version),))
    raise Violated(found)


def _check_long(versions: Versions, touched: Touched, root: Int64, depth: Int64) -> None:
    """Check chains of several versions: running maximum of starts against running minimum of ends from behind."""
    linked = depth > 0
    if not linked.any():
        return
    member = linked.copy()
    member[root[linked]] = True
    which = np.flatnonzero(member)
    order = which[np.lexsort((depth[which], root[which]))]
    chain = np.cumsum(depth[order] == 0)
    # Two slots per version: its write, then its reads.
    start = np.stack([touched.write_start[order], touched.read_start[order]], 1).ravel()
    end = np.stack([touched.write_end[order], touched.read_end[order]], 1).ravel()
    slot_chain = np.repeat(chain, 2)
    far = versions.registers.span
    # Chain numbers above the positions separate the running extremes of one chain from those of the next.
    before = np.maximum.accumulate(start + slot_chain * far)
    after = np.minimum.accumulate((np.minimum(end, far - 1) + slot_chain * far)[::-1])[::-1]
    broken = np.flatnonzero((before[:-1] > after[1:]) & (slot_chain[1:] == slot_chain[:-1]))
    if not len(broken):
        return
    found = {}
    for register, at in firsts(versions.register[order[broken // 2]]).items():
        slot = int(broken[at])
        members = np.arange(*np.searchsorted(slot_chain, (slot_chain[slot], slot_chain[slot] + 1)).tolist())
        left, right = members[members <= slot], members[members > slot]
        late, early = left[np.argmax(start[left])], right[np.argmin(end[right])]
        found[register] = _inside(versions, order, int(late), int(early))
    raise Violated(found)


def _inside(versions: Versions, order: Int64, late: int, early: int) -> Broken:
    """Return the rule broken by two slots of a chain. An even slot is a version's write, an odd one its reads."""
    old, new = int(order[late // 2]), int(order[early // 2])
    late_row = _slot_row(versions, old, late % 2 == 1, last=True)
    early_row = _slot_row(versions, new, early % 2 == 1, last=False)
    if late % 2 == 0 and early % 2 == 0 and int(versions.parent[new]) == old:
        return Broken("future-read", (early_row, late_row), (versions.value(old),))
    # A chain may be long; its first and last link from the old version to the newer one are enough for the explanation.
    links = dict.fromkeys((int(order[late // 2 + 1]), new))
    rows = dict.fromkeys([_writer_row(versions, old), *(_writer_row(versions, link) for link in links)])
    proof = [row for row in rows if row not in (VIRTUAL, early_row, late_row)]
    return Broken("chain-order", (*proof, early_row, late_row), (versions.value(old), versions.value(new)))


def _slot_row(versions: Versions, version: int, reads: bool, last: bool) -> int:
    if not reads:
        return _writer_row(versions, version)
    accesses = versions.accesses
    places, _ = versions.shows(version)
    by = np.argmax(accesses.start[places]) if last else np.argmin(accesses.end[places])
    return int(accesses.row[places[by]])


def _writer_row(versions: Versions, version: int) -> int:
    if versions.is_initial(version):
        return VIRTUAL
    return int(versions.registers.accesses.row[versions.written.writer[version]])
