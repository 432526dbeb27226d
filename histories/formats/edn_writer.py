"""Writer of histories in EDN as Jepsen writes them: keywords for types, names of operations and micro-operations; one map per line, or a vector of
maps.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files.replacing import replacing
from ..model.operation import NEMESIS, Event
from .maps import fields_of_event

_KEYWORDS = ("type", "f")
_LARGEST_FLOAT = 1e299
"""Smaller floats without a fraction are written as integers, as which they are equal: in EDN, 1 and 1.0 differ."""
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def write_edn_lines(path: str | Path, events: Iterable[Event]) -> None:
    """Write one map per line."""
    with replacing(path) as file:
        for event in events:
            file.write(f"{_event(event)}\n".encode())


def write_edn_vector(path: str | Path, events: Iterable[Event]) -> None:
    """Write one vector of maps."""
    with replacing(path) as file:
        file.write(b"[")
        for number, event in enumerate(events):
            file.write(f"{chr(10) + ' ' if number else ''}{_event(event)}".encode())
        file.write(b"]\n")


def edn(value: Any) -> str:
    """Write `value` in EDN. Strings stay strings; mappings get keywords for keys that are names."""
    match value:
        case None | True | False:
            return {None: "nil", True: "true", False: "false"}[value]
        case str():
            return f'"{value.translate(_ESCAPES)}"'
        case float() if value.is_integer() and abs(value) < _LARGEST_FLOAT:
            return str(int(value))
        case int() | float():
            return json.dumps(value)
        case list() | tuple():
            return f"[{' '.join(map(edn, value))}]"
        case set() | frozenset():
            return f"#{{{' '.join(sorted(map(edn, value)))}}}"
        case Mapping():
            return "{" + ", ".join(f"{_name(name)} {edn(item)}" for name, item in value.items()) + "}"
    raise TypeError(f"{type(value).__name__} {value!r} cannot be written in EDN")


def _event(event: Event) -> str:
    parts = []
    for name, value in fields_of_event(event).items():
        if name in _KEYWORDS or (name == "process" and value == NEMESIS):
            text = _name(value)
        elif name == "value" and event.f == "txn" and isinstance(value, (list, tuple)):
            text = f"[{' '.join(map(_micro_operation, value))}]"
        else:
            text = edn(value)
        parts.append(f"{_name(name)} {text}")
    return "{" + ", ".join(parts) + "}"


def _micro_operation(op: Sequence[Any]) -> str:
    return f"[{' '.join([_name(op[0]), *map(edn, op[1:])])}]"


def _name(name: Any) -> str:
    simple = isinstance(name, str) and name.replace("-", "").replace("_", "").isalnum() and not name[0].isdigit()
    return f":{name}" if simple else edn(name)
