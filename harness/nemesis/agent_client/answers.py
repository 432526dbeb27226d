"""Validation of agents' answers, in one place: an answer of the wrong shape is a `FaultError` that names the host and shows the answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import FaultError
from ...hosts.printed import parsed_json
from ...hosts.ssh.places import literal

Json = dict[str, Any]
SHOWN = 200
MOST_ADDRESSES = 64
HINT = "was the agent's program replaced, or does something else write to its output? `tri doctor` tries it"


class Answer(dict[str, Any]):
    """An answer; a missing field is the agent's error, not the harness's."""

    def __init__(self, vertex: str, fields: Mapping[str, Any]) -> None:
        super().__init__(fields)
        self._vertex = vertex

    def __missing__(self, name: str) -> Any:
        raise _wrong(self._vertex, f"without {name!r}", json.dumps(self, default=repr))


def parsed(vertex: str, verb: str, line: str) -> Answer:
    """Return the answer to `verb` on this line. Raises `FaultError` when it is invalid, also when the agent reports that it could not do it."""
    try:
        found = parsed_json(line)
    except (ValueError, RecursionError):
        raise _wrong(vertex, "with what is not JSON", line) from None
    if not isinstance(found, dict) or not isinstance(found.get("ok"), bool):
        raise _wrong(vertex, "without saying whether it is `ok`", line)
    if not found["ok"]:
        raise Refused(
            f"agent of {vertex}: {str(found.get('error', 'no reason given'))[: SHOWN * 5]}",
            "`tri doctor` tries what faults need on each host",
        )
    return _shaped(vertex, verb, found, line)


def printed(vertex: str, verb: str, text: str) -> Answer:
    """As `parsed`, of an agent that was run for this one request: its output is the answer alone."""
    try:
        found = parsed_json(text)
    except (ValueError, RecursionError):
        raise _wrong(vertex, "with what is not JSON", text) from None
    if not isinstance(found, dict):
        raise _wrong(vertex, "without any field", text)
    return _shaped(vertex, verb, found, text)


def _shaped(vertex: str, verb: str, found: Mapping[str, Any], text: str) -> Answer:
    for name, is_right in SHAPES.get(verb, {}).items():
        if name not in found or not is_right(found[name]):
            raise _wrong(vertex, f"to {verb!r} without a proper {name!r}", text)
    return Answer(vertex, found)


class Refused(FaultError):
    """The agent understood, and could not do it; its connection is still in step."""


def _wrong(vertex: str, how: str, text: str) -> FaultError:
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"
    return FaultError(f"agent of {vertex} answered {how}: {shown!r}", HINT)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_port(value: Any) -> bool:
    return _is_int(value) and 0 < value < 1 << 16


def _is_addresses(value: Any) -> bool:
    """Validate addresses, which go into the firewalls of other hosts."""
    return _is_texts(value) and len(value) <= MOST_ADDRESSES and all("%" not in one and literal(one) for one in value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _is_heard(value: Any) -> bool:
    """Sender → epoch, sequence number, count, age in ns."""
    return isinstance(value, dict) and all(
        isinstance(seen, list) and len(seen) == 4 and all(_is_int(one) for one in seen) for seen in value.values()
    )


def _or_none(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or is_right(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


SHAPES: Mapping[str, Mapping[str, Callable[[Any], bool]]] = {
    "hello": {"port": _is_port, "addresses": _is_addresses},
    "renew": {"in_force": lambda value: isinstance(value, dict)},
    "heard": {"heard": _is_heard, "period_s": _is_number},
    "process": {
        "pid": _or_none(_is_int),
        "state": _or_none(_is_text),
        "running": _is_texts,
        "stopped": _is_texts,
    },
    "time": {"mono_ns": _is_int, "wall_ns": _is_int},
    "clear": {"undone": _is_texts},
    "heal": {"undone": _is_texts, "faults": _is_objects},
}
"""By verb the required fields of an answer; it may have more."""
