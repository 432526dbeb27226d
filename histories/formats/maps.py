"""Events as Jepsen writes them, as maps, in any notation: which fields may be missing, and what that means.

A history without processes is that of one process; one whose values are lists of micro-operations is of transactions. Its own indices are kept when
every event has one and they grow. Otherwise events are numbered in order.

A register read that returned `nil` counts as failed, because a Jepsen register is never known to be empty. A field `observed: true` overrides this;
it is written with every empty register that a client saw.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from ..files.codec import event_from_json
from ..model.errors import HistoryError
from ..model.history import History
from ..model.operation import NEMESIS, Event, Type

_ALONE = 0
_REGISTER = {"read", "write", "cas"}
_SEEN = "observed"


def history_of_maps(maps: Iterable[tuple[str, Mapping[str, Any]]], source: str) -> History:
    """Build the history of (place, fields) in order. Raises `HistoryError` with the place of what is not an event."""
    events: list[Event] = []
    own = True
    for place, fields in maps:
        own = own and type(fields.get("index")) is int
        events.append(_event(fields, len(events), place))
    if not own or any(after.index <= before.index for before, after in pairwise(events)):
        events = [replace(event, index=number) for number, event in enumerate(events)]
    return History(_without_silent_reads(events), source=source)


def fields_of_event(event: Event) -> dict[str, Any]:
    """Return the fields in Jepsen's order; absent ones are omitted, except `value`."""
    fields: dict[str, Any] = {
        "index": event.index,
        "time": event.time_ns,
        "type": event.type.value,
        "process": event.process,
        "f": event.f,
    }
    if event.key is not None:
        fields["key"] = event.key
    fields["value"] = event.value
    for name in ("error", "workload", "level", "node"):
        if getattr(event, name) is not None:
            fields[name] = getattr(event, name)
    if event.f == "read" and event.type is Type.OK and _is_nil(event.value):
        fields[_SEEN] = True
    return fields | dict(event.extra)


def _without_silent_reads(events: list[Event]) -> list[Event]:
    register = {event.f for event in events if event.process != NEMESIS} <= _REGISTER
    return [_silenced(event, register) for event in events]


def _silenced(event: Event, register: bool) -> Event:
    if event.f != "read" or event.type is not Type.OK or not _is_nil(event.value):
        return event
    if event.extra.get(_SEEN) is True:
        return replace(event, extra={name: value for name, value in event.extra.items() if name != _SEEN})
    return replace(event, type=Type.FAIL, error="nil says nothing") if register else event


def _is_nil(value: Any) -> bool:
    return value is None or (isinstance(value, list) and len(value) == 2 and value[1] is None)


def _event(found: Mapping[str, Any], number: int, place: str) -> Event:
    fields = {str(name): value for name, value in found.items()}
    if type(fields.get("index")) is not int:
        fields["index"] = number
    if fields.get("time") is None:
        fields["time"] = fields["index"]
    if fields.get("process") is None:
        fields["process"] = _ALONE
    if fields.get("f") is None and _is_transaction(fields.get("value")):
        fields["f"] = "txn"
    try:
        return event_from_json(fields)
    except HistoryError as wrong:
        raise HistoryError(f"{place}: {wrong.message}", wrong.hint) from None


def _is_transaction(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(op, list) and len(op) == 3 and isinstance(op[0], str) for op in value
    )
