"""Orders of two writers under read committed, read atomic and causal consistency: the AWDIT method (PLDI 2025).

t3 reads x from t1. If t2 wrote x too and is *visible* to t3, then t2 came before t1. A history has the level iff these orders, with those of sessions
and of reading from, have no cycle. The levels differ in what is visible: read committed: t2 from which t3 had already read something; read atomic: t2
from which t3 reads anything, or that came before it in its session; causal: everything in t3's causal past. The edges are arrays, `at` is the read
that t3 made of x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..table.arrays import distinct, first_of_each
from ..table.table import Int64
from .observed import Observed, common_keys


@dataclass(frozen=True, slots=True)
class Inferred:
    """`before` came before `after`, because of the read `at` (place in `Observed`), which is after's value."""

    before: Int64
    after: Int64
    at: Int64

    def __len__(self) -> int:
        return len(self.before)


@dataclass(frozen=True, slots=True)
class _Reads:
    """The reads sorted by (reader, key, program order); `code` is that pair, `other` the next of the pair from another source (-1: none)."""

    order: Int64
    code: Int64
    other: Int64


def _reads(observed: Observed) -> _Reads:
    pair = observed.reader * observed.table.keys + observed.key
    order = np.argsort(pair, kind="stable")
    code, source = pair[order], observed.source[order]
    count = len(order)
    changes = np.zeros(count, bool)
    changes[:-1] = (code[1:] != code[:-1]) | (source[1:] != source[:-1])
    if count:
        changes[-1] = True
    place = np.arange(count, dtype=np.int64)
    last = np.minimum.accumulate(np.where(changes, place, count)[::-1])[::-1]
    following = last + 1
    safe = np.minimum(following, max(count - 1, 0))
    other = np.where((following < count) & (code[safe] == code), following, -1) if count else following
    return _Reads(order, code, other)


def _first_from(observed: Observed) -> tuple[Int64, Int64, Int64]:
    """Return each (reader, source) once, without INIT, and the place of the first read of it."""
    wanted = np.flatnonzero(observed.source != observed.init)
    code = observed.reader[wanted] * (observed.init + 1) + observed.source[wanted]
    _, first = first_of_each(code)
    at = wanted[first]
    return observed.reader[at], observed.source[at], at


def committed_edges(observed: Observed) -> Inferred:
    reads = _reads(observed)
    reader, visible, at = _first_from(observed)
    pair, key = common_keys(observed, reader, visible)
    # The nearest read of the key after the first read from the visible one: (pair, place) as one number.
    numbers = distinct(reads.code)
    span = len(observed.mop) + 1
    sorted_code = np.searchsorted(numbers, reads.code) * span + reads.order
    wanted = np.searchsorted(numbers, reader[pair] * observed.table.keys + key) * span + at[pair]
    spot = np.searchsorted(sorted_code, wanted, "right")
    return _edges(observed, reads, reader[pair] * observed.table.keys + key, visible[pair], spot)


def atomic_edges(observed: Observed) -> Inferred:
    return joined(seen_edges(observed), session_order(observed))


def seen_edges(observed: Observed) -> Inferred:
    """Return the part of `atomic_edges` that needs no order of sessions."""
    reads = _reads(observed)
    reader, visible, _ = _first_from(observed)
    pair, key = common_keys(observed, reader, visible)
    code = reader[pair] * observed.table.keys + key
    return _edges(observed, reads, code, visible[pair], np.searchsorted(reads.code, code))


def _edges(observed: Observed, reads: _Reads, code: Int64, visible: Int64, spot: Int64) -> Inferred:
    """Return the edges from the visible writer to the source of the read at `spot`; where that is the visible one itself, of the next read from another
    source.
    """
    count = len(reads.order)
    inside = np.flatnonzero(spot < count)
    inside = inside[reads.code[spot[inside]] == code[inside]]
    spot, visible = spot[inside], visible[inside]
    same = observed.source[reads.order[spot]] == visible
    spot = np.where(same, reads.other[spot], spot)
    kept = spot >= 0
    at = reads.order[spot[kept]]
    return Inferred(visible[kept], observed.source[at], at)


def session_order(observed: Observed) -> Inferred:
    """Return for each read the last transaction of the same session before it that wrote the key."""
    table = observed.table
    write_code = (observed.session[observed.write_txn] * table.keys + observed.write_key) * (len(table) + 1)
    write_code += observed.place[observed.write_txn]
    order = np.argsort(write_code, kind="stable")
    write_code = write_code[order]
    base = (observed.session[observed.reader] * table.keys + observed.key) * (len(table) + 1)
    spot = np.searchsorted(write_code, base + observed.place[observed.reader], "left") - 1
    usable = np.flatnonzero(spot >= 0)
    usable = usable[write_code[spot[usable]] >= base[usable]]
    before = observed.write_txn[order[spot[usable]]]
    differ = before != observed.source[usable]
    return Inferred(before[differ], observed.source[usable[differ]], usable[differ])


def joined(*parts: Inferred) -> Inferred:
    return Inferred(
        np.concatenate([part.before for part in parts]),
        np.concatenate([part.after for part in parts]),
        np.concatenate([part.at for part in parts]),
    )


def contradictory_reads(observed: Observed) -> tuple[Int64, Int64]:
    """Return the pairs of reads of one key in one transaction that come from two sources: non-repeatable reads."""
    reads = _reads(observed)
    first = np.ones(len(reads.code), bool)
    first[1:] = reads.code[1:] != reads.code[:-1]
    twice = np.flatnonzero(first & (reads.other >= 0))
    return reads.order[twice], reads.order[reads.other[twice]]
