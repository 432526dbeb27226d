"""Accesses of each process to each key, in order: the input of session guarantees and of sequential consistency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .table import READ, Bool, Int64
from .versions import Versions


@dataclass(frozen=True, slots=True)
class Accesses:
    """External reads and last writes that happened, by (process, key, program order): micro-operation, version, process, key, and whether it is a write."""

    mop: Int64
    version: Int64
    process: Int64
    key: Int64
    is_write: Bool

    def where(self, chosen: Bool | Int64) -> Accesses:
        return Accesses(
            self.mop[chosen], self.version[chosen], self.process[chosen], self.key[chosen], self.is_write[chosen]
        )

    def successive(self) -> Int64:
        """Return the places i whose access i + 1 is by the same process to the same key."""
        return np.flatnonzero((self.process[1:] == self.process[:-1]) & (self.key[1:] == self.key[:-1]))


def accesses(versions: Versions) -> Accesses:
    table, groups = versions.table, versions.groups
    met = np.full(len(table.txn), -1, np.int64)
    readable = groups.external[versions.read_mop]
    met[versions.read_mop[readable]] = versions.read_version[readable]
    made = np.flatnonzero((versions.mop >= 0) & (versions.writer >= 0))
    made = made[groups.final[versions.mop[made]]]
    met[versions.mop[made]] = made
    seen = np.zeros(len(versions), bool)
    seen[versions.read_version] = True
    chosen = np.flatnonzero(met >= 0)
    chosen = chosen[table.committed[table.txn[chosen]] | seen[met[chosen]]]
    process = table.process[table.txn[chosen]].astype(np.int64)
    key = table.key[chosen].astype(np.int64)
    order = np.lexsort((chosen, table.invoke[table.txn[chosen]], key, process))
    chosen = chosen[order]
    return Accesses(chosen, met[chosen], process[order], key[order], table.kind[chosen] != READ)
