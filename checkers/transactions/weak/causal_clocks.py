"""Order of writers under causal consistency, by vector clocks: O(n · sessions) time, and bounded memory however many sessions there are.

A clock holds for each session how much of it is in a transaction's causal past. Sessions are taken in blocks. Within one block a transaction needs a
row only between its first contact with the block and the point from which on it knows all of the block that any transaction can know. A history with
one session per client has one or two blocks of full rows; one with ten thousand short sessions has many blocks of few rows.

For each version v of key x, all its readers together know M[s] of session s; the last writer of x in s within M[s] came before v's writer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...linearizability.compiled import fast, first_from
from ..table.table import Int64
from .observed import Observed
from .weak_edges import Inferred, joined, session_order

BLOCK = 128

WORTH_COMPILING = 300_000
"""Steps of the innermost loop from which on compiled code is faster here, including its loading."""


@dataclass(frozen=True, slots=True)
class _Past:
    """Transactions in an order that follows sessions and reading; by transaction, the one that it read from."""

    order: Int64
    read_from: Int64
    sources: Int64


def causal_edges(observed: Observed, order: Int64, block: int = BLOCK) -> Inferred:
    """Return which writer came before which under causal consistency. `order` is a topological order of sessions and reading, which must have one."""
    sessions = int(observed.session.max()) + 1 if len(observed.session) else 0
    past = _past(observed, order)
    parts = [session_order(observed)]
    # Sessions that begin together share a block, so that their rows are needed at the same time.
    rank = np.empty(len(observed.table), np.int64)
    rank[order] = np.arange(len(order))
    begins = np.full(sessions, len(order), np.int64)
    np.minimum.at(begins, observed.session[order], rank[order])
    column = np.empty(sessions, np.int64)
    by_begin = np.argsort(begins, kind="stable")
    column[by_begin] = np.arange(sessions)
    of = column[observed.session]
    known = _known_to_others(observed, sessions, of)
    versions = _versions_read(observed)
    for low in range(0, sessions, block):
        high = min(low + block, sessions)
        # What comes before the first session of the block knows nothing of it.
        later = _Past(order[int(begins[by_begin[low]]) :], past.read_from, past.sources)
        parts.append(_one_block(observed, later, of, known, versions, low, high))
    return joined(*parts)


@dataclass(frozen=True, slots=True)
class _VersionsRead:
    """Versions that were read, by (key, source): key, source, and its reads `order[begin:end]`."""

    key: Int64
    source: Int64
    begin: Int64
    order: Int64


def _past(observed: Observed, order: Int64) -> _Past:
    real = np.flatnonzero(observed.source != observed.init)
    by_reader = real[np.argsort(observed.reader[real], kind="stable")]
    return _Past(
        order,
        np.searchsorted(observed.reader[by_reader], np.arange(len(observed.table) + 1)),
        observed.source[by_reader],
    )


def _known_to_others(observed: Observed, sessions: int, column: Int64) -> Int64:
    """Return by column how far its session can be in the past of another: up to its last transaction that another session read from."""
    known = np.zeros(sessions, np.int64)
    read = observed.source != observed.init
    source, reader = observed.source[read], observed.reader[read]
    away = observed.session[source] != observed.session[reader]
    np.maximum.at(known, column[source[away]], observed.place[source[away]] + 1)
    return known


def _versions_read(observed: Observed) -> _VersionsRead:
    code = observed.key * (observed.init + 1) + observed.source
    order = np.argsort(code, kind="stable")
    numbers, begin = np.unique(code[order], return_index=True)
    key, source = np.divmod(numbers, observed.init + 1)
    return _VersionsRead(key, source, np.concatenate([begin, [len(order)]]).astype(np.int64), order)


def _one_block(
    observed: Observed, past: _Past, column: Int64, known: Int64, versions: _VersionsRead, low: int, high: int
) -> Inferred:
    count, width = len(observed.table), high - low
    steps = len(past.order) + len(past.sources) * width
    row = np.full(count + 1, _NOTHING, np.int64)
    rows = np.empty((count, width), np.int32)  # takes up memory only as far as it is written
    fast(clocks, steps, worth=WORTH_COMPILING)(
        past.order,
        observed.previous,
        past.read_from,
        past.sources,
        column,
        observed.place,
        known[low:high],
        low,
        row,
        rows,
    )
    # Writes of each (key, session of the block), in session order.
    mine = column[observed.write_txn]
    inside = np.flatnonzero((mine >= low) & (mine < high))
    txn, key = observed.write_txn[inside], observed.write_key[inside]
    order = np.lexsort((observed.place[txn], mine[inside], key))
    txn, key, session = txn[order], key[order], mine[inside][order]
    begins = np.ones(len(txn), bool)
    begins[1:] = (key[1:] != key[:-1]) | (session[1:] != session[:-1])
    starts = np.flatnonzero(begins)
    lists_of = np.searchsorted(key[starts], np.arange(observed.table.keys + 1))
    found = fast(order_writers, steps, first_from, worth=WORTH_COMPILING)(
        versions.key,
        versions.source,
        versions.begin,
        observed.reader[versions.order],
        lists_of,
        np.concatenate([starts, [len(txn)]]).astype(np.int64),
        session[starts] - low,
        txn,
        observed.place[txn],
        observed.place,
        column - low,
        known[low:high],
        row,
        rows,
        observed.init,
    )
    return Inferred(found[0], found[1], versions.order[found[2]])


_NOTHING, _ALL = -1, -2


def clocks(
    order: Int64,
    previous: Int64,
    read_from: Int64,
    sources: Int64,
    column: Int64,
    place: Int64,
    known: Int64,
    low: int,
    row: Int64,
    rows: npt.NDArray[np.int32],
) -> None:
    """Fill `row` (by transaction its row, or -1: knows nothing of the block, or -2: all that can be known) and `rows`."""
    width = len(known)
    used = 0
    for at in range(len(order)):
        txn = order[at]
        begin, end = read_from[txn], read_from[txn + 1]
        mine = column[txn] - low
        touched = 0 <= mine < width
        complete = False
        for step in range(begin - 1, end):
            before = previous[txn] if step < begin else sources[step]
            if before >= 0:
                if row[before] == -2:
                    complete = True
                    break
                if row[before] >= 0:
                    touched = True
        if complete:
            row[txn] = -2
            continue
        if not touched:
            continue
        for session in range(width):
            rows[used, session] = 0
        for step in range(begin - 1, end):
            before = previous[txn] if step < begin else sources[step]
            if before >= 0 and row[before] >= 0:
                for session in range(width):
                    if rows[row[before], session] > rows[used, session]:
                        rows[used, session] = rows[row[before], session]
        if 0 <= mine < width and place[txn] + 1 > rows[used, mine]:
            rows[used, mine] = place[txn] + 1
        complete = True
        for session in range(width):
            if rows[used, session] < known[session]:
                complete = False
                break
        if complete:
            row[txn] = -2
        else:
            row[txn] = used
            used += 1


def order_writers(
    version_key: Int64,
    version_source: Int64,
    version_begin: Int64,
    readers: Int64,
    lists_of: Int64,
    list_begin: Int64,
    list_session: Int64,
    list_txn: Int64,
    list_place: Int64,
    place: Int64,
    column: Int64,
    known: Int64,
    row: Int64,
    rows: npt.NDArray[np.int32],
    init: int,
) -> tuple[Int64, Int64, Int64]:
    """Return edges (before, after, place of a read that shows it), without those that the past of the version's writer implies already."""
    found = np.empty((3, 1024), np.int64)
    used = 0
    for version in range(len(version_key)):
        key, source = version_key[version], version_source[version]
        for entry in range(lists_of[key], lists_of[key + 1]):
            session = list_session[entry]
            most, witness = 0, 0
            for read in range(version_begin[version], version_begin[version + 1]):
                reader = readers[read]
                knows = 0
                if row[reader] == -2:
                    knows = known[session]
                elif row[reader] >= 0:
                    knows = rows[row[reader], session]
                if column[reader] == session and knows > place[reader]:
                    knows = place[reader]
                if knows > most:
                    most, witness = knows, read
            if most == 0:
                continue
            # The last writer of the key among the first `most` transactions of the session.
            first = list_begin[entry]
            after = first_from(list_place, first, list_begin[entry + 1], most)
            if after == first or list_txn[after - 1] == source:
                continue
            writer = list_txn[after - 1]
            if source != init:
                knows = 0
                if row[source] == -2:
                    knows = known[session]
                elif row[source] >= 0:
                    knows = rows[row[source], session]
                if knows > place[writer]:
                    continue
            if used == found.shape[1]:
                wider = np.empty((3, 2 * used), np.int64)
                wider[:, :used] = found
                found = wider
            found[0, used], found[1, used], found[2, used] = writer, source, witness
            used += 1
    return found[0, :used], found[1, :used], found[2, :used]
