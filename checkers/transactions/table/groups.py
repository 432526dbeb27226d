"""Micro-operations by transaction and key: which read is external, which write is the last one, and what precedes each.

A read is *external* when its transaction had not written the key before it; its first such read shows the state outside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .table import READ, Bool, Int64, Table


@dataclass(frozen=True, slots=True)
class Groups:
    """Arrays by micro-operation of the table.

    `order` sorts by (transaction, key, program order); `start[i]` is where the group of place `i` in that order begins.
    `external`: a read before any write of its group. `first`: the first of those. `final`: the last write of its group.
    `writes_before`: how many writes of its group come earlier.
    """

    order: Int64
    start: Int64
    external: Bool
    first: Bool
    final: Bool
    writes_before: Int64


def groups(table: Table) -> Groups:
    count = len(table.txn)
    code = table.txn.astype(np.int64) * table.keys + table.key
    order = np.argsort(code, kind="stable")
    ordered = code[order]
    begins = np.ones(count, bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    place = np.arange(count, dtype=np.int64)
    start = np.maximum.accumulate(np.where(begins, place, 0))
    is_write = table.kind[order] != READ
    written = np.cumsum(is_write) - is_write
    before = written - written[start] if count else written
    external = ~is_write & (before == 0)
    ends = np.ones(count, bool)
    ends[:-1] = begins[1:]
    last = np.flatnonzero(ends)
    total = before[last] + is_write[last]
    size = np.diff(np.concatenate([np.flatnonzero(begins), [count]]))
    final = is_write & (before == np.repeat(total, size) - 1)
    return Groups(
        order=order,
        start=start,
        external=_scatter(order, external),
        first=_scatter(order, external & (place == start)),
        final=_scatter(order, final),
        writes_before=_scatter_int(order, before),
    )


def _scatter(order: Int64, values: Bool) -> Bool:
    out = np.empty(len(order), bool)
    out[order] = values
    return out


def _scatter_int(order: Int64, values: Int64) -> Int64:
    out = np.empty(len(order), np.int64)
    out[order] = values
    return out
