"""Order of a register's versions from what transactions saw of each other: if t3 read x from t1 and saw t2, which wrote x too, then t2's x came first.

"Saw" is: read anything from it (`ATOMIC`: a transaction is seen whole or not at all), or, where the order of processes counts, has it in its causal
past (`PROCESS`). This holds at every level from read atomic (causal) on, so under serializability; the orders of `weak_edges` as pairs of versions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..table.arrays import distinct, find_unsorted
from ..table.table import Bool, Int64
from ..table.versions import ATOMIC, PROCESS, Versions
from .causal_clocks import causal_edges
from .observed import Observed, observe
from .weak_edges import Inferred, seen_edges
from .weak_levels import causal_order


def with_atomicity(versions: Versions) -> Versions:
    observed = observe(versions)
    return _with(versions, observed, seen_edges(observed), ATOMIC)


def with_causality(versions: Versions) -> Versions:
    """Add the orders of causal consistency; none where sessions and reading have a cycle, which is reported as a violation of its own."""
    observed = observe(versions)
    order = causal_order(observed)
    return versions if order is None else _with(versions, observed, causal_edges(observed, order), PROCESS)


def _with(versions: Versions, observed: Observed, inferred: Inferred, basis: int) -> Versions:
    before, known = _written(versions, inferred.before, observed.key[inferred.at])
    read = np.full(len(versions.table.txn), -1, np.int64)
    read[versions.read_mop] = versions.read_version
    after = read[observed.mop[inferred.at]]
    # For the initial version this is not needed: every other version comes after it.
    known &= ~versions.initial[after] & (before != after)
    pairs = distinct(before[known] * len(versions) + after[known])
    before, after = np.divmod(pairs, len(versions))
    return replace(
        versions,
        pair_before=np.concatenate([versions.pair_before, before]),
        pair_after=np.concatenate([versions.pair_after, after]),
        pair_basis=np.concatenate([versions.pair_basis, np.full(len(before), basis, np.uint8)]),
    )


def _written(versions: Versions, txn: Int64, key: Int64) -> tuple[Int64, Bool]:
    """Return by (transaction, key) the version that it left, and whether it is known."""
    made = np.flatnonzero(versions.writer >= 0)
    made = made[versions.groups.final[versions.mop[made]]]
    code = versions.writer[made].astype(np.int64) * versions.table.keys + versions.key[made]
    at, known = find_unsorted(code, txn * versions.table.keys + key)
    return (made[at] if len(made) else at), known
