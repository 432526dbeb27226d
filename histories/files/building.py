"""Build `Columns` from events, a chunk at a time: fields become arrays, values ids; at the end invocations are paired with their completions.

    builder = ColumnsBuilder(source)
    builder.add(Chunk(...))        # again and again, in order
    columns = builder.finish()

It refuses the same histories as `histories.pair`, with the same messages: if an array shows an error, the few events concerned are passed to `pair`,
which formulates the message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from ..model.bounds import name_problem, position_problem, refuse
from ..model.columns import ABSENT, Columns, Int32, Int64
from ..model.errors import HistoryError
from ..model.history import pair
from ..model.interning import Interner
from ..model.operation import FOUND_NOTHING, MISMATCH, NEMESIS, REMOVALS, Event, Type
from ..model.ragged import ListRows, Malformed, TxnRows, cells
from .matching import EventColumns, Kind, match
from .replies import FIELDS, Irregular, Lists, ReplyTables, of_events

_CHUNK_EVENTS = 65_536
_TXN = "txn"


@dataclass(slots=True)
class Chunk:
    """Fields of consecutive events. `kind` is (type, f, workload, level); `seen` gives the error and the `observed` of the event at a place."""

    index: list[int]
    time_ns: list[int]
    process: list[Any]
    kind: list[Kind]
    value: list[Any]
    key: list[Any]
    seen: Callable[[int], tuple[Any, Any]]
    replies: Lists | None = None

    def without(self, process: Any) -> Chunk:
        """The chunk without the events of `process`."""
        kept = [place for place, name in enumerate(self.process) if name != process]

        def of(column: list[Any]) -> list[Any]:
            return [column[place] for place in kept]

        return Chunk(
            of(self.index),
            of(self.time_ns),
            of(self.process),
            of(self.kind),
            of(self.value),
            of(self.key),
            lambda place: self.seen(kept[place]),
            None if self.replies is None else {name: of(column) for name, column in self.replies.items()},
        )


class ColumnsBuilder:
    """Builder of columns; see the module. `events` counts all events, `last_ns` is the latest time, both including the nemesis's."""

    def __init__(self, source: str | None = None) -> None:
        self.source = source
        self.events = 0
        self.last_ns = 0
        self._last_index: int | None = None
        self._kinds = Interner()
        self._processes, self._keys, self._values = Interner(), Interner(), Interner([None])
        self._lists = ListRows(self._values)
        self._txns = TxnRows(self._keys, self._values, self._lists)
        self._parts: list[EventColumns] = []
        self._replies: list[dict[str, npt.NDArray[Any]]] | None = []
        self._reply_tables = ReplyTables()

    def add(self, chunk: Chunk) -> None:
        """Take the next events. Their `index` must grow."""
        if not chunk.index:
            return
        index = _integers(chunk.index, "index")
        time_ns = _integers(chunk.time_ns, "time")
        self._check_growth(index, chunk)
        self.events += len(index)
        self.last_ns = max(self.last_ns, int(time_ns.max()))
        if NEMESIS in chunk.process:
            chunk = chunk.without(NEMESIS)
            if not chunk.index:
                return
            index, time_ns = _integers(chunk.index, "index"), _integers(chunk.time_ns, "time")
        self._parts.append(self._columns(index, time_ns, chunk))
        if self._replies is not None:
            try:
                self._replies.append(self._reply_tables.arrays(chunk.replies))
            except Irregular:
                self._replies = None

    def finish(self) -> Columns:
        """The columns. Raises `HistoryError` where an event cannot follow the ones before it."""
        events = EventColumns.joined(self._parts)
        self._parts = []
        kinds, processes = self._kinds.table(), self._processes.table()
        for name in (*processes, *self._reply_tables.names, *(name for kind in kinds for name in kind[1:])):
            refuse(name_problem("a name", name), f"{self.source}: " if self.source else "")
        return match(
            events,
            self.source,
            kinds=kinds,
            processes=processes,
            keys=self._keys.table(),
            values=self._values.table(),
            lists=self._lists.finish(),
            txns=self._txns.finish(),
            replies=None if self._replies is None else (_joined(self._replies), self._reply_tables),
        )

    def _columns(self, index: Int64, time_ns: Int64, chunk: Chunk) -> EventColumns:
        kind = self._kinds.plain(chunk.kind)
        names: list[Kind] = self._kinds.table()
        mismatch = self._mismatches(chunk, kind, names)
        txn = self._transactions(chunk, kind, names)
        value, lists = cells(chunk.value, self._values, self._lists)
        value[txn != ABSENT] = ABSENT
        return EventColumns(
            index=index,
            time_ns=time_ns,
            process=self._processes.plain(chunk.process),
            kind=kind,
            key=self._key_ids(chunk.key),
            value=value,
            list=lists,
            txn=txn,
            mismatch=mismatch,
        )

    @staticmethod
    def _mismatches(chunk: Chunk, kind: Int32, names: Sequence[Kind]) -> npt.NDArray[np.bool_]:
        """Return the rows that failed but observed something: a cas that saw another value (which becomes its result, when it is given separately),
        or a removal that found nothing.
        """
        mismatch = np.zeros(len(kind), np.bool_)
        observing = [
            number for number, (type_, f, _, _) in enumerate(names) if type_ == "fail" and (f == "cas" or f in REMOVALS)
        ]
        for place in np.flatnonzero(np.isin(kind, observing)).tolist() if observing else ():
            error, observed = chunk.seen(place)
            if names[kind[place]][1] in REMOVALS:
                mismatch[place] = isinstance(error, str) and error in FOUND_NOTHING
                continue
            if error != MISMATCH:
                continue
            mismatch[place] = True
            if observed is not None:
                only = isinstance(observed, list) and len(observed) == 1
                chunk.value[place] = observed[0] if only else observed
        return mismatch

    def _transactions(self, chunk: Chunk, kind: Int32, names: Sequence[Kind]) -> Int32:
        """Return the rows of the transactions, and remove their values from the chunk."""
        txn = np.full(len(kind), ABSENT, np.int32)
        txns = [number for number, (_, f, _, _) in enumerate(names) if f == _TXN]
        if not txns:
            return txn
        values = chunk.value
        at = [
            place for place in np.flatnonzero(np.isin(kind, txns)).tolist() if isinstance(values[place], (list, tuple))
        ]
        try:
            txn[at] = self._txns.add([values[place] for place in at], [chunk.kind[place][0] == "ok" for place in at])
        except Malformed as error:
            place = at[error.number]
            where = f"{self.source}: " if self.source else ""
            raise HistoryError(
                f"{where}event {chunk.index[place]} (process {chunk.process[place]!r}, {chunk.kind[place][0]}): {error}",
                'a txn is [["r", key, value], ["w", key, value], ["append", key, value], …]',
            ) from None
        for place in at:
            values[place] = None
        return txn

    def _key_ids(self, keys: list[Any]) -> Int32:
        if type(None) not in set(map(type, keys)):
            return self._keys.many(keys)
        present = [place for place, key in enumerate(keys) if key is not None]
        ids = np.full(len(keys), ABSENT, np.int32)
        ids[present] = self._keys.many([keys[place] for place in present])
        return ids

    def _check_growth(self, index: Int64, chunk: Chunk) -> None:
        first = index[0] - 1 if self._last_index is None else self._last_index
        before = np.concatenate([[first], index[:-1]])
        wrong = np.flatnonzero(index <= before)
        if len(wrong):
            place = int(wrong[0])
            kind, f, _, _ = chunk.kind[place]
            event = Event(int(index[place]), 0, chunk.process[place], Type(kind), f)
            pair([Event(int(before[place]), 0, NEMESIS, Type.INFO, "before"), event], self.source)
        self._last_index = int(index[-1])


def _joined(parts: Sequence[dict[str, npt.NDArray[Any]]]) -> dict[str, npt.NDArray[Any]]:
    return {name: np.concatenate([part[name] for part in parts]) for name in FIELDS} if parts else {}


def columns_of_events(events: Iterable[Event], source: str | None = None) -> Columns:
    """Return the columns of events that exist as objects."""
    builder = ColumnsBuilder(source)
    rest = iter(events)
    while part := list(islice(rest, _CHUNK_EVENTS)):
        builder.add(chunk_of_events(part))
    return builder.finish()


def chunk_of_events(events: Sequence[Event], of_run: bool = False) -> Chunk:
    return Chunk(
        index=[event.index for event in events],
        time_ns=[event.time_ns for event in events],
        process=[event.process for event in events],
        kind=[(event.type.value, event.f, event.workload, event.level) for event in events],
        value=[event.value for event in events],
        key=[event.key for event in events],
        seen=lambda place: (events[place].error, events[place].extra.get("observed")),
        replies=of_events(events) if of_run else None,
    )


def _integers(values: list[int], name: str) -> Int64:
    try:
        found = np.fromiter(values, np.int64, len(values))
    except OverflowError:
        found = None
    if found is None or position_problem(name, int(found.min())) or position_problem(name, int(found.max())):
        wrong = next(why for value in values if (why := position_problem(name, value)))
        raise HistoryError(wrong, "index is the number of the line, from 0; time is in ns")
    return found
