"""A history: events in recorded order, and the operations that they form.

    history = History(events)
    history.operations(workload="register", level="linearizable")
    history.by_key(workload="register")["k1"]

Pairing is strict: a history that no correct recorder can have written is refused with the place, because a checker that guesses would turn a harness
bug into a verdict. Files and the meaning of operations are not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .answers import answers
from .canonical import canonical, same
from .errors import HistoryError
from .operation import NEMESIS, Event, Operation, Type

if TYPE_CHECKING:
    from .columns import Columns


class History:
    """Events with strictly growing `index`. `torn` is the text of an unfinished last line, if the file had one.

    A history may be known as columns first (`of_columns`): its events and operations are then made on demand.
    """

    __slots__ = (
        "_columns",
        "_events",
        "_last_ns",
        "_length",
        "_load",
        "_nemesis",
        "_operations",
        "full",
        "source",
        "torn",
    )

    def __init__(self, events: Iterable[Event], torn: str | None = None, source: str | None = None) -> None:
        self._events: tuple[Event, ...] | None = tuple(events)
        self._load: Callable[[], Iterable[Event]] | None = None
        self._nemesis: tuple[Event, ...] | None = None
        self._length = len(self._events)
        self._last_ns: int | None = None
        self.torn = torn
        self.full = False
        """`operation` gives all fields, as witnesses of a run show them, also of a large history: then all its events are made."""
        self.source = source
        self._operations: tuple[Operation, ...] | None = None
        self._columns: Columns | None = None

    @classmethod
    def of_columns(
        cls,
        columns: Columns,
        load: Callable[[], Iterable[Event]],
        *,
        events: int,
        last_ns: int,
        torn: str | None = None,
        source: str | None = None,
        nemesis: Iterable[Event] | None = None,
    ) -> History:
        """A history whose columns are known. `load` gives its events; `events` counts them, `last_ns` is the time of the latest, `nemesis` are those of
        the nemesis, where they are known.
        """
        history = cls((), torn, source)
        history._nemesis = None if nemesis is None else tuple(nemesis)
        history._events, history._load = None, load
        history._length, history._last_ns, history._columns = events, last_ns, columns
        return history

    @property
    def events(self) -> tuple[Event, ...]:
        if self._events is None:
            assert self._load is not None
            self._events = tuple(self._load())
        return self._events

    @property
    def nemesis(self) -> tuple[Event, ...]:
        """The events of the nemesis. No other event of a large file is made for them."""
        if self._nemesis is None:
            self._nemesis = tuple(event for event in self.events if event.process == NEMESIS)
        return self._nemesis

    @property
    def loaded(self) -> bool:
        """Return whether the events exist already."""
        return self._events is not None

    @property
    def columns(self) -> Columns:
        """The operations as arrays. Raises `HistoryError` as `operations` does."""
        if self._columns is None:
            # Most histories are small, and need no arrays.
            from ..files.building import columns_of_events

            self._columns = columns_of_events(self.events, self.source)
        return self._columns

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __repr__(self) -> str:
        place = f" from {self.source}" if self.source else ""
        return f"<History of {self._length} events{place}>"

    def operations(self, workload: str | None = None, level: str | None = None) -> list[Operation]:
        """Operations in order of invocation.

        `workload` and `level` select. An operation without a workload or level passes every selection, because histories of other systems have
        neither.
        """
        if self._operations is None:
            self._operations = tuple(pair(self.events, self.source))
        return [
            op
            for op in self._operations
            if (workload is None or op.workload is None or op.workload == workload)
            and (level is None or op.level is None or op.level == level)
        ]

    def operation(self, row: int) -> Operation:
        """Return the operation in a row of the columns, which is its place in order of invocation. No other operation of a large history is made, unless it is `full`."""
        if self._operations is None and self._events is None and not self.full:
            from .rows import operation

            return operation(self.columns, row)
        if self._operations is None:
            self.operations()
        assert self._operations is not None
        return self._operations[row]

    def by_key(self, workload: str | None = None, level: str | None = None) -> dict[Any, list[Operation]]:
        """The same operations, by key, keys in order of first use."""
        views: dict[Any, list[Operation]] = {}
        for op in self.operations(workload, level):
            views.setdefault(canonical(op.key), []).append(op)
        return views

    @property
    def workloads(self) -> list[str]:
        """The workloads named in it, in order of first use."""
        return list(dict.fromkeys(op.workload for op in self.operations() if op.workload is not None))

    @property
    def duration_ns(self) -> int:
        if self._last_ns is None:
            self._last_ns = max((event.time_ns for event in self.events), default=0)
        return self._last_ns


def pair(events: Iterable[Event], source: str | None = None) -> list[Operation]:
    """Return the operations of `events`, in order of invocation. Raises `HistoryError` where an event cannot follow the ones before it.

    An operation whose outcome is unknown has `complete_index` None; its `complete_ns` is when the client gave up, if it reported that.
    """
    operations: list[Operation | None] = []
    open_at: dict[int | str, tuple[int, Event]] = {}
    retired: dict[int | str, Event] = {}
    last_index: int | None = None
    for event in events:
        if last_index is not None and event.index <= last_index:
            raise _error(source, event, f"index {event.index} follows index {last_index}", "indices must grow")
        last_index = event.index
        if event.process == NEMESIS:
            continue
        if event.type is Type.INVOKE:
            _refuse_invocation(event, open_at, retired, source)
            open_at[event.process] = (len(operations), event)
            operations.append(None)
            continue
        slot, invocation = _invocation_of(event, open_at, source)
        operations[slot] = _operation(invocation, event)
        if event.type is Type.INFO:
            retired[event.process] = event
    for slot, invocation in open_at.values():
        operations[slot] = _operation(invocation, None)
    return [op for op in operations if op is not None]


def _refuse_invocation(
    event: Event, open_at: Mapping[int | str, tuple[int, Event]], retired: Mapping[int | str, Event], source: str | None
) -> None:
    if event.process in open_at:
        before = open_at[event.process][1]
        raise _error(
            source,
            event,
            f"process {event.process!r} invokes {event.f!r} while its {before.f!r} of index {before.index} is open",
            "a process has one operation at a time; give each concurrent client its own process",
        )
    if event.process in retired:
        before = retired[event.process]
        raise _error(
            source,
            event,
            f"process {event.process!r} invokes {event.f!r} after its {before.f!r} ended in info at index {before.index}",
            "an operation with unknown outcome stays open; the client continues under a new process",
        )


def _invocation_of(event: Event, open_at: dict[int | str, tuple[int, Event]], source: str | None) -> tuple[int, Event]:
    if event.process not in open_at:
        raise _error(
            source,
            event,
            f"process {event.process!r} completes {event.f!r} ({event.type.value}) that it never invoked",
            "the history lacks the invocation; was its beginning cut off?",
        )
    slot, invocation = open_at.pop(event.process)
    if event.f != invocation.f or any(
        named is not None and not same(named, asked)
        for named, asked in zip(_object_and_level(event), _object_and_level(invocation), strict=True)
    ):
        raise _error(
            source,
            event,
            f"process {event.process!r} completes {_name(event)}, but its open operation (index {invocation.index}) is {_name(invocation)}",
            "a completion repeats the f of its invocation, and omits or repeats its key, workload and level",
        )
    if event.type is Type.OK and not answers(event.f, invocation.value, event.value):
        raise unlike_value(source, event, invocation)
    return slot, invocation


def unlike_value(source: str | None, event: Event, invocation: Event) -> HistoryError:
    """Make the error for an ok completion that does not answer its invocation."""
    return _error(
        source,
        event,
        f"process {event.process!r} completes {_name(event)} with {_brief(event.value)}, but its invocation (index {invocation.index}) asked for {_brief(invocation.value)}",
        "an ok completion omits or repeats the value of a write, and has the same parts as its transaction",
    )


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:119]}…"


def _operation(invocation: Event, completion: Event | None) -> Operation:
    done = completion if completion is not None else invocation
    kind = Type.INFO if completion is None else completion.type
    return Operation(
        process=invocation.process,
        f=invocation.f,
        type=kind,
        invoke_index=invocation.index,
        complete_index=None if kind is Type.INFO else done.index,
        invoke_ns=invocation.time_ns,
        complete_ns=None if completion is None else completion.time_ns,
        argument=invocation.value,
        result=None if completion is None else completion.value,
        key=invocation.key,
        workload=invocation.workload,
        level=invocation.level,
        node=done.node if done.node is not None else invocation.node,
        error=None if completion is None else completion.error,
        extra={**invocation.extra, **done.extra} if invocation.extra or done.extra else {},
    )


def _object_and_level(event: Event) -> tuple[Any, str | None, str | None]:
    return event.key, event.workload, event.level


def _name(event: Event) -> str:
    named = zip(("key", "workload", "level"), _object_and_level(event), strict=True)
    return " of ".join([f"{event.f!r}", *(f"{name} {value!r}" for name, value in named if value is not None)])


def _error(source: str | None, event: Event, message: str, hint: str) -> HistoryError:
    place = f"{source}: " if source else ""
    return HistoryError(f"{place}event {event.index} (process {event.process!r}, {event.type.value}): {message}", hint)
