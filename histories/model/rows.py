"""Rows of columns turned back into operations and events, one at a time: for witnesses, for writers, for checkers that need objects.

Fields that columns do not keep (error text, further fields, and nodes except in the columns of a run) are missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .columns import ABSENT, APPEND, CAS, INFO, OPEN, READ, WRITE, Columns
from .history import History
from .operation import EMPTY, MISMATCH, REMOVALS, Event, Operation, Type

TYPES = (Type.OK, Type.FAIL, Type.INFO)
MICRO = {READ: "r", WRITE: "w", APPEND: "append", CAS: "cas"}


def operation(columns: Columns, row: int) -> Operation:
    """The operation in `row`."""
    complete, complete_ns = int(columns.complete[row]), int(columns.complete_ns[row])
    key = int(columns.key[row])
    return Operation(
        process=columns.processes[columns.process[row]],
        f=columns.f_names[columns.f[row]],
        type=TYPES[columns.type[row]],
        invoke_index=int(columns.invoke[row]),
        complete_index=None if complete == OPEN else complete,
        invoke_ns=int(columns.invoke_ns[row]),
        complete_ns=None if complete_ns == ABSENT else complete_ns,
        argument=argument(columns, row),
        result=result(columns, row),
        key=None if key == ABSENT else columns.keys[key],
        workload=columns.workload_names[columns.workload[row]],
        level=columns.level_names[columns.level[row]],
        node=_node(columns, row),
        error=_error(columns, row),
    )


def _node(columns: Columns, row: int) -> str | None:
    """The node of the completion, else of the invocation, if the columns have it."""
    replies = columns.replies
    if replies is None:
        return None
    known = next((number for number in (replies.answered[row], replies.asked[row]) if number != ABSENT), None)
    return None if known is None else replies.names[known]


def _error(columns: Columns, row: int) -> str | None:
    if not columns.mismatch[row]:
        return None
    return EMPTY if columns.f_names[columns.f[row]] in REMOVALS else MISMATCH


def argument(columns: Columns, row: int) -> Any:
    """The value of the invocation."""
    return _value(columns, columns.argument[row], columns.argument_list[row], columns.argument_txn[row])


def result(columns: Columns, row: int) -> Any:
    """The value of the completion; None where there is none."""
    return _value(columns, columns.result[row], columns.result_list[row], columns.result_txn[row])


def both_events(columns: Columns, row: int) -> tuple[Event, Event]:
    """The invocation and the completion of an operation that has both."""
    return _invocation(columns, row), _completion(columns, row, int(columns.invoke[row]) + 1)


def row_of(columns: Columns, index: int) -> int | None:
    """The row of the operation that begins or ends at history index `index`."""
    row = int(np.searchsorted(columns.invoke, index))
    if row < len(columns) and columns.invoke[row] == index:
        return row
    ends = np.flatnonzero(columns.complete == index)
    return int(ends[0]) if len(ends) else None


def events(columns: Columns) -> Iterator[Event]:
    """The events of all operations in order.

    If an operation of unknown outcome has a completion, columns do not have its position: it is placed at the end.
    """
    end = np.where(columns.type == INFO, OPEN, columns.complete)
    ended = (columns.type != INFO) | (columns.complete_ns != ABSENT)
    rows = np.flatnonzero(ended)
    positions = np.concatenate([columns.invoke, end[rows]])
    order = np.argsort(positions, kind="stable")
    count = len(columns)
    next_index = 0
    for place in order.tolist():
        if place < count:
            event = _invocation(columns, place)
        else:
            event = _completion(columns, int(rows[place - count]), next_index)
        next_index = event.index + 1
        yield event


def history_of_columns(columns: Columns, source: str | None = None, torn: str | None = None) -> History:
    """A history that is known only as columns."""
    ended = int(np.count_nonzero((columns.type != INFO) | (columns.complete_ns != ABSENT)))
    last_ns = max((int(column.max()) for column in (columns.invoke_ns, columns.complete_ns) if len(column)), default=0)
    return History.of_columns(
        columns, lambda: events(columns), events=len(columns) + ended, last_ns=last_ns, torn=torn, source=source
    )


def _invocation(columns: Columns, row: int) -> Event:
    key = int(columns.key[row])
    return Event(
        index=int(columns.invoke[row]),
        time_ns=int(columns.invoke_ns[row]),
        process=columns.processes[columns.process[row]],
        type=Type.INVOKE,
        f=columns.f_names[columns.f[row]],
        value=argument(columns, row),
        key=None if key == ABSENT else columns.keys[key],
        workload=columns.workload_names[columns.workload[row]],
        level=columns.level_names[columns.level[row]],
    )


def _completion(columns: Columns, row: int, next_index: int) -> Event:
    key, complete = int(columns.key[row]), int(columns.complete[row])
    return Event(
        index=next_index if complete == OPEN else complete,
        time_ns=int(columns.complete_ns[row]),
        process=columns.processes[columns.process[row]],
        type=TYPES[columns.type[row]],
        f=columns.f_names[columns.f[row]],
        value=result(columns, row),
        key=None if key == ABSENT else columns.keys[key],
        workload=columns.workload_names[columns.workload[row]],
        level=columns.level_names[columns.level[row]],
        error=_error(columns, row),
    )


def _value(columns: Columns, scalar: int, row: int, txn: int) -> Any:
    if txn != ABSENT:
        return _micro_operations(columns, int(txn))
    if row != ABSENT:
        return _list(columns, int(row))
    return None if scalar == ABSENT else columns.values[scalar]


def _list(columns: Columns, row: int) -> list[Any]:
    values = columns.values
    return [values[item] for item in columns.lists.row(row).tolist()]


def _micro_operations(columns: Columns, row: int) -> list[list[Any]]:
    txns = columns.txns
    assert txns is not None
    return [
        [
            MICRO[int(txns.kind[at])],
            columns.keys[txns.key[at]],
            _value(columns, txns.value[at], txns.list[at], ABSENT),
        ]
        for at in range(txns.offsets[row], txns.offsets[row + 1])
    ]
