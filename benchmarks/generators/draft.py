"""Draft of a history: the answers of an object in order of linearization points, and their conversion to columns in order of invocation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tribulation.histories.model.columns import ABSENT, FAIL, INFO, NONE_ID, OK, Columns, Int32, Lists, Txns, UInt8

from .schedule import Bools, Schedule

NO_LISTS = Lists(np.zeros(1, np.int64), np.zeros(0, np.int32))


def absent(count: int) -> Int32:
    return np.full(count, ABSENT, np.int32)


@dataclass(slots=True)
class Draft:
    """One entry an operation, ids into the tables below. `result` is what an ok operation returned; others return nothing."""

    f: UInt8
    f_names: Sequence[str]
    argument: Int32
    result: Int32
    values: Sequence[Any]
    key: Int32 | None = None
    keys: Sequence[Any] = ()
    argument_list: Int32 | None = None
    result_list: Int32 | None = None
    lists: Lists = field(default_factory=lambda: NO_LISTS)
    argument_txn: Int32 | None = None
    result_txn: Int32 | None = None
    txns: Txns | None = None
    mismatch: Bools | None = None


def columns_of(draft: Draft, plan: Schedule) -> Columns:
    """The columns of a history in which the schedule's operations did what the draft says. A mismatch ended in fail, whatever was drawn."""
    count = len(plan)
    kind = plan.type
    mismatch = np.zeros(count, np.bool_)
    if draft.mismatch is not None:
        mismatch = draft.mismatch & (kind != INFO)
        kind = np.where(mismatch, np.uint8(FAIL), kind)
    ok, failed = kind == OK, kind == FAIL
    argument_list = absent(count) if draft.argument_list is None else draft.argument_list
    argument_txn = absent(count) if draft.argument_txn is None else draft.argument_txn
    result = np.where(ok, draft.result, np.where(failed, draft.argument, ABSENT)).astype(np.int32)
    result_list = _results(draft.result_list, ok, failed, argument_list)
    result_txn = _results(draft.result_txn, ok, failed, argument_txn)
    zeros = np.zeros(count, np.uint8)
    order = plan.order
    return Columns(
        process=plan.process[order],
        type=kind[order],
        f=draft.f[order],
        key=(absent(count) if draft.key is None else draft.key)[order],
        invoke=plan.invoke[order],
        complete=plan.complete[order],
        invoke_ns=plan.invoke_ns[order],
        complete_ns=plan.complete_ns[order],
        argument=draft.argument[order],
        result=result[order],
        argument_list=argument_list[order],
        result_list=result_list[order],
        argument_txn=argument_txn[order],
        result_txn=result_txn[order],
        mismatch=mismatch[order],
        level=zeros,
        workload=zeros,
        f_names=draft.f_names,
        processes=range(int(plan.process.max(initial=-1)) + 1),
        keys=draft.keys,
        values=draft.values,
        lists=draft.lists,
        txns=draft.txns,
    )


def numbers(count: int) -> list[Any]:
    """A table in which the id of a positive number is that number."""
    table: list[Any] = list(range(count + 1))
    table[NONE_ID] = None
    return table


def _results(rows: Int32 | None, ok: Bools, failed: Bools, argument: Int32) -> Int32:
    answers = absent(len(ok)) if rows is None else rows
    return np.where(ok, answers, np.where(failed, argument, ABSENT)).astype(np.int32)


def prefix_lists(lengths: np.ndarray[Any, Any], items: Int32) -> Lists:
    """Rows that are beginnings of `items`."""
    ends = np.cumsum(lengths, dtype=np.int64)
    offsets = np.concatenate([np.zeros(1, np.int64), ends])
    within = np.arange(int(ends[-1]) if len(ends) else 0, dtype=np.int64) - np.repeat(offsets[:-1], lengths)
    return Lists(offsets, items[within])
