"""Keys of different objects are different keys. An object is one `key` of one workload, as for linearizability; transactions name keys inside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tribulation.histories.model.columns import ABSENT, Columns, Int32, Int64

from ...base.selection import object_of


def inside_objects(columns: Columns) -> Columns:
    """Return columns in which transactions of different objects share no key."""
    txns = columns.txns
    rows = np.flatnonzero((columns.argument_txn != ABSENT) | (columns.result_txn != ABSENT))
    objects = object_of(columns)
    if txns is None or not len(rows) or (objects[rows] == objects[rows[0]]).all():
        return columns
    owner = np.zeros(len(txns.offsets) - 1, np.int64)
    for source in (columns.argument_txn, columns.result_txn):
        present = np.flatnonzero(source != ABSENT)
        owner[source[present]] = objects[present]

    def named(number: int) -> list[Any]:
        workload, key = divmod(number, len(columns.keys) + 1)
        outer = None if key == 0 else columns.keys[key - 1]
        return [name for name in (columns.workload_names[workload], outer) if name is not None]

    key, names = _apart(np.repeat(owner, np.diff(txns.offsets)), txns.key, columns.keys, named)
    return replace(columns, txns=replace(txns, key=key + len(columns.keys)), keys=[*columns.keys, *names])


def of_workloads(columns: Columns) -> Columns:
    """Return columns in which operations of different workloads share no key."""
    if len(columns) == 0 or (columns.workload == columns.workload[0]).all():
        return columns
    key = np.where(columns.key == ABSENT, len(columns.keys), columns.key)
    key, names = _apart(
        columns.workload.astype(np.int64), key, [*columns.keys, None], lambda number: [columns.workload_names[number]]
    )
    return replace(columns, key=key, keys=names)


def _apart(owner: Int64, key: Int32, keys: Sequence[Any], named: Callable[[int], list[Any]]) -> tuple[Int32, list[Any]]:
    """Return the number of each pair of owner and key, and their names: that of the key, after those of the owner where several have it."""
    found, numbers = np.unique(owner * len(keys) + key, return_inverse=True)
    owners, inside = np.divmod(found, len(keys))
    several = np.bincount(inside, minlength=len(keys)) > 1
    names = [
        [*named(one), keys[at]] if several[at] else keys[at]
        for one, at in zip(owners.tolist(), inside.tolist(), strict=True)
    ]
    return numbers.astype(np.int32), names
