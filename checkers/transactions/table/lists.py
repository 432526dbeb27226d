"""Versions of append-only lists: the longest read of a key is its version order, and every other read is a prefix of it.

After that check, which touches each element read once, a read is one number: its length. Appends that were never read come after the longest read, in
no known order. Elle (Kingsbury and Alvaro, VLDB 2020) calls such histories traceable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tribulation.histories import HistoryError
from tribulation.histories.model.columns import ABSENT, NONE_ID

from .arrays import find, ragged
from .groups import Groups, groups
from .table import APPEND, READ, Bool, Int32, Int64, Table
from .versions import ATOMIC, DATA, NONE, Versions

_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True)
class ListReads:
    """Result of the reads of lists.

    By read: `mop`, `length`, `fits` (it is a prefix of the longest of its key). By key: `base` (the version of the empty list; the version of length
    n is `base + n`), `longest` (length), `longest_read` (place in `mop`, -1 if none). By element of the longest lists, at `base + n - key`: `element`
    (value id) and `append` (the micro-operation that appended it, -1 if none did). `append_place` is by micro-operation: the version that it made if
    its element was read, else -1.
    """

    table: Table
    groups: Groups
    mop: Int64
    length: Int64
    fits: Bool
    base: Int64
    longest: Int64
    longest_read: Int64
    element: Int32
    append: Int64
    append_place: Int64
    twice: Int64
    """Appends with the same value as another append to the same key."""

    def items(self, read: int) -> Int32:
        row = int(self.table.list[self.mop[read]])
        if row < 0:
            return np.zeros(0, np.int32)
        return self.table.columns.lists.row(row)

    def element_key(self) -> Int64:
        return np.repeat(np.arange(len(self.longest), dtype=np.int64), self.longest)


def list_reads(table: Table) -> ListReads:
    grouped = groups(table)
    mop = np.flatnonzero(table.kind == READ)
    key = table.key[mop]
    rows = table.list[mop]
    _refuse_others(table, mop[(rows == ABSENT) & (table.value[mop] > NONE_ID)])
    offsets = table.columns.lists.offsets
    begin = np.where(rows >= 0, offsets[rows], 0)
    length = np.where(rows >= 0, offsets[rows + 1] - offsets[rows], 0)
    longest = np.zeros(table.keys, np.int64)
    np.maximum.at(longest, key, length)
    longest_read = np.full(table.keys, -1, np.int64)
    is_longest = np.flatnonzero(length == longest[key])[::-1]
    longest_read[key[is_longest]] = is_longest  # the first of the longest, since the last assignment stands
    base = np.concatenate([[0], np.cumsum(longest + 1)[:-1]]).astype(np.int64)
    first_element = base - np.arange(table.keys)
    has = longest > 0
    element = table.columns.lists.items[ragged(begin[longest_read[has]], longest[has])]
    fits = _prefixes(table.columns.lists.items, begin, length, element, first_element[key], longest[key])
    append, place, twice = _match_appends(table, element, np.repeat(np.arange(table.keys), longest))
    return ListReads(table, grouped, mop, length, fits, base, longest, longest_read, element, append, place, twice)


def _refuse_others(table: Table, strange: Int64) -> None:
    """Raise `HistoryError` for reads of something other than a list: nothing is known of the list then, not even that it was empty."""
    if len(strange):
        mop = int(strange[0])
        place = f"the transaction of history index {table.index(int(table.txn[mop]))}"
        raise HistoryError(
            f"{place} read {table.value_name(int(table.value[mop]))!r} of key {table.key_name(int(table.key[mop]))!r}, not a list",
            "a read of a list answers a list, or null for an empty one",
        )


def _prefixes(items: Int32, begin: Int64, length: Int64, element: Int32, first: Int64, longest: Int64) -> Bool:
    """Return whether each read is a prefix of the longest of its key, some million elements at a time."""
    fits = np.ones(len(begin), bool)
    todo = np.flatnonzero(length > 0)
    if not len(todo):
        return fits
    ends = np.cumsum(length[todo])
    cuts = np.searchsorted(ends, np.arange(_CHUNK, int(ends[-1]) + _CHUNK, _CHUNK), "left") + 1
    low = 0
    for high in sorted(set(np.minimum(cuts, len(todo)).tolist())):
        part = todo[low:high]
        if len(part):
            sizes = length[part]
            same = items[ragged(begin[part], sizes)] == element[ragged(first[part], sizes)]
            starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
            fits[part] = np.logical_and.reduceat(same, starts)
        low = high
    return fits


def _match_appends(table: Table, element: Int32, element_key: Int64) -> tuple[Int64, Int64, Int64]:
    """Return by element the append that made it; by micro-operation the version; and the appends that cannot be distinguished."""
    values = max(len(table.columns.values), 1)
    appends = np.flatnonzero(table.kind == APPEND)
    code = table.key[appends].astype(np.int64) * values + table.value[appends]
    # Of two appends of one value, one that failed is not meant.
    order = np.lexsort((~table.alive[table.txn[appends]], code))
    code, appends = code[order], appends[order]
    again = np.zeros(len(code), bool)
    again[1:] = (code[1:] == code[:-1]) & table.alive[table.txn[appends[1:]]]
    twice = appends[again]
    place = np.full(len(table.txn), -1, np.int64)
    at, known = find(code, element_key * values + element)
    made = np.where(known, appends[at], -1) if len(appends) else np.full(len(element), -1, np.int64)
    version = np.arange(len(element)) + element_key + 1
    place[made[known][::-1]] = version[known][::-1]
    return made, place, twice


def list_versions(reads: ListReads) -> Versions:
    """Return the versions, with those that were never read after the rest, and their order."""
    table = reads.table
    total = int(len(reads.element) + table.keys)
    key = np.repeat(np.arange(table.keys, dtype=np.int32), reads.longest + 1)
    mop = np.full(total, -1, np.int64)
    mop[np.arange(len(reads.element)) + reads.element_key() + 1] = reads.append
    bad_key = np.zeros(table.keys, bool)
    bad_key[table.key[reads.twice]] = True
    appended = table.kind == APPEND
    unread = np.flatnonzero(appended & (reads.append_place < 0) & table.alive[table.txn] & ~bad_key[table.key])
    key = np.concatenate([key, table.key[unread]])
    mop = np.concatenate([mop, unread])
    writer = np.where(mop >= 0, table.txn[mop], NONE).astype(np.int32)
    writer[(writer >= 0) & ~table.alive[writer]] = NONE
    writer[bad_key[key]] = NONE
    initial = np.zeros(len(key), bool)
    initial[reads.base] = True
    standing = _standing(writer[:total], initial[:total])
    forked = np.zeros(table.keys, bool)
    forked[table.key[reads.mop[~reads.fits]]] = True
    before, after = _successive(key[:total], standing, reads, unread, total, forked)
    firm = len(before)
    more = _updates_first(reads, unread, total, forked)
    before, after = np.concatenate([before, more[0]]), np.concatenate([after, more[1]])
    usable = reads.fits & ~bad_key[table.key[reads.mop]]
    version = reads.base[table.key[reads.mop]] + reads.length
    strange = np.flatnonzero(~reads.fits & ~bad_key[table.key[reads.mop]])
    read_mop, read_version, read_standing = _odd_reads(reads, strange, key, mop)
    return Versions(
        table=table,
        groups=reads.groups,
        key=key,
        mop=mop,
        writer=writer,
        read_mop=np.concatenate([reads.mop[usable], read_mop]),
        read_version=np.concatenate([version[usable], read_version]),
        read_standing=np.concatenate([standing[version[usable]], read_standing]),
        pair_before=before,
        pair_after=after,
        pair_basis=np.where(np.arange(len(before)) < firm, DATA, ATOMIC).astype(np.uint8),
        ambiguous=len(reads.twice),
        ordered=total,
        initial=initial,
    )


def _standing(writer: Int32, initial: Bool) -> Int64:
    """Return by version the last one of its key, up to itself, that has a writer or is the initial one."""
    counts = (writer >= 0) | initial
    return np.maximum.accumulate(np.where(counts, np.arange(len(writer)), 0))


def _successive(
    key: Int32, standing: Int64, reads: ListReads, unread: Int64, total: int, forked: Bool
) -> tuple[Int64, Int64]:
    stands = np.flatnonzero(standing == np.arange(total))
    same = key[stands[1:]] == key[stands[:-1]]
    before, after = stands[:-1][same], stands[1:][same]
    # Where reads contradict each other, an element missing in the longest need not come after it.
    follows = np.flatnonzero(~forked[reads.table.key[unread]])
    last = standing[reads.base + reads.longest]
    return (
        np.concatenate([before, last[reads.table.key[unread[follows]]]]),
        np.concatenate([after, follows + total]),
    )


def _updates_first(reads: ListReads, unread: Int64, total: int, forked: Bool) -> tuple[Int64, Int64]:
    """Return pairs that order an unread append before the other unread ones of its key: its transaction had read the longest list.

    Another append in between would be an update that it missed. Of several such transactions (lost updates) one is enough.
    """
    table = reads.table
    whole = reads.groups.first[reads.mop] & reads.fits & (reads.length == reads.longest[table.key[reads.mop]])
    code = table.txn[reads.mop[whole]].astype(np.int64) * table.keys + table.key[reads.mop[whole]]
    own = table.txn[unread].astype(np.int64) * table.keys + table.key[unread]
    _, updates = find(np.sort(code, kind="stable"), own)
    updates &= ~forked[table.key[unread]]
    leader = np.full(table.keys, -1, np.int64)
    leader[table.key[unread[updates]][::-1]] = np.flatnonzero(updates)[::-1]
    first = leader[table.key[unread]]
    follows = np.flatnonzero((first >= 0) & (first != np.arange(len(unread))))
    return first[follows] + total, follows + total


def _odd_reads(reads: ListReads, strange: Int64, key: Int32, mop: Int64) -> tuple[Int64, Int64, Int64]:
    """Place reads that are not a prefix of the longest: their last element still shows which transaction they read from.

    They get no place in the order (-1), since no single order contains them.
    """
    table = reads.table
    concerned = np.zeros(table.keys, bool)
    concerned[table.key[reads.mop[strange]]] = True
    made = np.flatnonzero(concerned[key] & (mop >= 0))
    where = dict(zip(zip(key[made].tolist(), table.value[mop[made]].tolist(), strict=True), made.tolist(), strict=True))
    found = [
        (int(reads.mop[read]), where.get((int(table.key[reads.mop[read]]), int(reads.items(int(read))[-1])), -1))
        for read in strange
    ]
    kept = np.array([pair for pair in found if pair[1] >= 0], np.int64).reshape(-1, 2)
    return kept[:, 0], kept[:, 1], np.full(len(kept), -1, np.int64)
