"""Versions of objects: their writers, their readers, and which is known to precede which.

A version is one value of one key: for lists a prefix of the longest list read, for registers a written value; the initial state is a version too. How
much of the order is known depends on the model; its use does not, and is in `dependencies`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .groups import Groups
from .table import Bool, Int32, Int64, Table, UInt8

NONE = -1
"""No transaction wrote this version: it is the initial one, or came from thin air, or from a failed transaction."""

DATA, ATOMIC, PROCESS, REALTIME = 0, 1, 2, 3
"""Basis of an order, by how much is assumed: the values alone; transactions being atomic (one that sees a part of another sees all of it); the order of
one process's operations; real time. An order that rests on more than values is *inferred*: were it otherwise, something would have been missed.
"""

SUFFIX = ("", "", "-process", "-realtime")
RESTS_ON = ("values", "atomicity", "process order", "real time")


@dataclass(frozen=True, slots=True)
class Versions:
    """Arrays by version; then by read (every read whose version is known); then the order, by pair of versions.

    `mop` is the micro-operation that wrote the version (-1: none in the history), `writer` its transaction if that may have happened. `read_standing`
    is the version by which a read is placed in the order: its own, or the last one before it that has a writer. `pair_before[i]` comes directly
    before `pair_after[i]`, for the reason `pair_basis[i]`. The first `ordered` versions are in the order of their keys, one after the other (of
    lists, those that were read). `ambiguous` counts the writes whose value does not identify them; they take no part.
    """

    table: Table
    groups: Groups
    key: Int32
    mop: Int64
    writer: Int32
    read_mop: Int64
    read_version: Int64
    read_standing: Int64
    pair_before: Int64
    pair_after: Int64
    pair_basis: UInt8
    ambiguous: int = 0
    ordered: int = 0
    initial: Bool = field(default_factory=lambda: np.zeros(0, bool))

    @property
    def read_txn(self) -> Int32:
        return self.table.txn[self.read_mop]

    def __len__(self) -> int:
        return len(self.key)
