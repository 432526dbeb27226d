"""Pairing of invocations and completions, as arrays, into rows of operations. The rules are those of `histories.pair`, which also formulates the error messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ..model.answers import unanswered
from ..model.columns import ABSENT, FAIL, INFO, OK, OPEN, Columns, Int32, Int64, Lists, Replies, Txns, UInt8
from ..model.errors import HistoryError
from ..model.history import pair, unlike_value
from ..model.interning import Interner
from ..model.operation import Event, Type
from ..model.rows import both_events
from .replies import ReplyTables

Kind = tuple[str, str, str | None, str | None]
"""Type, f, workload and level of an event."""

_INVOKE = 3
_CODES = {"ok": OK, "fail": FAIL, "info": INFO, "invoke": _INVOKE}
_RADIX = 1 << 16
_SMALL = 256


@dataclass(frozen=True, slots=True)
class EventColumns:
    """One entry per client event. `kind` is an index into the table of kinds."""

    index: Int64
    time_ns: Int64
    process: Int32
    kind: Int32
    key: Int32
    value: Int32
    list: Int32
    txn: Int32
    mismatch: npt.NDArray[np.bool_]

    def until(self, place: int) -> EventColumns:
        """The events before that place."""
        return EventColumns(**{field.name: getattr(self, field.name)[:place] for field in fields(EventColumns)})

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


_KINDS: dict[str, Any] = {"index": np.int64, "time_ns": np.int64, "mismatch": np.bool_}


class _Names:
    """The kinds split into their parts: for each kind its type, f, workload and level as codes, with the tables of their names."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        f, workload, level = Interner(), Interner([None]), Interner([None])
        count = len(kinds)
        self.type = np.fromiter((_CODES[kind[0]] for kind in kinds), np.uint8, count)
        self.f = _bytes(f, [kind[1] for kind in kinds], "names of operations")
        self.workload = _bytes(workload, [kind[2] for kind in kinds], "workloads")
        self.level = _bytes(level, [kind[3] for kind in kinds], "levels")
        self.f_names, self.workload_names, self.level_names = f.table(), workload.table(), level.table()

    def unlike(self, asked: Int32, answered: Int32) -> npt.NDArray[np.bool_]:
        """Return which events of kinds `answered` cannot complete invocations of kinds `asked`: their f, workload or level differs."""
        found: npt.NDArray[np.bool_] = self.f[asked] != self.f[answered]
        for codes in (self.workload, self.level):
            found |= (codes[answered] != 0) & (codes[answered] != codes[asked])
        return found


def _bytes(table: Interner, names: Sequence[str | None], what: str) -> UInt8:
    ids = table.many(names)
    if len(table) > _SMALL:
        raise HistoryError(
            f"the history has {len(table)} different {what}, more than {_SMALL}",
            "is a value written where a name belongs?",
        )
    return ids.astype(np.uint8)


def match(
    events: EventColumns,
    source: str | None,
    *,
    kinds: Sequence[Kind],
    processes: Sequence[Any],
    keys: Sequence[Any],
    values: Sequence[Any],
    lists: Lists,
    txns: Txns | None,
    replies: tuple[dict[str, npt.NDArray[Any]], ReplyTables] | None = None,
) -> Columns:
    """Rows in order of invocation. Raises `HistoryError` where an event cannot follow the ones before it."""
    names = _Names(kinds)
    types = names.type[events.kind]
    invoked = np.flatnonzero(types == _INVOKE)
    completions, wrong = _completions(events, names)
    if wrong is not None:
        tables: dict[str, Any] = {"processes": processes, "keys": keys, "values": values, "lists": lists, "txns": txns}
        _refuse_at(wrong, events, source, kinds, tables)
    completion = completions[invoked]
    known = completion >= 0
    done = np.where(known, completion, invoked)

    def of_completion(column: npt.NDArray[Any], otherwise: int) -> npt.NDArray[Any]:
        return np.where(known, column[done], column.dtype.type(otherwise))

    kind = of_completion(types, INFO)
    invocation = events.kind[invoked]
    columns = Columns(
        process=events.process[invoked],
        type=kind,
        f=names.f[invocation],
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
        level=names.level[invocation],
        workload=names.workload[invocation],
        f_names=names.f_names,
        level_names=names.level_names,
        workload_names=names.workload_names,
        processes=processes,
        keys=keys,
        values=values,
        lists=lists,
        txns=txns,
        replies=None if replies is None or not len(invoked) else _replies(*replies, invoked, done, known),
    )
    _refuse_unanswered(columns, source)
    return columns


def _refuse_at(
    place: int, events: EventColumns, source: str | None, kinds: Sequence[Kind], tables: dict[str, Any]
) -> None:
    """Raise for the event at `place`; for a completion before it that has another value than its invocation, if there is one."""
    match(events.until(place), source, kinds=kinds, **tables)
    _refuse(events, place, _Tables(kinds, tables["processes"], tables["keys"]), source)


def _replies(
    of_events: dict[str, npt.NDArray[Any]],
    tables: ReplyTables,
    invoked: npt.NDArray[np.intp],
    done: npt.NDArray[np.intp],
    known: npt.NDArray[np.bool_],
) -> Replies:
    """`done` is the place of an invocation where its completion is not known."""
    ended = {name: values[done] for name, values in of_events.items()}
    ended["error"] *= known
    ended["node"][~known] = ABSENT
    return tables.finish({name: values[invoked] for name, values in of_events.items()}, ended)


def _refuse_unanswered(columns: Columns, source: str | None) -> None:
    """Raise for the first completion that reports another action than its invocation."""
    unlike = unanswered(columns)
    if len(unlike):
        row = int(unlike[np.argmin(columns.complete[unlike])])
        raise unlike_value(source, *reversed(both_events(columns, row)))


@dataclass(frozen=True, slots=True)
class _Tables:
    kinds: Sequence[Kind]
    processes: Sequence[Any]
    keys: Sequence[Any]


def _completions(events: EventColumns, names: _Names) -> tuple[Int64, int | None]:
    """Return for each event that is an invocation the place of its completion, -1 where there is none; and the first place with an impossible event."""
    types = names.type[events.kind]
    # Small numbers sort by radix, in linear time.
    small = len(events.process) == 0 or int(events.process.max()) < _RADIX
    process = events.process.astype(np.uint16) if small else events.process
    order = np.argsort(process, kind="stable")
    ordered, kind = process[order], types[order]
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
    other_kind = names.unlike(events.kind[asked], events.kind[answered])
    unlike = answered[other_kind | other_key]
    wrong_at = np.concatenate([order[wrong], unlike])
    return completions, int(wrong_at.min()) if len(wrong_at) else None


def _refuse(events: EventColumns, place: int, tables: _Tables, source: str | None) -> None:
    """Let `pair` word the error of the event at `place`: it needs only the events of its process up to there."""
    mine = np.flatnonzero(events.process[: place + 1] == events.process[place])
    pair([_event(events, int(at), tables) for at in mine], source)
    raise AssertionError(f"event {int(events.index[place])} was refused without a reason")


def _event(events: EventColumns, at: int, tables: _Tables) -> Event:
    kind, f, workload, level = tables.kinds[events.kind[at]]
    return Event(
        index=int(events.index[at]),
        time_ns=int(events.time_ns[at]),
        process=tables.processes[events.process[at]],
        type=Type(kind),
        f=f,
        key=None if events.key[at] == ABSENT else tables.keys[events.key[at]],
        workload=workload,
        level=level,
    )
