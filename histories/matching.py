"""Invocations and completions, as arrays, become rows of operations. The rules are those of `histories.pair`, which also words the refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from .columns import ABSENT, FAIL, INFO, OPEN, Columns, Int32, Int64, Lists, Txns, UInt8
from .history import pair
from .operation import Event, Type

_INVOKE = 3
_TYPES = (Type.OK, Type.FAIL, Type.INFO, Type.INVOKE)
_RADIX = 1 << 16


@dataclass(frozen=True, slots=True)
class EventColumns:
    """One entry an event of a client. `type` has the codes of `Columns`, and 3 for an invocation."""

    index: Int64
    time_ns: Int64
    process: Int32
    type: UInt8
    f: Int32
    key: Int32
    value: Int32
    list: Int32
    txn: Int32
    level: Int32
    workload: Int32
    mismatch: npt.NDArray[np.bool_]

    @staticmethod
    def joined(parts: Sequence[EventColumns]) -> EventColumns:
        return EventColumns(
            **{
                field.name: np.concatenate([getattr(part, field.name) for part in parts])
                if parts
                else np.zeros(0, _KINDS.get(field.name, np.int32))
                for field in fields(EventColumns)
            }
        )


_KINDS: dict[str, Any] = {"index": np.int64, "time_ns": np.int64, "type": np.uint8, "mismatch": np.bool_}


def match(
    events: EventColumns,
    source: str | None,
    *,
    f_names: Sequence[str],
    level_names: Sequence[str | None],
    workload_names: Sequence[str | None],
    processes: Sequence[Any],
    keys: Sequence[Any],
    values: Sequence[Any],
    lists: Lists,
    txns: Txns | None,
) -> Columns:
    """Rows in order of invocation. Raises `HistoryError` where an event cannot follow the ones before it."""
    invoked = np.flatnonzero(events.type == _INVOKE)
    completion = _completions(events, processes, f_names, keys, source)[invoked]
    known = completion >= 0
    done = np.where(known, completion, invoked)

    def of_completion(column: npt.NDArray[Any], otherwise: int) -> npt.NDArray[Any]:
        return np.where(known, column[done], column.dtype.type(otherwise))

    kind = of_completion(events.type, INFO)
    level = events.level[invoked]
    return Columns(
        process=events.process[invoked],
        type=kind,
        f=events.f[invoked].astype(np.uint8),
        key=events.key[invoked],
        invoke=events.index[invoked],
        complete=np.where(kind == INFO, np.int64(OPEN), events.index[done]),
        invoke_ns=events.time_ns[invoked],
        complete_ns=of_completion(events.time_ns, ABSENT),
        argument=events.value[invoked],
        result=of_completion(events.value, ABSENT),
        argument_list=events.list[invoked],
        result_list=of_completion(events.list, ABSENT),
        argument_txn=events.txn[invoked],
        result_txn=of_completion(events.txn, ABSENT),
        mismatch=(kind == FAIL) & events.mismatch[done],
        level=np.where(level == 0, events.level[done], level).astype(np.uint8),
        workload=events.workload[invoked].astype(np.uint8),
        f_names=f_names,
        level_names=level_names,
        workload_names=workload_names,
        processes=processes,
        keys=keys,
        values=values,
        lists=lists,
        txns=txns,
    )


def _completions(
    events: EventColumns, processes: Sequence[Any], f_names: Sequence[str], keys: Sequence[Any], source: str | None
) -> Int64:
    """For each event that is an invocation the place of its completion, -1 where there is none."""
    # Small numbers sort by radix, in linear time.
    process = events.process.astype(np.uint16) if len(processes) <= _RADIX else events.process
    order = np.argsort(process, kind="stable")
    ordered, kind = process[order], events.type[order]
    follows = np.zeros(len(order), np.bool_)
    follows[1:] = ordered[1:] == ordered[:-1]
    invokes = kind == _INVOKE
    before = np.concatenate([kind[:1], kind[:-1]])
    after_open = follows & (before == _INVOKE)
    wrong = np.where(invokes, after_open | (follows & (before == INFO)), ~after_open)

    answers = np.flatnonzero(~invokes & after_open)
    asked, answered = order[answers - 1], order[answers]
    completions = np.full(len(order), -1, np.int64)
    completions[asked] = answered
    other_key = (events.key[answered] != ABSENT) & (events.key[answered] != events.key[asked])
    unlike = answered[(events.f[answered] != events.f[asked]) | other_key]
    wrong_at = np.concatenate([order[wrong], unlike])
    if len(wrong_at):
        _refuse(events, int(wrong_at.min()), processes, f_names, keys, source)
    return completions


def _refuse(
    events: EventColumns,
    place: int,
    processes: Sequence[Any],
    f_names: Sequence[str],
    keys: Sequence[Any],
    source: str | None,
) -> None:
    """Lets `pair` say what is wrong with the event at `place`: its process's events up to there are all it needs."""
    mine = np.flatnonzero(events.process[: place + 1] == events.process[place])
    pair(
        [
            Event(
                index=int(events.index[at]),
                time_ns=int(events.time_ns[at]),
                process=processes[events.process[at]],
                type=_TYPES[events.type[at]],
                f=f_names[events.f[at]],
                key=None if events.key[at] == ABSENT else keys[events.key[at]],
            )
            for at in mine
        ],
        source,
    )
    raise AssertionError(f"event {int(events.index[place])} was refused without a reason")
