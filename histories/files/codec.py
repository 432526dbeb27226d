"""Codec of one event as one JSON line. All reading and writing of `history.jsonl` goes through here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..model.bounds import (
    NAME_CHARACTERS,
    POSITION_LIMIT,
    any_may_exceed,
    name_problem,
    position_problem,
    problem,
    refuse,
)
from ..model.canonical import in_order
from ..model.errors import HistoryError
from ..model.operation import Event, Type

_NAMED = frozenset({"index", "time", "process", "type", "f", "value", "key", "workload", "level", "node", "error"})
_OPTIONAL = ("key", "workload", "level", "node", "error")
_SCALARS = frozenset({str, int, float, bool, type(None)})
_NAMES = ("process", "f", "workload", "level", "node")
_OF_EVENT = b"index|time|process|type|f|value|key|workload|level|node|error|observed"
_OF_REPLY = b"log_index|term|served_by|session|seq|stale|effect|ts"
_READ = re.compile(b'"(' + _OF_EVENT + b"|" + _OF_REPLY + b')":')
"""Fields that columns hold."""
_HOLDERS = frozenset({dict, list})
_SPACED_COLONS = (b" :", b"\t:", b"\r:")
_SPACED = re.compile(rb'"\s+:')
_TYPES = {kind.value: kind for kind in Type}
_decode = msgspec.json.Decoder().decode
_decode_objects = msgspec.json.Decoder(dict[str, Any]).decode_lines
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
    """Decode a line. Raises `ValueError` for anything but a JSON object."""
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
    """The event in a line; see `event_from_json`. Raises `ValueError` too if the line is not an object."""
    fields = decode_line(line)
    event = event_from_json(fields, index)
    if may_repeat(line, fields):
        refuse_repeats(line)
    return event


def decode_once(line: bytes) -> dict[str, Any]:
    """The object of a line in which no object has a name twice. Raises `ValueError`."""
    fields = decode_line(line)
    if may_repeat(line, fields):
        refuse_repeats(line)
    return fields


def may_repeat(line: bytes, fields: Any) -> bool:
    """Return whether an object in a line may have a name twice, given the decoded line. Without whitespace before colons each name adds one `":`,
    however it is spelled, and texts only add more. So if a line has as many of these as decoded names, no name is there twice; otherwise
    `refuse_repeats` decides.
    """
    return any(spaced in line for spaced in _SPACED_COLONS) or line.count(b'":') != names_in(fields)


def names_in(value: Any) -> int:
    """Return how many names the objects in a decoded value have together."""
    found, items = (len(value), value.values()) if type(value) is dict else (0, value if type(value) is list else ())
    if _HOLDERS.isdisjoint(map(type, items)):
        return found
    return found + sum([names_in(item) for item in items if type(item) in _HOLDERS])


def any_may_repeat(content: bytes, objects: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether any of many lines may have a name twice in an object, given their objects (`one_a_line`)."""
    if any(spaced in content for spaced in _SPACED_COLONS):
        return True
    if content.count(b'":') == sum(map(len, objects)):
        return False
    lines = content.split(b"\n")
    suspects = [one for one in zip(lines, objects, strict=False) if one[0].count(b'":') != len(one[1])]
    return any(_differs(*one) and _repeats(one[0]) for one in suspects)


def _differs(line: bytes, fields: Mapping[str, Any]) -> bool:
    """Return whether there are more names in the line than were decoded of it; a line with one brace has no inner objects."""
    found = line.count(b'":')
    return found != len(fields) and (line.count(b"{") == 1 or found != names_in(fields))


def _repeats(line: bytes) -> bool:
    try:
        refuse_repeats(line)
    except ValueError:
        return True
    return False


def event_may_repeat(line: bytes) -> bool:
    """Return whether the line of an event may have a field that columns need twice, or an object in it any name; a cheap look."""
    names = _READ.findall(line)
    if len(set(names)) != len(names) or b"\\u" in line or _SPACED.search(line) is not None:
        return True
    return line.count(b"{") > 1 and _differs(line, decode_value(line)) and _repeats(line)


def refuse_repeats(text: bytes | str) -> None:
    """Raise `ValueError` if an object in a JSON text has a name twice: readers differ in which value they take, and so would verdicts."""
    try:
        json.loads(text, object_pairs_hook=_once_each)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _once_each(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        again = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has {again[:80]!r} twice")


AT_ONCE_BYTES = 1 << 18
"""Bytes of whole lines that are decoded in one call."""


def decode_lines(content: bytes) -> list[dict[str, Any]] | None:
    """The objects of whole, ordinary lines, about `AT_ONCE_BYTES` of them. None if a line is blank, is not an object or may be out of bounds: the
    caller then decodes them one by one.
    """
    if any_may_exceed(content):
        return None
    try:
        found = _decode_objects(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if one_a_line(content, len(found)) else None


def one_a_line(content: bytes, objects: int) -> bool:
    """Return whether each of the lines holds exactly one object; `objects` is the number of decoded ones. The decoder also takes objects that share a
    line or are broken over several; `}`, a newline and `{` follow each other only between objects.
    """
    return content.count(b"\n") == objects == content.count(b"}\n{") + 1


class PlainEvents:
    """Make events of fields of the usual types whose values are within the bounds. Names come in few combinations, and each is checked once."""

    def __init__(self) -> None:
        self._kinds: dict[Any, Type | None] = {}

    def event(self, fields: Mapping[str, Any], index: int) -> Event | None:
        """The event of `event_from_json`; None where only that function can decide."""
        get = fields.get
        names: tuple[Any, ...] = get("f"), get("workload"), get("level"), get("node")
        f, workload, level, node = names
        position, time_ns, process, error = get("index", index), get("time", 0), get("process"), get("error")
        try:
            kind = self._kinds[get("type"), names]
        except KeyError:
            kind = self._kinds[get("type"), names] = _kind_of(get("type"), names)
        except TypeError:
            return None
        if (
            kind is None
            or type(position) is not int
            or type(time_ns) is not int
            or not (0 <= position <= POSITION_LIMIT and -POSITION_LIMIT <= time_ns <= POSITION_LIMIT)
            or not (type(process) is int or (type(process) is str and len(process) <= NAME_CHARACTERS))
            or not (error is None or type(error) is str)
        ):
            return None
        plain = _NAMED.issuperset(fields)
        extra = {} if plain else {name: value for name, value in fields.items() if name not in _NAMED}
        return Event(position, time_ns, process, kind, f, get("value"), get("key"), workload, level, node, error, extra)


def _kind_of(kind: Any, names: tuple[Any, ...]) -> Type | None:
    """Return the type of an event, or None if a name is not a short text; all but the first may be None."""
    plain = all(type(name) is str and len(name) <= NAME_CHARACTERS for name in names if name is not None)
    return _TYPES.get(kind) if plain and names[0] is not None else None


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
