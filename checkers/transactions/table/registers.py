"""Versions of registers: every written value is unique per key, so a read names the write it read from; their order is partly known.

Here are the orders that values give: the initial value comes before every other, and a transaction that read v1 and wrote v2 puts v1 before v2. The
orders that transactions, processes and real time add are in `inference` and `zone_order`.
"""

from __future__ import annotations

import numpy as np

from .arrays import find, find_unsorted
from .groups import groups
from .table import APPEND, READ, WRITE, Bool, Int64, Table, UInt8
from .versions import DATA, NONE, Versions


def register_versions(table: Table) -> Versions:
    """Return the versions, and their order as far as values give it.

    Versions 0 .. keys-1 are the initial ones; then the written values that can be distinguished, by (key, value). A read of None where None was never
    written read the initial version.
    """
    grouped = groups(table)
    values = max(len(table.columns.values), 1)
    code, mop, twice = _written(table, values)
    key = np.concatenate([np.arange(table.keys), code // values]).astype(np.int32)
    all_mop = np.concatenate([np.full(table.keys, -1, np.int64), mop])
    ambiguous = np.zeros(len(key), bool)
    by_mop = _by_mop(table, code, values)
    ambiguous[by_mop[twice]] = True
    writer = np.where(all_mop >= 0, table.txn[all_mop], NONE).astype(np.int32)
    writer[((writer >= 0) & ~table.alive[writer]) | ambiguous] = NONE
    initial = np.arange(len(key)) < table.keys
    read_mop = np.flatnonzero((table.kind == READ) & (table.value >= 0))
    wanted = table.key[read_mop].astype(np.int64) * values + table.value[read_mop]
    at, hit = find(code, wanted)
    nothing = ~hit & (table.value[read_mop] == 0)
    version = np.where(hit, at + table.keys, table.key[read_mop])
    known = (hit | nothing) & ~ambiguous[version]
    read_mop, version = read_mop[known], version[known]
    before, after, basis = _order(table, grouped.first, grouped.final, read_mop, version, by_mop, ambiguous)
    return Versions(
        table=table,
        groups=grouped,
        key=key,
        mop=all_mop,
        writer=writer,
        read_mop=read_mop,
        read_version=version,
        read_standing=version,
        pair_before=before,
        pair_after=after,
        pair_basis=basis,
        ambiguous=len(twice),
        initial=initial,
    )


def _written(table: Table, values: int) -> tuple[Int64, Int64, Int64]:
    """Return the distinct (key, value) codes written, sorted, the write of each, and the writes that cannot be distinguished from another."""
    writes = np.flatnonzero((table.kind == WRITE) | (table.kind == APPEND))
    code = table.key[writes].astype(np.int64) * values + table.value[writes]
    alive = table.alive[table.txn[writes]]
    order = np.lexsort((~alive, code))
    code, writes, alive = code[order], writes[order], alive[order]
    fresh = np.ones(len(code), bool)
    fresh[1:] = code[1:] != code[:-1]
    return code[fresh], writes[fresh], writes[~fresh & alive]


def _by_mop(table: Table, code: Int64, values: int) -> Int64:
    """Return by micro-operation the version of its key and value, -1 for reads."""
    version = np.full(len(table.txn), -1, np.int64)
    writes = np.flatnonzero(table.kind != READ)
    wanted = table.key[writes].astype(np.int64) * values + table.value[writes]
    version[writes] = np.searchsorted(code, wanted) + table.keys
    return version


def _order(
    table: Table, first: Bool, final: Bool, read_mop: Int64, version: Int64, by_mop: Int64, ambiguous: Bool
) -> tuple[Int64, Int64, UInt8]:
    """Return the pairs of versions from writes that follow reads, and from the initial version to all that follow no other."""
    read_by_mop = np.full(len(table.txn), -1, np.int64)
    read_by_mop[read_mop] = version
    reads = np.flatnonzero(first & (read_by_mop >= 0))
    writes = np.flatnonzero(final & table.alive[table.txn])
    writes = writes[~ambiguous[by_mop[writes]]]
    read_code = table.txn[reads].astype(np.int64) * table.keys + table.key[reads]
    write_code = table.txn[writes].astype(np.int64) * table.keys + table.key[writes]
    place, both = find_unsorted(read_code, write_code)
    before, after = read_by_mop[reads[place[both]]], by_mop[writes[both]]
    differ = before != after
    before, after = before[differ], after[differ]
    headed = np.zeros(len(ambiguous), bool)
    headed[after] = True
    heads = by_mop[writes]
    heads = heads[~headed[heads]]
    key = table.key[writes][~headed[by_mop[writes]]].astype(np.int64)
    pairs = (np.concatenate([before, key]), np.concatenate([after, heads]))
    return pairs[0], pairs[1], np.full(len(pairs[0]), DATA, np.uint8)
