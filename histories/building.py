"""Builds `Columns` from events, a chunk at a time: fields become arrays, values ids; at the end invocations meet their completions.

    builder = ColumnsBuilder(source)
    builder.add(Chunk(...))        # again and again, in order
    columns = builder.finish()

It refuses what `histories.pair` refuses, with the same words: where an array shows that something is wrong, the few events at issue are
given to `pair`, which says what.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from .columns import ABSENT, Columns, Int32, Int64
from .errors import HistoryError
from .history import pair
from .interning import Interner
from .matching import EventColumns, match
from .operation import MISMATCH, NEMESIS, Event, Type
from .ragged import ListRows, Malformed, TxnRows, cells

_CODES = {"ok": 0, "fail": 1, "info": 2, "invoke": 3}
_OBSERVES = 0
_CHUNK_EVENTS = 65_536
_TXN = "txn"
_SMALL = 256


@dataclass(slots=True)
class Chunk:
    """Fields of consecutive events. `mismatch` are places, in the chunk, of failed cas that saw another value."""

    index: list[int]
    time_ns: list[int]
    process: list[Any]
    type: list[str]
    f: list[str]
    value: list[Any]
    key: list[Any]
    workload: list[str | None]
    level: list[str | None]
    mismatch: list[int]

    def without(self, process: Any) -> Chunk:
        """The chunk without the events of `process`."""
        kept = [place for place, name in enumerate(self.process) if name != process]
        places = {old: new for new, old in enumerate(kept)}
        columns = {
            field.name: [getattr(self, field.name)[place] for place in kept]
            for field in fields(self)
            if field.name != "mismatch"
        }
        return Chunk(**columns, mismatch=[places[place] for place in self.mismatch if place in places])


class ColumnsBuilder:
    """See the module. `events` counts all events, `last_ns` is the latest time, both with the nemesis's."""

    def __init__(self, source: str | None = None) -> None:
        self.source = source
        self.events = 0
        self.last_ns = 0
        self._last_index: int | None = None
        self._processes, self._keys = Interner(), Interner()
        self._f, self._levels, self._workloads = Interner(), Interner([None]), Interner([None])
        self._values = Interner([None])
        self._lists = ListRows(self._values)
        self._txns = TxnRows(self._keys, self._values, self._lists)
        self._parts: list[EventColumns] = []

    def add(self, chunk: Chunk) -> None:
        """Takes the next events. Their `index` must grow."""
        count = len(chunk.index)
        if not count:
            return
        index = _integers(chunk.index, "index")
        time_ns = _integers(chunk.time_ns, "time")
        self._check_growth(index, chunk)
        self.events += count
        self.last_ns = max(self.last_ns, int(time_ns.max()))
        if NEMESIS in set(chunk.process):
            mask = np.fromiter((name != NEMESIS for name in chunk.process), np.bool_, count)
            index, time_ns, chunk = index[mask], time_ns[mask], chunk.without(NEMESIS)
        if chunk.process:
            self._parts.append(self._columns(index, time_ns, chunk))

    def finish(self) -> Columns:
        """The columns. Raises `HistoryError` where an event cannot follow the ones before it."""
        events = EventColumns.joined(self._parts)
        self._parts = []
        return match(
            events,
            self.source,
            f_names=_small(self._f, "names of operations"),
            level_names=_small(self._levels, "levels"),
            workload_names=_small(self._workloads, "workloads"),
            processes=self._processes.table(),
            keys=self._keys.table(),
            values=self._values.table(),
            lists=self._lists.finish(),
            txns=self._txns.finish(),
        )

    def _columns(self, index: Int64, time_ns: Int64, chunk: Chunk) -> EventColumns:
        count = len(chunk.process)
        kind = np.fromiter(map(_CODES.__getitem__, chunk.type), np.uint8, count)
        values = chunk.value
        txn = self._transactions(chunk, kind)
        value, lists = cells(values, self._values, self._lists)
        value[txn != ABSENT] = ABSENT
        mismatch = np.zeros(count, np.bool_)
        mismatch[chunk.mismatch] = True
        return EventColumns(
            index=index,
            time_ns=time_ns,
            process=self._processes.many(chunk.process),
            type=kind,
            f=self._f.many(chunk.f).astype(np.int32),
            key=self._key_ids(chunk.key),
            value=value,
            list=lists,
            txn=txn,
            level=self._levels.many(chunk.level),
            workload=self._workloads.many(chunk.workload),
            mismatch=mismatch,
        )

    def _transactions(self, chunk: Chunk, kind: npt.NDArray[np.uint8]) -> Int32:
        """Rows of the transactions, whose values are taken out of the chunk."""
        txn = np.full(len(chunk.f), ABSENT, np.int32)
        if _TXN not in set(chunk.f):
            return txn
        values = chunk.value
        at = [place for place, name in enumerate(chunk.f) if name == _TXN and isinstance(values[place], (list, tuple))]
        try:
            txn[at] = self._txns.add([values[place] for place in at], (kind[at] == _OBSERVES).tolist())
        except Malformed as error:
            place = at[error.number]
            where = f"{self.source}: " if self.source else ""
            raise HistoryError(
                f"{where}event {chunk.index[place]} (process {chunk.process[place]!r}, {chunk.type[place]}): {error}",
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
            event = Event(int(index[place]), 0, chunk.process[place], Type(chunk.type[place]), chunk.f[place])
            pair([Event(int(before[place]), 0, NEMESIS, Type.INFO, "before"), event], self.source)
        self._last_index = int(index[-1])


def columns_of_events(events: Iterable[Event], source: str | None = None) -> Columns:
    """The columns of events that are objects already."""
    builder = ColumnsBuilder(source)
    rest = iter(events)
    while part := list(islice(rest, _CHUNK_EVENTS)):
        builder.add(chunk_of_events(part))
    return builder.finish()


def chunk_of_events(events: list[Event]) -> Chunk:
    chunk = Chunk(
        index=[event.index for event in events],
        time_ns=[event.time_ns for event in events],
        process=[event.process for event in events],
        type=[event.type.value for event in events],
        f=[event.f for event in events],
        value=[event.value for event in events],
        key=[event.key for event in events],
        workload=[event.workload for event in events],
        level=[event.level for event in events],
        mismatch=[],
    )
    for place, event in enumerate(events):
        if event.error == MISMATCH and event.type is Type.FAIL and event.f == "cas":
            note_mismatch(chunk, place, event.extra.get("observed"))
    return chunk


def note_mismatch(chunk: Chunk, place: int, observed: object) -> None:
    """The event at `place` is a failed cas that saw another value: `observed`, if it says so apart from its value."""
    chunk.mismatch.append(place)
    if observed is not None:
        chunk.value[place] = observed[0] if isinstance(observed, list) and len(observed) == 1 else observed


def _integers(values: list[int], name: str) -> Int64:
    try:
        return np.fromiter(values, np.int64, len(values))
    except OverflowError:
        wrong = next(value for value in values if not -(2**63) <= value < 2**63)
        raise HistoryError(
            f"{name} is {wrong}, which 64 bits do not hold", "index counts lines, time is in ns"
        ) from None


def _small(table: Interner, what: str) -> list[Any]:
    """A table whose ids must fit into a byte."""
    if len(table) > _SMALL:
        raise HistoryError(
            f"the history has {len(table)} {what}, more than {_SMALL}", "is a value written where a name belongs?"
        )
    return table.table()
