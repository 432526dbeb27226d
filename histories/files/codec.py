"""Codec of one event as one JSON line. All reading and writing of `history.jsonl` goes through here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from ..model.bounds import name_problem, position_problem, problem, refuse
from ..model.canonical import in_order
from ..model.errors import HistoryError
from ..model.operation import Event, Type

_NAMED = frozenset({"index", "time", "process", "type", "f", "value", "key", "workload", "level", "node", "error"})
_OPTIONAL = ("key", "workload", "level", "node", "error")
_SCALARS = frozenset({str, int, float, bool, type(None)})
_NAMES = ("process", "f", "workload", "level", "node")
_READ = re.compile(rb'"(index|time|process|type|f|value|key|workload|level|node|error|observed)":')
_SPACED = re.compile(rb'"\s+:')
_decode = msgspec.json.Decoder().decode
_encoder = msgspec.json.Encoder(enc_hook=lambda value: _plain(value))


def event_to_json(event: Event) -> dict[str, Any]:
    """The line's object; absent fields are left out, except `value`."""
    line: dict[str, Any] = {
        "index": event.index,
        "time": event.time_ns,
        "process": event.process,
        "type": event.type.value,
        "f": event.f,
        "value": event.value,
    }
    for name in _OPTIONAL:
        found = getattr(event, name)
        if found is not None:
            line[name] = found
    line.update(event.extra)
    return line


def encode_event(event: Event) -> bytes:
    """The line, with its newline."""
    return encode_fields(event_to_json(event)) + b"\n"


def encode_fields(fields: Any) -> bytes:
    """An object, or any value, as JSON; sets become sorted lists. Raises `TypeError` on a value that JSON lacks."""
    return _encoder.encode(_listed(fields))


def _listed(value: Any) -> Any:
    """Replace every set in the value by a sorted list: the encoder itself writes equal sets in different orders."""
    if isinstance(value, (set, frozenset)):
        return [_listed(item) for item in in_order(value)]
    if isinstance(value, dict):
        return (
            value
            if _SCALARS.issuperset(map(type, value.values()))
            else {name: _listed(item) for name, item in value.items()}
        )
    if type(value) in (list, tuple):
        return value if _SCALARS.issuperset(map(type, value)) else [_listed(item) for item in value]
    return value


def decode_line(line: bytes | str) -> dict[str, Any]:
    """Raises `ValueError` for anything but a JSON object."""
    found = decode_value(line)
    if not isinstance(found, dict):
        raise ValueError(f"expected an object, found {type(found).__name__}")
    return found


def decode_value(text: bytes | str) -> Any:
    """Parse a JSON text. Raises `ValueError` for any invalid one."""
    try:
        return _decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def event_of_text(line: bytes, index: int | None = None) -> Event:
    """The event in a line; see `event_from_json`. Raises `ValueError`, too, on what is no object."""
    event = event_from_json(decode_line(line), index)
    if may_repeat(line):
        refuse_repeats(line)
    return event


def may_repeat(line: bytes) -> bool:
    """Whether an event's line may have a field twice; a cheap look, and `refuse_repeats` knows."""
    names = _READ.findall(line)
    return len(set(names)) != len(names) or b"\\u" in line or _SPACED.search(line) is not None


def refuse_repeats(text: bytes | str) -> None:
    """Raises `ValueError` when an object in a JSON text has a name twice: readers differ in which value they take, and so would verdicts."""
    try:
        json.loads(text, object_pairs_hook=_once_each)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _once_each(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        again = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has {again[:80]!r} twice")


def event_from_json(fields: Mapping[str, Any], index: int | None = None) -> Event:
    """Build an event from a line's object. `index` is used where the line carries none. Raises `HistoryError` for a field that is missing or wrong, or
    out of bounds.
    """
    refuse(problem(fields))
    try:
        kind = Type(fields["type"])
        process = fields["process"]
        f = fields["f"]
    except KeyError as missing:
        raise HistoryError(f"an event without {missing}: {dict(fields)!r}", _HINT) from None
    except ValueError:
        raise HistoryError(f"type is {fields['type']!r}", "type is invoke, ok, fail or info") from None
    position = fields.get("index", index)
    time_ns = fields.get("time", 0)
    for name, value in (("index", position), ("time", time_ns)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise HistoryError(f"{name} is {value!r}, not an integer", _HINT)
        refuse(position_problem(name, value))
    if not isinstance(process, (int, str)) or not isinstance(f, str):
        raise HistoryError(f"process is {process!r} and f is {f!r}", _HINT)
    for name in _NAMES:
        refuse(name_problem(name, fields.get(name)))
    error = fields.get("error")
    return Event(
        index=position,
        time_ns=time_ns,
        process=process,
        type=kind,
        f=f,
        value=fields.get("value"),
        key=fields.get("key"),
        workload=_name(fields.get("workload")),
        level=_name(fields.get("level")),
        node=_name(fields.get("node")),
        error=error if error is None or isinstance(error, str) else _text(error),
        extra={name: value for name, value in fields.items() if name not in _NAMED},
    )


def _name(given: Any) -> str | None:
    """Return a number used as a name as text: names are sorted and compared as texts."""
    return None if given is None else str(given)


def _text(error: Any) -> str:
    return ": ".join(map(str, error)) if isinstance(error, (list, tuple)) else str(error)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _listed(dict(value))
    # Subclasses, as database drivers return them, are written as their JSON base type.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__index__(value)
    if isinstance(value, float):
        return float.__float__(value)
    raise TypeError(f"{type(value).__name__} {value!r} cannot be written to a history")


_HINT = 'a line is {"index", "time", "process", "type", "f", "value", …}; index and time (ns) are integers'
