"""Selection of a record's operations for workload checkers: as columns or objects, by workload and key."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tribulation.histories import Operation, Type, canonical
from tribulation.histories.model.columns import ABSENT, FAIL, OPEN, Columns, Int64

from .result import RunRecord

Bool = npt.NDArray[np.bool_]
Name = tuple[str | None, Hashable]
"""(workload, key): one object."""

LINEARIZABLE = "linearizable"


_FEW = 100_000


def operation(record: RunRecord, row: int | np.int64) -> Operation:
    """Return the operation of a row of the columns, for witnesses. In a large history it is made from the columns, which have no nodes and errors."""
    if len(record.history.columns) <= _FEW:
        return record.history.operations()[int(row)]
    return _from_columns(record.history.columns, int(row))


def _from_columns(columns: Columns, row: int) -> Operation:
    key, complete = int(columns.key[row]), int(columns.complete[row])
    ended_ns = int(columns.complete_ns[row])
    return Operation(
        process=columns.processes[columns.process[row]],
        f=columns.f_names[columns.f[row]],
        type=(Type.OK, Type.FAIL, Type.INFO)[columns.type[row]],
        invoke_index=int(columns.invoke[row]),
        complete_index=None if complete == OPEN else complete,
        invoke_ns=int(columns.invoke_ns[row]),
        complete_ns=None if ended_ns == ABSENT else ended_ns,
        argument=_value(columns, int(columns.argument[row]), int(columns.argument_list[row])),
        result=_value(columns, int(columns.result[row]), int(columns.result_list[row])),
        key=None if key == ABSENT else columns.keys[key],
        workload=columns.workload_names[columns.workload[row]],
        level=columns.level_names[columns.level[row]],
    )


def _value(columns: Columns, value: int, row: int) -> Any:
    if row != ABSENT:
        return [columns.values[item] for item in columns.lists.row(row)]
    return None if value == ABSENT else columns.values[value]


def names(record: RunRecord) -> frozenset[str]:
    """Return the `f` (operation names) of all operations."""
    return frozenset(record.history.columns.f_names)


def may_have(record: RunRecord, *wanted: str) -> bool:
    """Return whether there may be operations of these names. A history that was read as columns answers without an object of each operation."""
    history = record.history
    return history.loaded or not set(wanted).isdisjoint(history.columns.f_names)


def of(columns: Columns, *wanted: str, rows: Int64 | slice = slice(None)) -> Bool:
    """Return which of `rows` (of all) are operations of these names."""
    codes = [code for code, name in enumerate(columns.f_names) if name in wanted]
    return np.isin(columns.f[rows], codes)


@dataclass(frozen=True, slots=True)
class Judges:
    """The operations that a checker judges: those with one of `names` in each object (workload and key) that has an operation of `having`; in every object if `having`
    is empty. `in_workload`: in all objects of a workload that has such an operation. `workloads`: only in these. `whole`: without objects that have operations of other
    names as well, which may have changed anything.
    """

    names: frozenset[str]
    having: frozenset[str] = frozenset()
    in_workload: bool = False
    workloads: frozenset[str] | None = None
    whole: bool = False

    def rows(self, columns: Columns) -> Bool:
        found = of(columns, *self.names)
        if self.workloads is not None:
            found &= np.array([name in self.workloads for name in columns.workload_names], np.bool_)[columns.workload]
        if self.whole:
            objects = object_of(columns)
            found &= ~np.isin(objects, objects[~of(columns, *self.names) & (columns.type != FAIL)])
        if self.having:
            group = columns.workload if self.in_workload else object_of(columns)
            found &= np.isin(group, group[of(columns, *self.having)])
        return found


def judges(
    *names: str,
    having: Iterable[str] = (),
    in_workload: bool = False,
    workloads: Iterable[str] | None = None,
    whole: bool = False,
) -> Judges:
    """Declare what a checker judges; see `Judges`."""
    only = None if workloads is None else frozenset(workloads)
    return Judges(frozenset(names), frozenset(having), in_workload, only, whole)


NOTHING = judges()
"""Declaration of a checker that examines the run, faults or traces, and not the result of each operation."""


def object_of(columns: Columns) -> Int64:
    """Return for each row the number of its object (workload and key)."""
    return columns.workload.astype(np.int64) * (len(columns.keys) + 1) + columns.key + 1


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one object, in order of invocation."""

    workload: str | None
    key: Any
    rows: Int64


def parts(columns: Columns, rows: Bool) -> Iterator[Part]:
    """Split the chosen rows by workload and key."""
    chosen = np.flatnonzero(rows)
    if not len(chosen):
        return
    code = object_of(columns)[chosen]
    order = np.argsort(code, kind="stable")
    bounds = np.flatnonzero(np.diff(code[order])) + 1
    for group in np.split(chosen[order], bounds):
        key = int(columns.key[group[0]])
        workload = columns.workload_names[int(columns.workload[group[0]])]
        yield Part(workload, None if key < 0 else columns.keys[key], group)


def by_object(record: RunRecord) -> dict[Name, list[Operation]]:
    """Return the operations by workload and key, in order of invocation."""
    found: dict[Name, list[Operation]] = {}
    for op in record.history.operations():
        found.setdefault((op.workload, canonical(op.key)), []).append(op)
    return found


def conclusive(columns: Columns, record: RunRecord) -> Bool:
    """Return which rows must reflect, in their results, every operation that ended before them: of level `linearizable` or none, or begun after the quiet
    period.
    """
    strong = np.array([name in (None, LINEARIZABLE) for name in columns.level_names], np.bool_)[columns.level]
    quiet_ns = record.phases.get("quiet_end")
    return strong if quiet_ns is None else strong | (columns.invoke_ns >= quiet_ns)
