"""A history's operations as arrays, with their places in the system's log: for checkers that look at each operation of a run.

It has for all operations what `acknowledged` returns for one. A history that was read as columns needs no objects for it; for another one, or for one
with fields of unusual types, the arrays are made from the objects. `operation` gives the object of a row, for a witness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tribulation.histories import History, Operation, Type, canonical
from tribulation.histories.model.columns import (
    ABSENT,
    FAIL,
    INFO,
    NO_NUMBER,
    OK,
    OPEN,
    READ,
    Columns,
    Int32,
    Int64,
    Replies,
    UInt8,
)
from tribulation.histories.model.operation import FOUND_NOTHING

from . import acknowledged
from .result import RunRecord
from .sharing import keep, known

Bool = npt.NDArray[np.bool_]

_CODES = {"ok": OK, "fail": FAIL, "info": INFO}
_STRONG = (None, "linearizable")
_LOCAL = ("stale", "eventual")


@dataclass(frozen=True, slots=True)
class Logged:
    """One entry for each operation, in order of invocation. If there is no completion, `complete` is `OPEN` and `complete_ns` `NO_NUMBER`; `index`
    and `term` are `NO_NUMBER` if absent.

    `node`, `server` and `effect` index `names`, `command` indexes `commands`, `key` indexes `keys` (canonical); `ABSENT` if there is none. `local`:
    the operation asked a node for its own state; `marked`: the answer was the node's own state and was marked so. `empty`: a removal failed because
    nothing was there.
    """

    operations: Callable[[], Sequence[Operation]]
    type: UInt8
    f: UInt8 | Int32
    workload: UInt8 | Int32
    key: Int32
    invoke: Int64
    complete: Int64
    invoke_ns: Int64
    complete_ns: Int64
    write: Bool
    stale: Bool
    local: Bool
    marked: Bool
    without_log: Bool
    ran: Bool
    empty: Bool
    index: Int64
    term: Int64
    node: Int32
    server: Int32
    effect: Int32
    command: Int32
    f_names: Sequence[str]
    workloads: Sequence[str | None]
    keys: Sequence[Any]
    names: Sequence[str]
    commands: Sequence[tuple[Any, Any]]

    def __len__(self) -> int:
        return len(self.type)

    @property
    def ok(self) -> Bool:
        found: Bool = self.type == OK
        return found

    @property
    def indexed(self) -> Bool:
        found: Bool = self.index != NO_NUMBER
        return found

    @property
    def acknowledged(self) -> Bool:
        """Return the writes that ended ok."""
        return self.ok & self.write

    def operation(self, row: int | np.intp) -> Operation:
        return self.operations()[int(row)]

    def name(self, number: int | np.int32) -> str | None:
        return None if number == ABSENT else self.names[int(number)]

    def of(self, *names: str) -> Bool:
        """Return the operations of these names."""
        return np.array([name in names for name in self.f_names], np.bool_)[self.f]

    def only(self, rows: Bool) -> Logged:
        """Return the operations of these rows."""
        if rows.all():
            return self
        arrays: dict[str, Any] = {
            name: value for name in self.__slots__ if isinstance(value := getattr(self, name), np.ndarray)
        }
        return replace(
            self,
            operations=lambda: [self.operation(row) for row in np.flatnonzero(rows)],
            **{name: values[rows] for name, values in arrays.items()},
        )


def logged(record: RunRecord) -> Logged:
    """Return the arrays of a record's history, computed once for all checkers of a call. Raises `HistoryError` as its operations do."""
    found: Logged | None = known(record, "logged")
    if found is None:
        found = logged_of(record.history)
        keep(record, "logged", found)
    return found


def logged_of(history: History) -> Logged:
    if not history.loaded and history.columns.replies is not None and _is_plain(history.columns):
        return _of_columns(history, history.columns, history.columns.replies)
    return of_operations(history.operations())


# -- from columns


def _is_plain(columns: Columns) -> bool:
    """Return whether columns show which operations may change state. Only transactions of an unusual form do not."""
    return "tx" not in columns.f_names


def _of_columns(history: History, columns: Columns, replies: Replies) -> Logged:
    level = np.array([name not in _STRONG for name in columns.level_names], np.bool_)
    local = np.array([name in _LOCAL for name in columns.level_names], np.bool_)
    strong = np.array([name == "linearizable" for name in columns.level_names], np.bool_)[columns.level]
    memory = np.array([name in acknowledged.OF_MEMORY for name in columns.f_names], np.bool_)[columns.f]
    neither = [number for number, name in enumerate(replies.names) if name == "neither"]
    command, commands = _commands(replies)
    return Logged(
        operations=_kept(history),
        type=columns.type,
        f=columns.f,
        workload=columns.workload,
        key=columns.key,
        invoke=columns.invoke,
        complete=columns.complete,
        invoke_ns=columns.invoke_ns,
        complete_ns=np.where(columns.complete_ns == ABSENT, NO_NUMBER, columns.complete_ns),
        write=_writes(columns, replies),
        stale=level[columns.level] | replies.stale,
        local=local[columns.level],
        marked=replies.stale,
        without_log=(memory & ~strong) | np.isin(replies.effect, neither),
        ran=(columns.type == OK) | ((columns.type == FAIL) & (replies.error == Replies.SAW_OTHER)),
        empty=(columns.type == FAIL) & (replies.error == Replies.FOUND_NOTHING),
        index=replies.log_index,
        term=replies.term,
        node=replies.node,
        server=replies.served_by,
        effect=replies.effect,
        command=command,
        f_names=columns.f_names,
        workloads=columns.workload_names,
        keys=list(map(canonical, columns.keys)),
        names=replies.names,
        commands=commands,
    )


def _writes(columns: Columns, replies: Replies) -> Bool:
    reads = np.array([name in acknowledged.READS for name in columns.f_names], np.bool_)
    found: Bool = ~reads[columns.f]
    txns = columns.txns
    asked = columns.argument_txn
    rows = np.flatnonzero((asked != ABSENT) & found)
    if txns is not None and len(rows):
        changes = np.concatenate([[0], np.cumsum(txns.kind != READ)])
        first, end = txns.offsets[asked[rows]], txns.offsets[asked[rows] + 1]
        found[rows] = (changes[end] > changes[first]) | (first == end)
    declared = np.flatnonzero(replies.effect != ABSENT)
    changing = np.array([name == "changes" for name in replies.names], np.bool_)
    if len(declared):
        found[declared] = changing[replies.effect[declared]]
    return found


def _commands(replies: Replies) -> tuple[Int32, list[tuple[Any, Any]]]:
    ids = np.full(len(replies.seq), ABSENT, np.int32)
    rows = np.flatnonzero((replies.session != ABSENT) & (replies.seq != NO_NUMBER))
    sessions = replies.sessions
    pairs = [
        (sessions[session], seq)
        for session, seq in zip(replies.session[rows].tolist(), replies.seq[rows].tolist(), strict=True)
    ]
    found = _Ids(pairs)
    ids[rows] = found.ids
    return ids, found.table


def _kept(history: History) -> Callable[[], Sequence[Operation]]:
    found: list[Operation] = []

    def operations() -> Sequence[Operation]:
        if not found:
            found.extend(history.operations())
        return found

    return operations


# -- from objects


class _Ids:
    """Values of operations as ids, in order of first use; None is `ABSENT`."""

    def __init__(self, values: Iterable[Any]) -> None:
        table: dict[Any, int] = {}
        self.ids = np.array([ABSENT if one is None else table.setdefault(one, len(table)) for one in values], np.int32)
        self.table = list(table)


def of_operations(ops: Sequence[Operation]) -> Logged:
    def bits(of: Callable[[Operation], bool]) -> Bool:
        return np.fromiter(map(of, ops), np.bool_, len(ops))

    def integers(of: Callable[[Operation], int | None], otherwise: int = NO_NUMBER) -> Int64:
        values = [otherwise if value is None else value for value in map(of, ops)]
        try:
            return np.array(values, np.int64)
        except OverflowError:
            return np.array(values, object)

    f, keys = _Ids(op.f for op in ops), _Ids(canonical(op.key) for op in ops)
    workloads = _Ids((op.workload,) for op in ops)
    commands = _Ids(map(acknowledged.command, ops))
    names = _Ids(name for op in ops for name in (op.node, acknowledged.served_by(op), acknowledged.effect_of(op)))
    return Logged(
        operations=lambda: ops,
        type=np.array([_CODES[op.type.value] for op in ops], np.uint8),
        f=f.ids,
        workload=workloads.ids,
        key=keys.ids,
        invoke=integers(lambda op: op.invoke_index),
        complete=integers(lambda op: op.complete_index, OPEN),
        invoke_ns=integers(lambda op: op.invoke_ns),
        complete_ns=integers(lambda op: op.complete_ns),
        write=bits(acknowledged.is_write),
        stale=bits(acknowledged.is_stale),
        local=bits(lambda op: op.level in _LOCAL),
        marked=bits(lambda op: op.extra.get("stale") is True),
        without_log=bits(acknowledged.without_log),
        ran=bits(acknowledged.ran),
        empty=bits(lambda op: op.type is Type.FAIL and op.error in FOUND_NOTHING),
        index=integers(acknowledged.log_index),
        term=integers(acknowledged.term),
        node=names.ids[::3],
        server=names.ids[1::3],
        effect=names.ids[2::3],
        command=commands.ids,
        f_names=f.table,
        workloads=[name for (name,) in workloads.table],
        keys=keys.table,
        names=names.table,
        commands=commands.table,
    )
