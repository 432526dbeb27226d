"""A history as columns: one row per operation, in order of invocation, numpy arrays instead of objects.

A million operations as Python objects take gigabytes and seconds before checking has begun; as columns they take 100 MB. Checkers that must be fast
read columns and turn a row back into an `Operation` only for a witness.

Positions, not clocks, define precedence: `a` precedes `b` iff `complete[a] < invoke[b]`. An operation whose end is unknown has `complete == OPEN`.
Scalars (numbers, strings, booleans, None) are interned once for the whole history: equal values have equal ids, and `values[id]` is the value; the id
of None is always 0. Values that are lists are rows of `lists`; transactions are rows of `txns`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
UInt8 = npt.NDArray[np.uint8]

OPEN = np.iinfo(np.int64).max
"""Completion position of an operation whose end is unknown (`info`)."""

OK, FAIL, INFO = 0, 1, 2
"""Codes of `Columns.type`."""

NONE_ID = 0
ABSENT = -1
"""No key, no list, no transaction in this row."""

READ, WRITE, APPEND, CAS = 0, 1, 2, 3
"""Codes of `Txns.kind`."""


@dataclass(frozen=True, slots=True)
class Lists:
    """Ragged rows: row `i` is `items[offsets[i]:offsets[i + 1]]`, value ids. Equal lists may be in several rows."""

    offsets: Int64
    items: Int32

    def row(self, index: int) -> Int32:
        return self.items[self.offsets[index] : self.offsets[index + 1]]


@dataclass(frozen=True, slots=True)
class Txns:
    """Micro-operations, ragged by row: those of transaction row `i` are `offsets[i]:offsets[i + 1]` of the other columns.

    `key` indexes `Columns.keys`. `value` is a value id (a read of a register, a write, an append), `list` a row of `Columns.lists` for a read
    that returned a list, or [from, to] of a cas; `ABSENT` where it does not apply. A read whose value is unknown (None in anything but an ok
    completion) has both `ABSENT`; an ok read of None has `value` `NONE_ID`.
    """

    offsets: Int64
    kind: UInt8
    key: Int32
    value: Int32
    list: Int32


NO_NUMBER = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Replies:
    """Fields of events about the system's log and about the operation, one entry for each operation; the value of the completion counts before that
    of the invocation.

    `asked` (the invocation's node), `answered` (the completion's), `served_by` and `effect` index `names`, `session` indexes `sessions`; `ABSENT`
    where there is none, and for numbers `NO_NUMBER`. `served_by` is the node of the operation if the reply names none. `error` is the observation of
    a failure. `timed`: some event has a `ts` that is not a text.
    """

    SAW_OTHER: ClassVar[int] = 1
    FOUND_NOTHING: ClassVar[int] = 2

    asked: Int32
    answered: Int32
    served_by: Int32
    session: Int32
    effect: Int32
    log_index: Int64
    term: Int64
    seq: Int64
    error: UInt8
    stale: npt.NDArray[np.bool_]
    timed: bool
    names: Sequence[str]
    sessions: Sequence[int | str]

    @property
    def node(self) -> Int32:
        return np.where(self.answered != ABSENT, self.answered, self.asked)


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of a history; see the module. Every array has one entry per operation, except the tables at the end.

    `argument` and `result` are value ids (of the invocation's and the completion's value). Where the value is a list, the id is `ABSENT` and
    `argument_list` or `result_list` is its row. Where the operation is a transaction, `argument_txn` and `result_txn` are rows of `txns`. A cas has
    `argument_list` = [from, to]. `mismatch` marks a failed cas that observed another value; if that value is given, `result` is its id, else `result`
    is `NONE_ID` or `ABSENT`. Without a completion `result` and `complete_ns` are `ABSENT`; an operation that ended in `info` has them. Ids of `level`
    and `workload` are 0 where none is named. Values and items that are not scalars (a mapping, a list in a list) have ids like scalars. A failed
    removal (`dequeue`, `pop` …) is marked if it failed because nothing was there.
    """

    process: Int32
    type: UInt8
    f: UInt8
    key: Int32
    invoke: Int64
    complete: Int64
    invoke_ns: Int64
    complete_ns: Int64
    argument: Int32
    result: Int32
    argument_list: Int32
    result_list: Int32
    argument_txn: Int32
    result_txn: Int32
    mismatch: npt.NDArray[np.bool_]
    level: UInt8
    workload: UInt8

    f_names: Sequence[str] = ()
    level_names: Sequence[str | None] = (None,)
    workload_names: Sequence[str | None] = (None,)
    processes: Sequence[Any] = ()
    keys: Sequence[Any] = ()
    values: Sequence[Any] = (None,)
    lists: Lists = field(default_factory=lambda: Lists(np.zeros(1, np.int64), np.zeros(0, np.int32)))
    txns: Txns | None = None
    replies: Replies | None = None
    """None if they were not read, or if a value has a type that no system writes."""

    def __len__(self) -> int:
        return len(self.process)

    def names(self, rows: Any = slice(None)) -> set[str]:
        """Names of these operations (default: of all)."""
        return {self.f_names[code] for code in np.unique(self.f[rows])}
