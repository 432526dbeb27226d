"""Real-time order of a register's versions: A before B when some operation of A ended before some operation of B began.

"Operation of A" is the transaction that wrote A, or one that read it. In a history whose keys are linearizable (as in every strictly serializable
one, and every one under strong snapshot isolation) A was then in place before B was: otherwise the operation of B would have seen A or something
newer. So a transaction that reads A misses B. This finds stale reads where no transaction reads before it writes.

Let f be the first completion of a version and s its last invocation: A before B iff f(A) < s(B), an order of intervals, which a chain of helpers per
key, sorted by s, holds in O(n) edges. Two versions that come before each other (each was seen after the other) are a cycle.
"""

from __future__ import annotations

import numpy as np

from ..table.arrays import find_unsorted, ragged
from ..table.table import OPEN, Int32, Int64
from ..table.versions import REALTIME, Versions
from .dependencies import PASS, RW, WW, Builder


def zones(versions: Versions) -> tuple[Int64, Int64]:
    """Return by version the position of the first completion and of the last invocation among its operations; (OPEN, -1) if it has none that ended."""
    table = versions.table
    first = np.full(len(versions), OPEN, np.int64)
    last = np.full(len(versions), -1, np.int64)
    written = np.flatnonzero(versions.writer >= 0)
    final = versions.groups.final[versions.mop[written]]
    written = written[final]
    seen = np.zeros(len(versions), bool)
    seen[versions.read_version] = True
    # A write of unknown outcome that was never seen may not have happened: it proves nothing.
    written = written[table.committed[versions.writer[written]] | seen[written]]
    first[written] = table.complete[versions.writer[written]]
    last[written] = table.invoke[versions.writer[written]]
    external = versions.groups.first[versions.read_mop]
    read, reader = versions.read_version[external], versions.read_txn[external]
    np.minimum.at(first, read, table.complete[reader])
    np.maximum.at(last, read, table.invoke[reader])
    return first, last


def zone_edges(builder: Builder, versions: Versions) -> None:
    """Add the ww and rw edges that rest on real time, for all keys.

    The members of a version A (its writer, its readers) lead to the chain from the first version on whose s is after f(A). They do not lead to A
    itself. A member that also wrote the key does not lead to what it wrote: such a member enters the chain behind those, and has edges of its own to
    the versions that it jumps over.
    """
    first, last = zones(versions)
    # A version that its own transaction overwrote is no version for others: a transaction that reads it has read an intermediate state
    # (G1b).
    final = versions.groups.final[versions.mop]
    chosen = np.flatnonzero((last >= 0) & (versions.writer >= 0) & final)
    if not len(chosen):
        return
    order = chosen[np.lexsort((last[chosen], versions.key[chosen]))]
    key, f, s = versions.key[order].astype(np.int64), first[order], last[order]
    count = len(order)
    chain = builder.helpers(count)
    place = np.arange(count, dtype=np.int64)
    builder.add(chain + place, versions.writer[order], PASS, REALTIME, versions.key[order])
    linked = np.flatnonzero(key[1:] == key[:-1])
    builder.add(chain + linked, chain + linked + 1, PASS, REALTIME, versions.key[order[linked]])
    # Positions are below `span`, so that (key, position) is one number.
    span = int(s.max()) + 2
    low = np.searchsorted(key * span + s, key * span + np.minimum(f, span - 1), "right")
    end = np.searchsorted(key, key, "right")
    slot = np.full(len(versions), -1, np.int64)
    slot[order] = place
    members = _writers(versions, order, place), _readers(versions, slot)
    for kind, (txn, of, written) in zip((WW, RW), members, strict=True):
        own, other = np.where(of >= low[of], of, -1), np.where(written >= low[of], written, -1)
        entry = np.maximum(low[of], np.maximum(own, other) + 1)
        enters = np.flatnonzero(entry < end[of])
        builder.add(txn[enters], chain + entry[enters], kind, REALTIME, versions.key[order[of[enters]]])
        both = (own >= 0) & (other >= 0)
        nearer = np.where(both, np.minimum(own, other), np.maximum(own, other))
        farther = np.where(both, np.maximum(own, other), nearer)
        jumped = np.concatenate([low[of], nearer + 1])
        size = np.concatenate([np.where(nearer >= 0, nearer - low[of], 0), np.clip(farther - nearer - 1, 0, None)])
        _jumped(builder, versions, order, f, np.tile(txn, 2), jumped, size, kind)


def _writers(versions: Versions, order: Int64, place: Int64) -> tuple[Int32, Int64, Int64]:
    """Return the members by writing: transaction, place of the version, and -1: no other place that they wrote."""
    return versions.writer[order], place, np.full(len(order), -1, np.int64)


def _readers(versions: Versions, slot: Int64) -> tuple[Int32, Int64, Int64]:
    """Return the members by reading: transaction, place of the version read, place of what they wrote to the key themselves (-1 if nothing)."""
    external = versions.groups.first[versions.read_mop] & (slot[versions.read_version] >= 0)
    mop, version = versions.read_mop[external], versions.read_version[external]
    table = versions.table
    placed = np.flatnonzero(slot >= 0)
    code = versions.writer[placed].astype(np.int64) * table.keys + versions.key[placed]
    at, known = find_unsorted(code, table.txn[mop].astype(np.int64) * table.keys + table.key[mop])
    return table.txn[mop], slot[version], np.where(known, slot[placed[at]], -1)


def _jumped(
    builder: Builder, versions: Versions, order: Int64, first: Int64, txn: Int32, start: Int64, size: Int64, kind: int
) -> None:
    """Add edges from a member to the versions that it jumps over, start .. start + size - 1.

    In a valid history those are few: all their operations overlap. In others they may be many; then the one that completed first stands for all: if
    any of them contradicts the member's version, that one does.
    """
    if int(size.sum()) <= 4 * len(order):
        of, to = np.repeat(np.arange(len(txn)), size), ragged(start, size)
    else:
        of = np.flatnonzero(size)
        to = _smallest(first, start[of], size[of])
    builder.add(txn[of], versions.writer[order[to]], kind, REALTIME, versions.key[order[to]])


def _smallest(values: Int64, start: Int64, size: Int64) -> Int64:
    """Return the place of the smallest of values[start : start + size], for each pair, by a sparse table kept one level at a time."""
    best = np.arange(len(values), dtype=np.int64)
    answer = np.zeros(len(start), np.int64)
    level = np.frexp(size.astype(np.float64))[1] - 1
    for bits in range(int(level.max(initial=-1)) + 1):
        width = 1 << bits
        asked = np.flatnonzero(level == bits)
        left, right = best[start[asked]], best[start[asked] + size[asked] - width]
        answer[asked] = np.where(values[left] <= values[right], left, right)
        if len(best) <= width:
            break
        near, far = best[:-width], best[width:]
        best = np.where(values[near] <= values[far], near, far)
    return answer
