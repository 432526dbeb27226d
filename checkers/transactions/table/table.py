"""The transactions of a history as flat arrays: one row per transaction, one row per micro-operation.

Both models (lists and registers) and every level read this one table. The meaning of an operation's outcome is decided here: reads of transactions
that did not end `ok` show nothing and are left out; writes of failed ones stay, marked, so that a read of an aborted write is recognised. For the
session checkers, plain reads, writes and cas of registers become transactions: a cas is a read and a write, or only a write if it is not `ok`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tribulation.histories.model.columns import ABSENT, APPEND, FAIL, INFO, OK, OPEN, READ, WRITE, Columns
from tribulation.histories.model.interning import Interner

from .apart import inside_objects, of_workloads
from .arrays import ragged

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
UInt8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]

NO_CLOCK = -1
"""`invoke_ns` throughout a history that has no clock: its positions order only the operations of one process."""

TRANSACTIONS = frozenset({"txn"})
READS, WRITES, SWAPS = ("read", "get"), ("write", "put"), ("cas",)
REGISTERS = frozenset({*READS, *WRITES, *SWAPS})
"""Names of the operations that `registers` takes."""

NO_EVIDENCE = ("stale", "eventual")
"""Levels that promise nothing about what a read returns; their writes count like others."""


@dataclass(frozen=True, slots=True)
class Table:
    """Transactions in order of invocation; micro-operations by transaction, in program order.

    `row` leads back to `columns`. `txn` is the transaction of a micro-operation, `kind` READ, WRITE or APPEND, `key` indexes `keys`.
    `value` and `list` are as in `Columns.txns`. A read has at least one of them; reads of unknown result are not in the table.
    """

    columns: Columns
    row: Int64
    status: UInt8
    process: Int32
    invoke: Int64
    complete: Int64
    offsets: Int64
    txn: Int32
    kind: UInt8
    key: Int32
    value: Int32
    list: Int32
    keys: int
    clock: bool

    def __len__(self) -> int:
        return len(self.row)

    @property
    def committed(self) -> Bool:
        """Transactions known to have happened."""
        found: Bool = self.status == OK
        return found

    @property
    def alive(self) -> Bool:
        """Transactions that may have happened."""
        found: Bool = self.status != FAIL
        return found

    def key_name(self, key: int) -> Any:
        names = self.columns.keys
        return names[key] if key < len(names) else None

    def value_name(self, value: int) -> Any:
        return None if value == ABSENT else self.columns.values[value]

    def index(self, txn: int) -> int:
        """Return the history index of a transaction's invocation."""
        return int(self.invoke[txn])


def are_transactions(columns: Columns) -> Bool:
    """Return which rows are transactions, by their values."""
    found: Bool = (columns.argument_txn != ABSENT) | (columns.result_txn != ABSENT)
    return found


def has_transactions(columns: Columns) -> bool:
    return columns.txns is not None and bool(np.any(are_transactions(columns)))


def kinds_written(columns: Columns) -> set[int]:
    """Return which of WRITE and APPEND occur in the transactions."""
    if not has_transactions(columns) or columns.txns is None:
        return set()
    counts = np.bincount(columns.txns.kind, minlength=4)
    return {kind for kind in (WRITE, APPEND) if counts[kind]}


def transactions(columns: Columns) -> Table:
    """Return the table of the transactions in `columns`."""
    columns = inside_objects(columns)
    if WRITE in kinds_written(columns):
        columns = _lists_as_values(columns)
    assert columns.txns is not None
    rows = np.flatnonzero(are_transactions(columns))
    answered = (columns.type[rows] == OK) & (columns.result_txn[rows] != ABSENT)
    source = np.where(answered, columns.result_txn[rows], columns.argument_txn[rows]).astype(np.int64)
    start = columns.txns.offsets[source]
    size = columns.txns.offsets[source + 1] - start
    txn = np.repeat(np.arange(len(rows), dtype=np.int32), size)
    at = ragged(start, size)
    txns = columns.txns
    kind, key, value, listed = txns.kind[at], txns.key[at], txns.value[at], txns.list[at]
    informative = answered & _evidence(columns)[rows]
    keep = (kind != READ) | (informative[txn] & ((value != ABSENT) | (listed != ABSENT)))
    if not keep.all():
        txn, kind, key, value, listed = txn[keep], kind[keep], key[keep], value[keep], listed[keep]
    return finish(columns, rows, txn, kind, key, value, listed)


def _lists_as_values(columns: Columns) -> Columns:
    """Return the same transactions of registers with a value id for each list that was read or written: equal lists are one value."""
    txns = columns.txns
    assert txns is not None
    # Pairs of operations that no register knows, such as a cas, stay as they are.
    at = np.flatnonzero((txns.list != ABSENT) & ((txns.kind == READ) | (txns.kind == WRITE)))
    if not len(at):
        return columns
    table = Interner(columns.values)
    value, listed = txns.value.copy(), txns.list.copy()
    rows = [columns.lists.row(row).tolist() for row in txns.list[at].tolist()]
    value[at] = table.many([[columns.values[item] for item in row] for row in rows])
    listed[at] = ABSENT
    return replace(columns, txns=replace(txns, value=value, list=listed), values=table.table())


def registers(columns: Columns) -> Table:
    """Return the table of the register operations in `columns`, each as a transaction."""
    columns = of_workloads(columns)
    code = {name: number for number, name in enumerate(columns.f_names)}
    reads, writes, swaps = (_named(columns, code, *names) for names in (READS, WRITES, SWAPS))
    evidence = _evidence(columns)
    ok = columns.type == OK
    read = reads & ok & evidence & (columns.result != ABSENT)
    write = writes & (columns.argument != ABSENT)
    swap = swaps & (columns.argument_list != ABSENT)
    rows = np.flatnonzero(read | write | swap)
    number = np.full(len(columns), -1, np.int32)
    number[rows] = np.arange(len(rows), dtype=np.int32)
    compared = np.flatnonzero(swap & ok)
    swapped = np.flatnonzero(swap)
    pairs = columns.lists.offsets[columns.argument_list]
    plain = np.flatnonzero(read | write)
    at = np.concatenate([plain, compared, swapped])
    kind = np.concatenate(
        [np.where(read[plain], READ, WRITE), np.full(len(compared), READ), np.full(len(swapped), WRITE)]
    ).astype(np.uint8)
    value = np.concatenate(
        [
            np.where(read[plain], columns.result[plain], columns.argument[plain]),
            columns.lists.items[pairs[compared]],
            columns.lists.items[pairs[swapped] + 1],
        ]
    ).astype(np.int32)
    order = np.lexsort((kind, at))
    at, kind, value = at[order], kind[order], value[order]
    key = np.where(columns.key[at] == ABSENT, len(columns.keys), columns.key[at]).astype(np.int32)
    return finish(columns, rows, number[at], kind, key, value, np.full(len(at), ABSENT, np.int32))


def finish(columns: Columns, rows: Int64, txn: Int32, kind: UInt8, key: Int32, value: Int32, listed: Int32) -> Table:
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(np.bincount(txn, minlength=len(rows)), out=offsets[1:])
    status = columns.type[rows]
    return Table(
        columns=columns,
        row=rows,
        status=status,
        process=columns.process[rows],
        invoke=columns.invoke[rows],
        complete=np.where(status == INFO, OPEN, columns.complete[rows]),
        offsets=offsets,
        txn=txn,
        kind=kind,
        key=key,
        value=value,
        list=listed,
        keys=len(columns.keys) + 1,
        clock=not (len(columns) and bool(np.all(columns.invoke_ns == NO_CLOCK))),
    )


def _named(columns: Columns, code: dict[str, int], *names: str) -> Bool:
    return np.isin(columns.f, [code[name] for name in names if name in code])


def _evidence(columns: Columns) -> Bool:
    informative = np.array([name not in NO_EVIDENCE for name in columns.level_names], dtype=bool)
    return informative[columns.level] if len(informative) else np.ones(len(columns), bool)


__all__ = ["APPEND", "FAIL", "INFO", "OK", "OPEN", "READ", "WRITE", "Table"]
