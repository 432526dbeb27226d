"""Reader and writer of the operations that Jepsen logs as text: `INFO jepsen.util - PROCESS :type :f value`, with other lines between them.

They are those of a register: `read`, `write`, `cas [from to]`. A failed cas ran and saw another value, a read of `nil` observed the empty register,
and an operation that timed out (`:timed-out` as value) has no known value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..files.opening import read_text
from ..files.replacing import replacing
from ..model.bounds import name_problem, problem, refuse
from ..model.errors import HistoryError
from ..model.history import History
from ..model.operation import MISMATCH, NEMESIS, Event, Type
from .edn import parse_edn, refuse_numbers_of_two_kinds
from .edn_writer import edn

_LINE = re.compile(
    r"INFO\s+jepsen\.util - (?P<process>\S+)\s+:(?P<type>invoke|ok|fail|info)\s+:(?P<f>\S+)\s+(?P<value>.*)$"
)

_PROCESS = re.compile("[0-9]{1,18}")

_OPERATION = re.compile(r"jepsen\.util - \S+\s+:")


def read_jepsen_log(path: str | Path) -> History:
    """Return the history in the log. Other lines are skipped; one that names `jepsen.util` and cannot be read is an error."""
    events: list[Event] = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        match = _LINE.match(line)
        if match is not None:
            events.append(_event(match, len(events), f"{path}:{number}"))
        elif _OPERATION.search(line):
            raise HistoryError(
                f"{path}:{number}: not an operation:\n  {line[:200]}",
                "an operation is `INFO  jepsen.util - PROCESS :type :f value`",
            )
    history = History(events, source=str(path))
    refuse_numbers_of_two_kinds(history)
    return history


def _event(match: re.Match[str], index: int, place: str) -> Event:
    kind = Type(match["type"])
    process: int | str = int(match["process"]) if _PROCESS.fullmatch(match["process"]) else NEMESIS
    values = list(parse_edn(match["value"], place)) if process != NEMESIS else [match["value"]]
    value: Any = values[0] if values else None
    error: str | None = None
    if value == "timed-out":
        value, error = None, "timed-out"
    elif kind is Type.FAIL and match["f"] == "cas":
        error = MISMATCH
    refuse(problem({"value": value}) or name_problem("f", match["f"]), f"{place}: ")
    return Event(index, index, process, kind, match["f"], value, error=error)


def write_jepsen_log(path: str | Path, events: Iterable[Event]) -> None:
    """Write the log. Raises `HistoryError` for keys and for processes with names, which it cannot express."""
    with replacing(path) as file:
        for event in events:
            file.write(f"INFO  jepsen.util - {_line(event)}\n".encode())


def _line(event: Event) -> str:
    if event.process == NEMESIS:
        return f":nemesis\t:{event.type.value}\t:{event.f}\t{edn(event.value)}"
    if event.key is not None or not isinstance(event.process, int):
        what = f"key {event.key!r}" if event.key is not None else f"process {event.process!r}"
        raise HistoryError(
            f"event {event.index}: a jepsen.util log cannot express {what}", "convert to edn, elle-json or jsonl"
        )
    if not event.f or any(character.isspace() for character in event.f):
        raise HistoryError(
            f"event {event.index}: a jepsen.util log cannot express an operation named {event.f!r}",
            "convert to edn, elle-json or jsonl",
        )
    return f"{event.process}\t:{event.type.value}\t:{event.f}\t{_described(event)}"


def _described(event: Event) -> str:
    """Return the value. A fail or an unknown outcome without a value gets Jepsen's keyword for it; so does a cas that failed for another reason than its
    value.
    """
    unhappened = event.type is Type.FAIL and event.error != MISMATCH
    silent = event.type is Type.INFO and event.value is None
    return ":timed-out" if (unhappened or silent) else edn(event.value)
