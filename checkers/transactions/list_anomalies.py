"""Anomalies of list reads that need no graph: contradictory orders, aborted, intermediate, impossible and internal reads.

Definitions as in Elle (Kingsbury and Alvaro, VLDB 2020) and Adya's G1a and G1b. All but the rare keys with contradictory reads are judged by arrays:
a read that is a prefix of its key's longest is its length, and a bad element is a position.
"""

from __future__ import annotations

import numpy as np

from .table.arrays import distinct
from .table.lists import ListReads
from .table.naming import KEEP, Report, elements, key_text, list_text, name, read_text
from .table.table import APPEND, FAIL, READ, Bool, Int64

_FAR = np.iinfo(np.int64).max


def list_anomalies(reads: ListReads, report: Report) -> None:
    _contradictions(reads, report)
    _own_order(reads, report)
    _duplicates(reads, report)
    _bad_elements(reads, report)
    _intermediate(reads, report)
    _own(reads, report)


def _contradictions(reads: ListReads, report: Report) -> None:
    table = report.table
    for read in np.flatnonzero(~reads.fits)[:KEEP]:
        mop = int(reads.mop[read])
        key = int(table.key[mop])
        other = int(reads.mop[reads.longest_read[key]])
        txns = (int(table.txn[mop]), int(table.txn[other]))
        report.add(
            "incompatible-order",
            txns,
            f"{name(table, txns[0])} read {read_text(table, mop, True)}, but {name(table, txns[1])} read {read_text(table, other, True)}: "
            f"neither is a prefix of the other, so no order of the appends to {key_text(table, key)} explains both.",
            key=table.key_name(key),
        )


def _own_order(reads: ListReads, report: Report) -> None:
    """Report appends of one transaction to one key that reads show in another order than it made them, or of which they show only a later one."""
    table = report.table
    order, start = reads.groups.order, reads.groups.start
    appends = np.flatnonzero(table.kind[order] == APPEND)
    mop, group = order[appends], start[appends]
    made = np.where(table.alive[table.txn[mop]], reads.append_place[mop], 0)
    same = group[1:] == group[:-1]
    unclear = np.zeros(table.keys, bool)
    unclear[table.key[reads.mop[~reads.fits]]] = True
    unclear[table.key[reads.twice]] = True
    # -1, unread, counts as the very end: right at the end, wrong before what was read.
    place = np.where(made < 0, _FAR, made)
    wrong = np.flatnonzero(same & (place[1:] < place[:-1]) & ~unclear[table.key[mop[1:]]])
    for at in wrong[:KEEP]:
        first, second = int(mop[at]), int(mop[at + 1])
        txn, key = int(table.txn[first]), int(table.key[first])
        reader = int(reads.mop[reads.longest_read[key]])
        values = table.value_name(int(table.value[first])), table.value_name(int(table.value[second]))
        report.add(
            "incompatible-order",
            (txn, int(table.txn[reader])),
            f"{name(table, txn)} appended {values[0]} and then {values[1]} to {key_text(table, key)}, but {name(table, int(table.txn[reader]))} read "
            f"{read_text(table, reader, True)}.",
            key=table.key_name(key),
        )
    report.total("incompatible-order", len(wrong) + int(np.sum(~reads.fits)))


def _duplicates(reads: ListReads, report: Report) -> None:
    """Report an element twice in one list: in the longest of a key, or in a read that contradicts it."""
    table = report.table
    values = max(len(table.columns.values), 1)
    code = reads.element_key() * values + reads.element
    order = np.argsort(code, kind="stable")
    again = order[1:][code[order[1:]] == code[order[:-1]]]
    keys = distinct(code[again] // values)
    suspects = [int(reads.longest_read[key]) for key in keys]
    suspects += [
        int(read)
        for read in np.flatnonzero(~reads.fits)
        if len(set(reads.items(int(read)).tolist())) < reads.length[read]
    ]
    for read in suspects[:KEEP]:
        mop = int(reads.mop[read])
        items = elements(table, mop)
        twice = next(item for place, item in enumerate(items) if item in items[:place])
        txn = int(table.txn[mop])
        report.add(
            "duplicate-elements",
            [txn],
            f"{name(table, txn)} read {read_text(table, mop, True)}, in which {twice} stands {items.count(twice)} times, though it was appended once.",
            key=table.key_name(int(table.key[mop])),
        )
    report.total("duplicate-elements", len(suspects))


def _bad_elements(reads: ListReads, report: Report) -> None:
    """Report elements that a failed transaction appended (G1a, and dirty-update when others appended after it), or that were never appended."""
    table = report.table
    append = reads.append
    failed = (append >= 0) & (table.status[table.txn[append]] == FAIL)
    unwritten = append < 0
    for kind, bad in (("G1a", failed), ("thin-air-read", unwritten)):
        first = _first_by_key(reads, bad)
        hit = np.flatnonzero(reads.fits & (reads.length >= first[table.key[reads.mop]]))
        places = first[table.key[reads.mop[hit]]] - 1
        for read, place in list(zip(hit.tolist(), places.tolist(), strict=True))[:KEEP]:
            _report_bad(reads, report, kind, read, place)
        report.total(kind, len(hit))
    _bad_in_strange(reads, report)
    live = ~failed & ~unwritten
    last_live = np.full(table.keys, -1, np.int64)
    keys, position = reads.element_key(), _position(reads)
    np.maximum.at(last_live, keys[live], position[live])
    dirty = np.flatnonzero(failed & (position < last_live[keys]))
    for place in dirty[:KEEP]:
        _report_dirty(reads, report, int(place), live)
    report.total("dirty-update", len(dirty))


def _report_bad(reads: ListReads, report: Report, kind: str, read: int, place: int) -> None:
    table = report.table
    mop = int(reads.mop[read])
    reader, value = int(table.txn[mop]), elements(table, mop)[place]
    said = f"{name(table, reader)} read {read_text(table, mop, True)}, "
    if kind == "G1a":
        first = int(reads.base[table.key[mop]]) - int(table.key[mop])
        writer = int(table.txn[reads.append[first + place]])
        said += f"whose {value} was appended by {name(table, writer)}, a transaction that failed: a read of an aborted write."
        report.add(kind, (reader, writer), said, key=table.key_name(int(table.key[mop])))
    else:
        said += f"whose {value} no transaction of the history appended."
        report.add(kind, (reader,), said, key=table.key_name(int(table.key[mop])))


def _bad_in_strange(reads: ListReads, report: Report) -> None:
    """Report the same for the reads that are not a prefix, element by element."""
    table = report.table
    strange = np.flatnonzero(~reads.fits)
    if not len(strange):
        return
    wanted = set(table.key[reads.mop[strange]].tolist())
    appended: dict[tuple[int, int], int] = {}
    for mop in np.flatnonzero(table.kind == APPEND).tolist():
        key = int(table.key[mop])
        if key in wanted:
            found = (key, int(table.value[mop]))
            if found not in appended or table.alive[table.txn[mop]]:
                appended[found] = mop
    for read in strange.tolist():
        mop = int(reads.mop[read])
        reader, key = int(table.txn[mop]), int(table.key[mop])
        for item in reads.items(read).tolist():
            source = appended.get((key, item))
            if source is None:
                said = f"whose {table.columns.values[item]} no transaction of the history appended."
                report.add(
                    "thin-air-read", (reader,), f"{name(table, reader)} read {read_text(table, mop, True)}, {said}"
                )
                break
            writer = int(table.txn[source])
            if table.status[writer] == FAIL:
                said = f"whose {table.columns.values[item]} was appended by {name(table, writer)}, a transaction that failed: a read of an aborted write."
                report.add("G1a", (reader, writer), f"{name(table, reader)} read {read_text(table, mop, True)}, {said}")
                break


def _report_dirty(reads: ListReads, report: Report, place: int, live: Bool) -> None:
    table = report.table
    key = int(reads.element_key()[place])
    after = place + 1 + int(np.argmax(live[place + 1 :]))
    aborted, committed = int(table.txn[reads.append[place]]), int(table.txn[reads.append[after]])
    values = table.columns.values
    report.add(
        "dirty-update",
        (aborted, committed),
        f"{name(table, committed)} appended {values[reads.element[after]]} to {key_text(table, key)} after the {values[reads.element[place]]} of {name(table, aborted)}, "
        f"which failed: the update of an aborted transaction became part of a committed one's.",
        key=table.key_name(key),
    )


def _intermediate(reads: ListReads, report: Report) -> None:
    """Report G1b: the last element read is an append after which its transaction, another one, appended to the key again."""
    table = report.table
    fit = np.flatnonzero(reads.fits & (reads.length > 0))
    key = table.key[reads.mop[fit]].astype(np.int64)
    source = reads.append[reads.base[key] - key + reads.length[fit] - 1]
    safe = np.maximum(source, 0)
    other = table.txn[safe] != table.txn[reads.mop[fit]]
    bad = np.flatnonzero((source >= 0) & other & ~reads.groups.final[safe] & table.alive[table.txn[safe]])
    for place in bad[:KEEP]:
        mop, wrote = int(reads.mop[fit[place]]), int(source[place])
        reader, writer = int(table.txn[mop]), int(table.txn[wrote])
        report.add(
            "G1b",
            (reader, writer),
            f"{name(table, reader)} read {read_text(table, mop, True)}, which ends in {name(table, writer)}'s append of {table.value_name(int(table.value[wrote]))}; "
            f"{name(table, writer)} appended more to {key_text(table, int(table.key[mop]))} after that: a read of an intermediate state.",
            key=table.key_name(int(table.key[mop])),
        )
    report.total("G1b", len(bad))


def _own(reads: ListReads, report: Report) -> None:
    """Report internal: a read disagrees with what its own transaction read and appended before; future-read: it shows what it appends later."""
    table = report.table
    order, start = reads.groups.order, reads.groups.start
    count = len(order)
    place = np.arange(count, dtype=np.int64)
    is_read = table.kind[order] == READ
    read_of = np.full(len(table.txn), -1, np.int64)
    read_of[reads.mop] = np.arange(len(reads.mop))
    length = (
        np.where(is_read, reads.length[np.maximum(read_of[order], 0)], 0)
        if len(reads.mop)
        else np.zeros(count, np.int64)
    )
    last = np.maximum.accumulate(np.where(is_read, place, -1))
    before = np.concatenate([[-1], last[:-1]]) if count else last
    has_before = before >= start
    appended = np.cumsum(~is_read) - ~is_read
    reference = np.where(has_before, before, start)
    since = appended - appended[reference]
    expected = np.where(has_before, length[np.maximum(before, 0)], 0) + since
    wrong = is_read & np.where(has_before, length != expected, length < expected)
    wrong |= _own_elements_missing(reads, order, is_read, before, start, length)
    wrong |= _own_strange(reads, order, is_read, before, start, read_of)
    for position in np.flatnonzero(wrong)[:KEEP]:
        mop = int(order[position])
        txn = int(table.txn[mop])
        earlier = [_mop_text(reads, int(other)) for other in order[start[position] : position]]
        report.add(
            "internal",
            [txn],
            f"{name(table, txn)} read {read_text(table, mop, True)} although it had itself done {', then '.join(earlier)}: it contradicts itself.",
            key=table.key_name(int(table.key[mop])),
        )
    report.total("internal", int(wrong.sum()))
    _future(reads, report, order, start, is_read, length)


def _own_elements_missing(
    reads: ListReads, order: Int64, is_read: Bool, before: Int64, start: Int64, length: Int64
) -> Bool:
    """Return reads that lack, at its place from the end, an append of their own since the read before. Each append is looked up in one read."""
    table = reads.table
    wrong = np.zeros(len(order), bool)
    if not len(order):
        return wrong
    place = np.arange(len(order), dtype=np.int64)
    upcoming = np.minimum.accumulate(np.where(is_read, place, len(order))[::-1])[::-1]
    own = np.flatnonzero(~is_read & (upcoming < len(order)))
    own = own[start[np.minimum(upcoming[own], len(order) - 1)] == start[own]]
    reader = upcoming[own]
    position = length[reader] - (reader - own)
    row = table.list[order[reader]]
    valid = (position >= 0) & (row >= 0)
    lists = table.columns.lists
    if not len(lists.items):
        wrong[reader] = True
        return wrong
    at = lists.offsets[np.maximum(row, 0)] + np.maximum(position, 0)
    found = lists.items[np.minimum(at, len(lists.items) - 1)]
    wrong[reader[~valid | (found != table.value[order[own]])]] = True
    return wrong


def _own_strange(reads: ListReads, order: Int64, is_read: Bool, before: Int64, start: Int64, read_of: Int64) -> Bool:
    """Compare reads that are not a prefix of the longest with the read before them in their transaction, element by element."""
    wrong = np.zeros(len(order), bool)
    if reads.fits.all():
        return wrong
    fits = np.ones(len(order), bool)
    at = np.flatnonzero(is_read)
    fits[at] = reads.fits[read_of[order[at]]]
    both = np.flatnonzero(is_read & (before >= start))
    for position in both[~fits[both] | ~fits[before[both]]]:
        now = reads.items(int(read_of[order[position]]))
        then = reads.items(int(read_of[order[before[position]]]))
        wrong[position] = len(now) < len(then) or not np.array_equal(now[: len(then)], then)
    return wrong


def _future(reads: ListReads, report: Report, order: Int64, start: Int64, is_read: Bool, length: Int64) -> None:
    """Report a read that is as long as the place of an element that its own transaction appends only afterwards."""
    table = report.table
    made = reads.append_place[order]
    target = np.where(~is_read & (made >= 0), made - reads.base[table.key[order]], _FAR)
    # The longest read of the same group so far: lengths are made to grow from group to group.
    step = int(length.max(initial=0)) + 1
    group = np.cumsum(np.concatenate([[True], start[1:] != start[:-1]])) if len(start) else start
    usable = is_read.copy()
    read_of = np.full(len(table.txn), -1, np.int64)
    read_of[reads.mop] = np.arange(len(reads.mop))
    usable[is_read] = reads.fits[read_of[order[is_read]]]
    height = np.maximum.accumulate(np.where(usable, length, 0) + group * step) - group * step
    bad = np.flatnonzero(target <= np.maximum(height, 0))
    for position in bad[:KEEP]:
        own = order[start[position] : position]
        mop = next(
            int(other)
            for other in own
            if table.kind[other] == READ and reads.length[read_of[other]] >= target[position]
        )
        txn, wrote = int(table.txn[mop]), int(order[position])
        report.add(
            "future-read",
            [txn],
            f"{name(table, txn)} read {read_text(table, mop, True)}, which shows {table.value_name(int(table.value[wrote]))} before it appended that itself.",
            key=table.key_name(int(table.key[mop])),
        )
    report.total("future-read", len(bad))


def _mop_text(reads: ListReads, mop: int) -> str:
    table = reads.table
    if table.kind[mop] == READ:
        return f"a read of {list_text(elements(table, mop))}"
    return f"an append of {table.value_name(int(table.value[mop]))}"


def _position(reads: ListReads) -> Int64:
    key = reads.element_key()
    return np.arange(len(key), dtype=np.int64) - (reads.base[key] - key)


def _first_by_key(reads: ListReads, chosen: Bool) -> Int64:
    """Return by key the length from which on a read contains a chosen element."""
    first = np.full(reads.table.keys, _FAR, np.int64)
    np.minimum.at(first, reads.element_key()[chosen], _position(reads)[chosen] + 1)
    return first
