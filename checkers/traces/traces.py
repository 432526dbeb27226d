"""Typed views of node traces: incarnations, missing lines, and the run time of a trace's moment.

A trace is evidence that may be incomplete. A node killed with SIGKILL loses its last buffered lines, so the *end* of every incarnation may be
missing. A jump of `seq` means that lines are missing inside. The lines are true. The absence of a line proves something only where this module can
show that it would have been seen. Raft is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, repeat
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from tribulation.histories.lines.scan import Int64
from tribulation.histories.lines.table import LineTable

from ..base.result import Gap, RunRecord
from ..base.sharing import keep, known
from . import columns

LIMIT = 1 << 62
"""Integers of a trace lie between this and its negative: sums of two fit into 64 bits."""

Line = Mapping[str, Any]

_NAME = "traces"

NEVER_NS = -(2**62)
FOREVER_NS = 2**62

DROPPED = "dropped"
"""Event that replaces lines which the node dropped itself."""

BOUNDED = "trace-bounded"
"""Event after which nothing more of a boot was written."""

REQUIRED: dict[str, tuple[str, ...]] = {
    "start": ("term", "last_index", "last_term", "snapshot_index", "voters"),
    "term": ("term",),
    "vote": ("term", "candidate"),
    "leader": ("term", "last_index", "votes", "voters"),
    "follower": ("term",),
    "append": ("entries",),
    "truncate": ("from",),
    "durable": ("index", "term"),
    "commit": ("index", "match", "voters"),
    "apply": ("entries",),
    "config": ("index", "voters"),
    "snapshot": ("index", "term"),
    "snapshot-installed": ("index", "term"),
    "ack": ("index", "kind"),
    "read-confirmed": ("index", "acks", "voters"),
    "lease": ("until_ns", "clock"),
    "digest": ("index", "digest"),
}
"""Fields that each event cannot be understood without (docs/reference/traces.md); other events are kept unread."""


_MONO_NS = itemgetter("mono_ns")
_FIELDS_OF_ALL = ("event", "node", "incarnation", "seq", "mono_ns")
_HEADER = frozenset(_FIELDS_OF_ALL)
_WANTED = {event: _HEADER.union(fields) for event, fields in REQUIRED.items()}


class TraceError(ValueError):
    """A trace that no correct node or reader can have produced; the message names node, incarnation and line."""


class Interval(NamedTuple):
    """A moment on the run's time, known to lie in `low_ns` .. `high_ns`. A tuple, since each line of a trace has one."""

    low_ns: int
    high_ns: int

    def surely_before(self, other: Interval) -> bool:
        return self.high_ns < other.low_ns


ANYTIME = Interval(NEVER_NS, FOREVER_NS)


@dataclass(frozen=True, slots=True)
class Clocks:
    """Map from a node's monotonic time to the run's time. Without a measured offset it may be any moment."""

    offsets_ns: Mapping[str, tuple[int, int]]
    boots_ns: Mapping[str, Mapping[int, tuple[int, int]]] = field(default_factory=dict)
    """For hosts that were booted again: the offset of each boot, by the first incarnation in it."""

    def knows(self, node: str) -> bool:
        return node in self.offsets_ns or node in self.boots_ns

    def place(self, node: str, mono_ns: int, incarnation: int = 0) -> Interval:
        """Return the run's time of a node's time; `incarnation` distinguishes the boots of a host."""
        shift = self.shift(node, incarnation)
        return ANYTIME if shift is None else Interval(mono_ns + shift[0], mono_ns + shift[1])

    def shift(self, node: str, incarnation: int = 0) -> tuple[int, int] | None:
        """Return what is added to the node's time for the earliest and for the latest moment that it may be; None if unknown."""
        known = self.offsets_ns.get(node)
        if known is None:
            begun = [first for first in self.boots_ns.get(node, ()) if first <= incarnation]
            known = self.boots_ns[node][max(begun)] if begun else None
        if known is None:
            return None
        offset_ns, error_ns = known
        return -offset_ns - error_ns, -offset_ns + error_ns


@dataclass(frozen=True, slots=True)
class Incarnation:
    """The lines of one boot of one node, in order. `gaps` are positions in `lines` before which lines are missing."""

    node: str
    number: int
    lines: Sequence[Line]
    gaps: tuple[int, ...]

    @property
    def start(self) -> Line | None:
        """Its `start` line, unless that was lost."""
        first = self.lines[0]
        return first if first["event"] == "start" else None


@dataclass(frozen=True, slots=True)
class Traces:
    """All traces of a run. `problems` are sentences about what is missing; a checker that relies on absences is then in doubt."""

    incarnations: Mapping[str, Sequence[Incarnation]]
    clocks: Clocks
    problems: tuple[str, ...]

    def __iter__(self) -> Iterator[Incarnation]:
        for node in sorted(self.incarnations):
            yield from self.incarnations[node]

    def moments(self, incarnation: Incarnation) -> Iterator[Interval]:
        """Return the run times of its lines, in order."""
        times = self.times(incarnation, incarnation.lines)
        if times is not None:
            return map(Interval, *(each.tolist() for each in times))
        shift = self.clocks.shift(incarnation.node, incarnation.number)
        if shift is None:
            return repeat(ANYTIME, len(incarnation.lines))
        early, late = shift
        return (Interval(mono_ns + early, mono_ns + late) for mono_ns in map(_MONO_NS, incarnation.lines))

    def times(self, incarnation: Incarnation, lines: Sequence[Line]) -> tuple[Int64, Int64] | None:
        """Return the earliest and the latest moment of each of these lines of the incarnation; None where they are objects, or times do not fit into 64 bits."""
        times = columns.numbers(lines, "mono_ns")
        if times is None:
            return None
        shift = self.clocks.shift(incarnation.node, incarnation.number)
        if shift is None:
            return np.full(len(times), NEVER_NS), np.full(len(times), FOREVER_NS)
        early, late = shift
        return (times + early, times + late) if abs(early) < LIMIT and abs(late) < LIMIT else None

    def place(self, line: Line) -> Interval:
        return self.clocks.place(line["node"], line["mono_ns"], line["incarnation"])


def read_traces(record: RunRecord) -> Traces:
    """Split `record.traces` into incarnations, once for all checkers of a call. Raises `TraceError` on a line that lacks what its event must carry."""
    found: Traces | None = known(record, _NAME)
    if found is None:
        found = _read_traces(record)
        keep(record, _NAME, found)
    return found


def _read_traces(record: RunRecord) -> Traces:
    incarnations = {node: _incarnations(node, lines) for node, lines in sorted(record.traces.items()) if lines}
    problems = [f"there is no trace of {node}" for node in sorted(record.nodes) if node not in incarnations]
    problems += map(str, trace_gaps(record.traces))
    steady = {node for node in incarnations if _is_steady(incarnations[node])}
    offsets = {node: offset for node, offset in record.clock_offsets_ns.items() if node in steady}
    return Traces(incarnations, Clocks(offsets, record.boot_offsets_ns), tuple(problems))


def trace_gaps(traces: Mapping[str, Sequence[Line]]) -> list[Gap]:
    """Return what is missing from traces by their own numbering, at most one gap for each boot of a node. Reads lines of any form."""
    found = []
    for node, lines in sorted(traces.items()):
        for number, written in _boots(lines).items():
            why = _missing(written)
            if why is not None:
                found.append(Gap("trace", node, f"{why} (incarnation {number})"))
    return found


def _boots(lines: Sequence[Line]) -> dict[str, Sequence[Line]]:
    """Return the lines by incarnation. Those of a boot follow each other, as a node writes them; in a trace of any form they may not."""
    known_numbers = columns.numbers(lines, "incarnation")
    if known_numbers is not None and not (np.diff(known_numbers) < 0).any():
        return {str(known_numbers[first]): lines[first:end] for first, end in columns.stretches(known_numbers)}
    numbers = [line.get("incarnation") for line in lines]
    starts = [0] + [
        at for at, (one, other) in enumerate(pairwise(numbers), 1) if one is not other and str(one) != str(other)
    ]
    boots: dict[str, Sequence[Line]] = {}
    for first, end in pairwise([*starts, len(lines)] if lines else ()):
        number = str(numbers[first])
        boots[number] = [*boots[number], *lines[first:end]] if number in boots else lines[first:end]
    return boots


def _missing(lines: Sequence[Line]) -> str | None:
    """Return what one boot of a node lacks, except its end, which a killed node loses."""
    jumps = _gaps(lines)
    dropped = sum(map(_count, columns.of(lines, (DROPPED,))))
    if dropped:
        return f"it dropped {dropped} lines of its trace"
    if jumps:
        more = f" and at {len(jumps) - 1} more places" if len(jumps) > 1 else ""
        return f"lines are missing from its trace before seq {lines[jumps[0]].get('seq')}{more}"
    return "its trace reached the bound on its size" if lines[-1].get("event") == BOUNDED else None


def _count(line: Line) -> int:
    """Return how many lines a line `dropped` stands for: at least one."""
    count = line.get("count")
    return count if isinstance(count, int) and count > 0 else 1


def _gaps(lines: Sequence[Line]) -> tuple[int, ...]:
    """Return the places of lines whose `seq` is not the next number."""
    counted = columns.numbers(lines, "seq")
    if counted is not None:
        return columns.misnumbered(counted)
    numbers = [line.get("seq") for line in lines]
    if numbers == list(range(len(lines))):
        return ()
    found, expected = [], 0
    for position, seq in enumerate(numbers):
        if seq != expected:
            found.append(position)
        expected = (seq if isinstance(seq, int) else expected) + 1
    return tuple(found)


def excerpt(line: Line, index: int | None = None) -> dict[str, Any]:
    """Return a copy of a line for a witness. Of a batch of entries only the one with that `index` is kept."""
    copy = dict(line)
    if index is not None and "entries" in copy:
        copy["entries"] = [list(entry) for entry in copy["entries"] if entry[0] == index]
    return copy


def _incarnations(node: str, lines: Sequence[Line]) -> list[Incarnation]:
    numbers = columns.numbers(lines, "incarnation")
    if numbers is not None and not (np.diff(numbers) < 0).any() and _all_valid(lines):
        parts = [(int(numbers[first]), lines[first:end]) for first, end in columns.stretches(numbers)]
        return [Incarnation(node, number, part, _gaps(part)) for number, part in parts]
    bounds: list[int] = []
    number: int | None = None
    for position, line in enumerate(lines):
        _validate(node, position, line)
        if line["incarnation"] != number:
            if number is not None and line["incarnation"] < number:
                raise TraceError(
                    f"trace of {node}, line {position + 1}: incarnation {line['incarnation']} follows {number}"
                )
            number = line["incarnation"]
            bounds.append(position)
    bounds.append(len(lines))
    pieces = [lines[first:end] for first, end in pairwise(bounds)]
    return [Incarnation(node, part[0]["incarnation"], part, _gaps(part)) for part in pieces]


def _all_valid(lines: Sequence[Line]) -> bool:
    """Return whether every line of a table has its fields."""
    assert isinstance(lines, LineTable)
    return all(_is_valid(group.form.fields) for group in lines.groups) and all(_is_valid(line) for _, line in lines.odd)


def _is_valid(line: Line) -> bool:
    event = line.get("event", "")
    return isinstance(event, str) and line.keys() >= _WANTED.get(event, _HEADER)


def _is_steady(incarnations: Sequence[Incarnation]) -> bool:
    """Return whether its monotonic clock went on through all boots. It restarts with the host, and then one offset cannot place it."""
    return all(before.lines[-1]["mono_ns"] <= after.lines[0]["mono_ns"] for before, after in pairwise(incarnations))


def _validate(node: str, position: int, line: Line) -> None:
    wanted = _WANTED.get(line.get("event", ""), _HEADER)
    if not line.keys() >= wanted:
        missing = next(
            field for field in (*_FIELDS_OF_ALL, *REQUIRED.get(line.get("event", ""), ())) if field not in line
        )
        raise TraceError(f"trace of {node}, line {position + 1} ({line.get('event')!r}): no field {missing!r}")
