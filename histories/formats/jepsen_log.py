"""Reads the operations that Jepsen logs as text: `INFO  jepsen.util - PROCESS :type :f value`, other lines between them.

Those of a register: `read`, `write`, `cas [from to]`. There a failed cas ran and saw another value, a read of `nil` observed the empty register,
and an operation that timed out (`:timed-out` as value) says nothing.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..history import History
from ..operation import MISMATCH, NEMESIS, Event, Type
from .edn import parse_edn

_LINE = re.compile(
    r"INFO\s+jepsen\.util - (?P<process>\S+)\s+:(?P<type>invoke|ok|fail|info)\s+:(?P<f>\S+)\s+(?P<value>.*)$"
)


def read_jepsen_log(path: str | Path) -> History:
    events: list[Event] = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        match = _LINE.match(line)
        if match is not None:
            events.append(_event(match, len(events), f"{path}:{number}"))
    return History(events, source=str(path))


def _event(match: re.Match[str], index: int, place: str) -> Event:
    kind = Type(match["type"])
    process: int | str = int(match["process"]) if match["process"].isdigit() else NEMESIS
    values = list(parse_edn(match["value"], place)) if process != NEMESIS else [match["value"]]
    value: Any = values[0] if values else None
    error: str | None = None
    if value == "timed-out":
        value, error = None, "timed-out"
    elif kind is Type.FAIL and match["f"] == "cas":
        error = MISMATCH
    return Event(index, index, process, kind, match["f"], value, error=error)
