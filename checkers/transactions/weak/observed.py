"""Inputs of the weak levels: which transaction read what from which, which wrote which keys, and the order of sessions.

The initial state counts as one more transaction, INIT, number n, that wrote every key before all others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..table.arrays import distinct, find, ragged
from ..table.table import OK, Bool, Int64, Table
from ..table.versions import Versions


@dataclass(frozen=True, slots=True)
class Observed:
    """External reads from other transactions, in program order: reader, key, source (INIT = n), and the micro-operation.

    `write_txn`, `write_key`: the keys each transaction wrote, each once, sorted by both; `write_from[t]` where those of t begin.
    `session`, `place`: by transaction its process and how many of that process came before it; `previous` the one before (-1: none).
    """

    versions: Versions
    reader: Int64
    key: Int64
    source: Int64
    mop: Int64
    write_txn: Int64
    write_key: Int64
    write_from: Int64
    session: Int64
    place: Int64
    previous: Int64

    @property
    def table(self) -> Table:
        return self.versions.table

    @property
    def init(self) -> int:
        return len(self.versions.table)

    def writes(self, txn: Int64, key: Int64) -> Bool:
        """Return whether each transaction wrote each key; INIT wrote all."""
        _, known = find(self.write_txn * self.table.keys + self.write_key, txn * self.table.keys + key)
        return np.asarray(known | (txn == self.init))


def observe(versions: Versions) -> Observed:
    table, groups = versions.table, versions.groups
    source = versions.writer[versions.read_version].astype(np.int64)
    source[versions.initial[versions.read_version]] = len(table)
    chosen = np.flatnonzero((source >= 0) & groups.external[versions.read_mop] & (source != versions.read_txn))
    chosen = chosen[np.argsort(versions.read_mop[chosen], kind="stable")]
    mop = versions.read_mop[chosen]
    final = np.flatnonzero(groups.final & table.alive[table.txn])
    order = np.lexsort((table.key[final], table.txn[final]))
    write_txn = table.txn[final[order]].astype(np.int64)
    session, place, previous = _sessions(table)
    return Observed(
        versions=versions,
        reader=table.txn[mop].astype(np.int64),
        key=table.key[mop].astype(np.int64),
        source=source[chosen],
        mop=mop,
        write_txn=write_txn,
        write_key=table.key[final[order]].astype(np.int64),
        write_from=np.searchsorted(write_txn, np.arange(len(table) + 1)),
        session=session,
        place=place,
        previous=previous,
    )


def _sessions(table: Table) -> tuple[Int64, Int64, Int64]:
    """Return by transaction its session, its place there (-1 if it failed), and the one before it (-1 if none, or of unknown outcome)."""
    alive = np.flatnonzero(table.alive)
    order = alive[np.lexsort((table.invoke[alive], table.process[alive]))]
    process = table.process[order]
    begins = np.ones(len(order), bool)
    begins[1:] = process[1:] != process[:-1]
    number = np.arange(len(order), dtype=np.int64)
    place = np.full(len(table), -1, np.int64)
    place[order] = number - np.maximum.accumulate(np.where(begins, number, 0))
    previous = np.full(len(table), -1, np.int64)
    inner = np.flatnonzero(~begins)
    linked = inner[table.status[order[inner - 1]] == OK]
    previous[order[linked]] = order[linked - 1]
    return table.process.astype(np.int64), place, previous


def common_keys(observed: Observed, reader: Int64, writer: Int64) -> tuple[Int64, Int64]:
    """Return for each pair the keys that the one read and the other wrote: places of pairs, and keys.

    The smaller of the two sides is searched, which makes it O(n^1.5): a transaction with many keys meets only few others that are large too (AWDIT,
    PLDI 2025).
    """
    read_code = distinct(observed.reader * observed.table.keys + observed.key)
    read_txn, read_key = np.divmod(read_code, observed.table.keys)
    read_from = np.searchsorted(read_txn, np.arange(len(observed.table) + 1))
    reads = read_from[reader + 1] - read_from[reader]
    writes = observed.write_from[writer + 1] - observed.write_from[writer]
    by_writes = np.flatnonzero(writes <= reads)
    by_reads = np.flatnonzero(writes > reads)
    pair_w = np.repeat(by_writes, writes[by_writes])
    key_w = observed.write_key[ragged(observed.write_from[writer[by_writes]], writes[by_writes])]
    pair_r = np.repeat(by_reads, reads[by_reads])
    key_r = read_key[ragged(read_from[reader[by_reads]], reads[by_reads])]
    _, in_reads = find(read_code, reader[pair_w] * observed.table.keys + key_w)
    in_writes = observed.writes(writer[pair_r], key_r)
    return np.concatenate([pair_w[in_reads], pair_r[in_writes]]), np.concatenate([key_w[in_reads], key_r[in_writes]])


__all__ = ["Observed", "common_keys", "observe"]
