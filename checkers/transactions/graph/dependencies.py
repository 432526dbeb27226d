"""The dependency graph of a history: which transaction wrote what another read or overwrote, and which came first in a process or in real time.

Adya's direct serialization graph (PhD thesis, 1999) as arrays of edges. Nodes 0 .. n-1 are transactions; the rest are helpers that keep the number of
edges linear: barriers for real time, chains for "all of these before all of those". A path through helpers is one step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..table.table import OK, OPEN, Bool, Int32, Int64, Table, UInt8
from ..table.versions import ATOMIC, DATA, PROCESS, REALTIME, Versions

WW, WR, RW, SESSION, RT, PASS = 1, 2, 4, 8, 16, 32
"""Kinds of edges, bits: write-write, write-read, read-write (anti-dependency), same process, real time; and the inner part of a path through helpers,
which continues with the kind that it was entered by.
"""

KIND_NAMES = {WW: "ww", WR: "wr", RW: "rw", SESSION: "process", RT: "realtime"}


@dataclass(frozen=True, slots=True)
class Edges:
    """Parallel arrays. `key` is the key of a data edge, -1 otherwise. `basis` is what the edge rests on (`versions`)."""

    source: Int32
    target: Int32
    kind: UInt8
    basis: UInt8
    key: Int32

    def __len__(self) -> int:
        return len(self.source)

    def where(self, chosen: Bool | Int64) -> Edges:
        return Edges(
            self.source[chosen],
            self.target[chosen],
            self.kind[chosen],
            self.basis[chosen],
            self.key[chosen],
        )


@dataclass(frozen=True, slots=True)
class Graph:
    """`transactions` nodes that are transactions, then helpers up to `nodes`."""

    table: Table
    nodes: int
    edges: Edges

    @property
    def transactions(self) -> int:
        return len(self.table)


class Builder:
    """Collector of edges that also numbers helpers."""

    __slots__ = ("_parts", "nodes")

    def __init__(self, transactions: int) -> None:
        self.nodes = transactions
        self._parts: list[Edges] = []

    def helpers(self, count: int) -> int:
        first = self.nodes
        self.nodes += count
        return first

    def add(
        self, source: Int32 | Int64, target: Int32 | Int64, kind: int, basis: UInt8 | int, key: Int32 | int
    ) -> None:
        """Add edges, except those from a node to itself."""
        keep = np.flatnonzero(source != target)
        if not len(keep):
            return
        count = len(keep)
        self._parts.append(
            Edges(
                source[keep].astype(np.int32),
                target[keep].astype(np.int32),
                np.full(count, kind, np.uint8),
                np.full(count, basis, np.uint8) if isinstance(basis, int) else basis[keep],
                np.full(count, key, np.int32) if isinstance(key, int) else key[keep],
            )
        )

    def edges(self) -> Edges:
        return concatenate(self._parts)


def concatenate(parts: Sequence[Edges]) -> Edges:
    if not parts:
        none = np.zeros(0, np.int32)
        return Edges(none, none, np.zeros(0, np.uint8), np.zeros(0, np.uint8), none)
    return Edges(
        np.concatenate([part.source for part in parts]),
        np.concatenate([part.target for part in parts]),
        np.concatenate([part.kind for part in parts]),
        np.concatenate([part.basis for part in parts]),
        np.concatenate([part.key for part in parts]),
    )


def data_edges(builder: Builder, versions: Versions) -> None:
    """Add ww between successive versions, wr to readers, rw from the readers of a version to the writers of the next."""
    writer, reader = versions.writer, versions.read_txn
    source = writer[versions.read_version]
    known = source >= 0
    builder.add(source[known], reader[known], WR, DATA, versions.key[versions.read_version[known]])
    before, after, basis = versions.pair_before, versions.pair_after, versions.pair_basis
    known = (writer[before] >= 0) & (writer[after] >= 0)
    builder.add(writer[before[known]], writer[after[known]], WW, basis[known], versions.key[after[known]])
    for level in (DATA, ATOMIC, PROCESS, REALTIME):
        pairs = np.flatnonzero((basis == level) & (writer[after] >= 0))
        placed = versions.read_standing >= 0
        _all_before_all(
            builder,
            versions.read_standing[placed],
            reader[placed],
            before[pairs],
            writer[after[pairs]],
            versions.key,
            level,
        )


def _all_before_all(
    builder: Builder, read: Int64, reader: Int32, group: Int64, writer: Int32, key: Int32, basis: int
) -> None:
    """Add rw from each reader of a version to each writer in its group, except itself; linear in readers + writers.

    A group with few writers gets its edges directly. For writers w1 .. wm of a large one there are two chains of helpers, one that leads to w1 .. wi
    and one that leads to wi .. wm; a reader that is itself the writer wi enters the one before and the other after itself.
    """
    if not len(read) or not len(group):
        return
    order = np.lexsort((writer, group))
    group, writer = group[order], writer[order]
    fresh = np.ones(len(group), bool)
    fresh[1:] = (group[1:] != group[:-1]) | (writer[1:] != writer[:-1])
    group, writer = group[fresh], writer[fresh]
    low = np.searchsorted(group, read, "left")
    size = np.searchsorted(group, read, "right") - low
    small = size <= 2
    for nth in (0, 1):
        some = np.flatnonzero(small & (size > nth))
        builder.add(reader[some], writer[low[some] + nth], RW, basis, key[read[some]])
    large = np.flatnonzero(~small)
    if len(large):
        begins = np.searchsorted(group, group, "left")
        big = np.searchsorted(group, group, "right") - begins > 2
        _chains(builder, read[large], reader[large], group[big], writer[big], key, basis)


def _chains(
    builder: Builder,
    read: Int64,
    reader: Int32,
    group: Int64,
    writer: Int32,
    key: Int32,
    basis: int,
) -> None:
    count = len(group)
    low, high = np.searchsorted(group, read, "left"), np.searchsorted(group, read, "right")
    up, down = (
        builder.helpers(count),
        builder.helpers(count),
    )  # up[i] leads to i and what comes before; down[i] to i and what comes after
    place = np.arange(count, dtype=np.int64)
    of_key = key[group]
    builder.add(up + place, writer, PASS, basis, of_key)
    builder.add(down + place, writer, PASS, basis, of_key)
    linked = np.flatnonzero(group[1:] == group[:-1])
    builder.add(up + linked + 1, up + linked, PASS, basis, of_key[linked])
    builder.add(down + linked, down + linked + 1, PASS, basis, of_key[linked])
    # Where the reader stands among the writers of its group, which are sorted.
    span = max(int(writer.max()), int(reader.max())) + 1
    code = group.astype(np.int64) * span + writer
    wanted = read.astype(np.int64) * span + reader
    at = np.searchsorted(code, wanted)
    itself = (at < count) & (code[np.minimum(at, count - 1)] == wanted)
    others = np.flatnonzero(~itself)
    builder.add(reader[others], down + low[others], RW, basis, key[read[others]])
    earlier = np.flatnonzero(itself & (at > low))
    builder.add(reader[earlier], up + at[earlier] - 1, RW, basis, key[read[earlier]])
    later = np.flatnonzero(itself & (at < high - 1))
    builder.add(reader[later], down + at[later] + 1, RW, basis, key[read[later]])


def session_edges(builder: Builder, table: Table) -> None:
    """Add an edge from each committed transaction to the next of its process that may have happened."""
    chosen = np.flatnonzero(table.alive)
    order = chosen[np.lexsort((table.invoke[chosen], table.process[chosen]))]
    first, second = order[:-1], order[1:]
    linked = (table.process[first] == table.process[second]) & (table.status[first] == OK)
    builder.add(first[linked], second[linked], SESSION, PROCESS, -1)


def realtime_edges(builder: Builder, table: Table) -> None:
    """Add edges such that a comes before b in real time iff a path leads from a to b, with at most three edges a transaction.

    Every maximal run of completions, with no invocation between them, gets one barrier: a transaction leads to the barrier of its completion,
    a barrier to the next, and the last barrier before an invocation to the transaction invoked.
    """
    alive = np.flatnonzero(table.alive)
    done = np.flatnonzero(table.committed & (table.complete != OPEN))
    if not len(done):
        return
    invocations = np.sort(table.invoke[alive])
    done = done[np.argsort(table.complete[done], kind="stable")]
    completions = table.complete[done]
    seen = np.searchsorted(invocations, completions)
    begins = np.ones(len(done), bool)
    begins[1:] = seen[1:] != seen[:-1]
    run = np.cumsum(begins) - 1
    runs = int(run[-1]) + 1
    first = builder.helpers(runs)
    builder.add(done, first + run, RT, REALTIME, -1)
    chain = np.arange(runs - 1, dtype=np.int64) + first
    builder.add(chain, chain + 1, PASS, REALTIME, -1)
    before = np.searchsorted(completions, table.invoke[alive])
    preceded = np.flatnonzero(before > 0)
    builder.add(first + run[before[preceded] - 1], alive[preceded], PASS, REALTIME, -1)
