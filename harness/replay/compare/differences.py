"""The first line at which two records of the same run differ: the line, the fields, and both values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from tribulation.checkers.base.result import RunRecord
from tribulation.histories import NEMESIS
from tribulation.histories.files.codec import event_to_json
from tribulation.histories.model.operation import Type

Line = Mapping[str, Any]
NAMING = ("node", "process", "event", "type", "f", "key")
"""Fields that identify a line: if these differ, they are two lines and not one changed line."""

SHOWN = 160
"""Characters of a value that are shown."""


@dataclass(frozen=True, slots=True)
class LineDifference:
    """`line` counts from 1. A side is None where that record has ended. `time_ns` is run time, where it is known."""

    where: str
    line: int
    recorded: Line | None
    replayed: Line | None
    time_ns: int | None = None

    @property
    def fields(self) -> list[str]:
        """The fields whose values differ; none when one side has ended."""
        if self.recorded is None or self.replayed is None:
            return []
        names = dict.fromkeys((*self.recorded, *self.replayed))
        return [name for name in names if self.recorded.get(name) != self.replayed.get(name)]

    def described(self, recorded: str = "recorded", replayed: str = "replayed") -> list[str]:
        """Lines of text: the place, then both values of each field that differs."""
        when = "" if self.time_ns is None else f" at {self.time_ns / 1e9:.6f} s of the run"
        head = f"{self.where}:{self.line}{when}"
        if self.recorded is None or self.replayed is None:
            longer, who = (self.replayed, replayed) if self.recorded is None else (self.recorded, recorded)
            return [f"{head}: only {who} has this line", f"  {who}  {shown(longer)}"]
        if any(self.recorded.get(name) != self.replayed.get(name) for name in NAMING):
            return [head, f"  {recorded}  {shown(self.recorded)}", f"  {replayed}  {shown(self.replayed)}"]
        what = " ".join(str(self.replayed[name]) for name in NAMING if self.replayed.get(name) is not None)
        lines = [f"{head}: {what} differs in {', '.join(self.fields)}"]
        for name in self.fields:
            ours, theirs = shown(self.recorded.get(name)), shown(self.replayed.get(name))
            lines.append(f"  {name}: {recorded} {ours} · {replayed} {theirs}")
        return lines

    def to_json(self) -> dict[str, Any]:
        return {
            "where": self.where,
            "line": self.line,
            "time_ns": self.time_ns,
            "fields": self.fields,
            "recorded": self.recorded,
            "replayed": self.replayed,
        }


def shown(value: Any) -> str:
    """A value as JSON, cut to the length of a line."""
    text = json.dumps(value, default=repr, ensure_ascii=False)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def first_difference(
    where: str,
    recorded: Iterable[Line],
    replayed: Iterable[Line],
    time_of: Callable[[Line], int | None] = lambda line: None,
    seen: Callable[[Line], Line] = lambda line: line,
) -> LineDifference | None:
    """The first pair of lines whose `seen` parts differ as JSON values, or None when the records are equal."""
    for number, (ours, theirs) in enumerate(zip_longest(recorded, replayed), start=1):
        if ours == theirs:
            continue
        a, b = (None if line is None else plain(seen(line)) for line in (ours, theirs))
        if a != b:
            times = [time for line in (ours, theirs) if line is not None and (time := time_of(line)) is not None]
            return LineDifference(where, number, a, b, min(times, default=None))
    return None


def plain(value: Any) -> Any:
    """A value as it comes back from a file: tuples are lists, keys are strings."""
    return None if value is None else json.loads(json.dumps(value))


def run_differences(recorded: RunRecord, replayed: RunRecord) -> list[LineDifference]:
    """The first difference of the histories and of each node's trace, earliest in the run first; empty when nothing differs."""
    history = first_difference(
        "history.jsonl",
        map(event_to_json, recorded.history.events),
        map(event_to_json, replayed.history.events),
        lambda line: line["time"],
    )
    return _by_time([history, *_trace_differences(recorded, replayed, lambda line: line)])


def content_differences(one: RunRecord, other: RunRecord) -> list[LineDifference]:
    """Return what `run_differences` does, without times: the first differing answer, and the first differing trace line of each node."""
    history = first_difference(
        "answers in history.jsonl", _answers(one), _answers(other), lambda line: line["time"], _timeless
    )
    return _by_time([history, *_trace_differences(one, other, _timeless)])


def _answers(record: RunRecord) -> list[Line]:
    """Answers to clients, in order of time."""
    events = (event for event in record.history.events if event.process != NEMESIS and event.type is not Type.INVOKE)
    return [event_to_json(event) for event in events]


def _timeless(line: Line) -> Line:
    return {name: value for name, value in line.items() if name not in ("time", "index", "mono_ns")}


def _trace_differences(one: RunRecord, other: RunRecord, seen: Callable[[Line], Line]) -> list[LineDifference | None]:
    return [
        first_difference(
            f"trace/{node}.jsonl", one.traces.get(node, ()), other.traces.get(node, ()), run_time(one, node), seen
        )
        for node in sorted({*one.traces, *other.traces})
    ]


def _by_time(found: Iterable[LineDifference | None]) -> list[LineDifference]:
    differences = [difference for difference in found if difference is not None]
    return sorted(differences, key=lambda d: (d.time_ns is None, d.time_ns or 0))


def run_time(record: RunRecord, node: str) -> Callable[[Line], int | None]:
    """A trace line's time as run time, where the node's clock was compared with the driver's."""
    offset = record.clock_offsets_ns.get(node)
    return lambda line: None if offset is None else line["mono_ns"] - offset[0]
