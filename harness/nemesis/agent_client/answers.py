"""Validation of agents' answers, in one place: an answer of the wrong shape is a `FaultError` that names the host and shows the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...errors import FaultError
from ...hosts.printed import parsed_json
from .shapes import SHAPES

Json = dict[str, Any]
SHOWN = 200
HINT = "was the agent's program replaced, or does something else write to its output? `tri doctor` tries it"


class Answer(dict[str, Any]):
    """An answer. Reading a field that it lacks raises `FaultError`: the error is the agent's, not the harness's."""

    def __init__(self, vertex: str, fields: Mapping[str, Any]) -> None:
        super().__init__(fields)
        self._vertex = vertex

    def __missing__(self, name: str) -> Any:
        raise _wrong(self._vertex, f"without {name!r}", json.dumps(self, default=repr))


def parsed(vertex: str, question: str, line: str) -> Answer:
    """Return the answer to `question` (`question_of`) on this line. Raises `FaultError` when it is invalid, also when the agent reports that it could
    not do it.
    """
    try:
        found = parsed_json(line)
    except ValueError:
        raise _wrong(vertex, "with invalid JSON", line) from None
    if not isinstance(found, dict) or not isinstance(found.get("ok"), bool):
        raise _wrong(vertex, "without the field `ok`", line)
    if not found["ok"]:
        raise Refused(
            f"agent of {vertex}: {str(found.get('error', 'no reason given'))[: SHOWN * 5]}",
            "`tri doctor` tests the requirements of faults on each host",
        )
    return _shaped(vertex, question, found, line)


def printed(vertex: str, question: str, text: str) -> Answer:
    """Parse an answer as `parsed` does, of an agent that was run for this one request: its output is the answer alone."""
    try:
        found = parsed_json(text)
    except ValueError:
        raise _wrong(vertex, "with invalid JSON", text) from None
    if not isinstance(found, dict):
        raise _wrong(vertex, "without any field", text)
    return _shaped(vertex, question, found, text)


def _shaped(vertex: str, question: str, found: Mapping[str, Any], text: str) -> Answer:
    shape = SHAPES[question]
    for name, is_right in {**shape.needed, **shape.others}.items():
        if not is_right(found[name]) if name in found else name in shape.needed:
            raise _wrong(vertex, f"to {question!r} without a proper {name!r}", text)
    known = {name: found[name] for name in ("ok", *shape.needed, *shape.others) if name in found}
    return Answer(vertex, known)


class Refused(FaultError):
    """The agent understood, and could not do it; its connection is still in step."""


def _wrong(vertex: str, how: str, text: str) -> FaultError:
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"
    return FaultError(f"agent of {vertex} answered {how}: {shown!r}", HINT)
