"""Facts from the traces of a Raft run: reigns, commits, acknowledgements, applied entries, configurations.

`survey` collects them in one pass; the checkers that judge across nodes read them here. What a run has as many of as operations is kept as columns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..base.acknowledged import as_key
from ..base.findings import Findings
from ..base.quorum_weights import Weights, weights_of
from ..traces.traces import Incarnation, Interval, Line, Traces
from .structures.durability import DurableHistory, Moment, Moments
from .structures.log import EntryTree
from .structures.pages import Pages
from .structures.rows import NONE, Codes, Int64, Rows


@dataclass(slots=True)
class Reign:
    """A won election and how long the node believed in it. `last_term` is None where the trace does not show it.

    `ends`: when the belief ended; after a kill that is anywhere from its last line to its next boot.
    """

    line: Line
    last_index: int
    last_term: int | None
    in_force: Weights | None
    begins: Interval
    ends: Interval

    @property
    def node(self) -> str:
        return str(self.line["node"])

    @property
    def term(self) -> int:
        return int(self.line["term"])


@dataclass(frozen=True, slots=True)
class Commit:
    """A `commit` line. `leader_term`, `entry_term`: None where the trace does not show it."""

    line: Line
    leader_term: int | None
    entry_term: int | None
    in_force: Weights | None
    moment: Moment


@dataclass(frozen=True, slots=True)
class Ack:
    """A write's acknowledgement, by a node whose log then held `entry_term` at that index, and which led `leader_term` (None: did not lead, or unknown)."""

    line: Line
    entry_term: int | None
    leader_term: int | None
    moment: Moment


class Part(NamedTuple):
    """An incarnation, and how many lines of its node's trace are before it."""

    incarnation: Incarnation
    before: int


class Counted(NamedTuple):
    """Voters that a commit counts: `matched`, the voters that its `match` has at its index or further; `holders`, with its node, which may not be in
    `match`.
    """

    matched: frozenset[str]
    holders: frozenset[str]

    @classmethod
    def of(cls, node: str, index: int, match: Mapping[str, int]) -> Counted:
        matched = frozenset(voter for voter, durable in match.items() if durable >= index)
        return cls(matched, matched if node in match else matched | {node})


def round_form(node: str, acks: Collection[str], voters: Mapping[str, int]) -> tuple[Any, ...]:
    """Return a confirmation without its index: the node, those that answered, the weights."""
    return node, frozenset((*acks, node)), weights_of(voters)


def number(value: int | None) -> int:
    return NONE if value is None else value


def optional(value: Any) -> int | None:
    return None if value == NONE else int(value)


class _Placed:
    """Rows of one trace line each: its part, its position there, and its time."""

    _NAMES = ("part", "position", "low_ns", "high_ns")

    def __init__(self, parts: Sequence[Part], names: Sequence[str]) -> None:
        self.parts = parts
        self._names = (*self._NAMES, *names)
        self.rows = Rows(len(self._names))

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> Int64:
        column: Int64 = self.rows.columns[self._names.index(name)]
        return column

    def at(self, row: int) -> dict[str, int]:
        return dict(zip(self._names, self.rows.columns[:, row].tolist(), strict=True))

    def line(self, row: int) -> Line:
        part, position = self.rows.columns[:2, row].tolist()
        line: Line = self.parts[part].incarnation.lines[position]
        return line

    def moment(self, row: int) -> Moment:
        part, position, low_ns, high_ns = self.rows.columns[:4, row].tolist()
        whole = self.parts[part]
        return Moment(whole.incarnation.node, whole.before + position, Interval(low_ns, high_ns))

    def moments(self) -> Moments:
        names: dict[str, int] = {}
        nodes = [names.setdefault(part.incarnation.node, len(names)) for part in self.parts]
        before = [part.before for part in self.parts]
        parts = self.column("part")
        return Moments(
            np.array(nodes, np.int64)[parts],
            np.array(before, np.int64)[parts] + self.column("position"),
            self.column("high_ns"),
            names,
        )


class Commits(_Placed):
    """Commits. `force` and `claimed` are codes of `weights` (`force` may be `NONE`), `counted` of `counts`."""

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__(parts, ("index", "leader_term", "entry_term", "force", "claimed", "counted"))
        self.weights: Codes[Weights] = Codes()
        self.counts: Codes[Counted] = Codes()

    def add(
        self,
        place: tuple[int, int, int, int],
        line: Line,
        leader_term: int | None,
        entry_term: int | None,
        in_force: Weights | None,
    ) -> None:
        index, codes = line["index"], self.weights
        force = NONE if in_force is None else codes.of(in_force)
        counted = self.counts.of(Counted.of(line["node"], index, line["match"]))
        row = number(leader_term), number(entry_term), force, codes.of(weights_of(line["voters"])), counted
        self.rows.add((*place, index, *row))

    def __iter__(self) -> Iterator[Commit]:
        return map(self.get, range(len(self)))

    def get(self, row: int) -> Commit:
        found = self.at(row)
        in_force = None if found["force"] == NONE else self.weights.values[found["force"]]
        return Commit(
            self.line(row), optional(found["leader_term"]), optional(found["entry_term"]), in_force, self.moment(row)
        )


class Acks(_Placed):
    """Acknowledgements of writes. `session` is a code of `sessions`. Where `command` is not an integer it is `NONE`, and `session` is the code of both."""

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__(parts, ("index", "entry_term", "leader_term", "session", "command"))
        self.sessions: Codes[Any] = Codes()

    def add(
        self, place: tuple[int, int, int, int], line: Line, entry_term: int | None, leader_term: int | None
    ) -> None:
        session, command = (as_key(line.get(name)) for name in ("session", "command"))
        plain = type(command) is int and -NONE > command > NONE
        code = self.sessions.of(session if plain else (session, command))
        self.rows.add(
            (*place, line["index"], number(entry_term), number(leader_term), code, command if plain else NONE)
        )

    def get(self, row: int) -> Ack:
        found = self.at(row)
        return Ack(self.line(row), optional(found["entry_term"]), optional(found["leader_term"]), self.moment(row))

    def by_command(self) -> dict[tuple[Any, Any], int]:
        """Return by session and command the last row."""
        sessions = self.sessions.values
        pairs = zip(self.column("session").tolist(), self.column("command").tolist(), strict=True)
        named = (sessions[code] if command == NONE else (sessions[code], command) for code, command in pairs)
        return {pair: row for row, pair in enumerate(named)}


class Rounds(_Placed):
    """Confirmations of reads, or leases. `form` is a code of `forms`: the node, and what does not differ from line to line."""

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__(parts, ("index", "form"))
        self.forms: Codes[Any] = Codes()

    def add(self, place: tuple[int, int, int, int], index: int, form: Any) -> None:
        self.rows.add((*place, index, self.forms.of(form)))


class Applied:
    """Applied entries: by index, the first `[index, term, crc]` that any node applied there."""

    def __init__(self) -> None:
        self.pages = Pages(2)

    def __len__(self) -> int:
        return len(self.pages)

    def first(self, entry: Sequence[Any]) -> Sequence[Any]:
        """Return what was applied first at the entry's index, which is the entry if nothing was."""
        index, *value = entry
        return [index, *self.pages.setdefault(index, tuple(value))]

    def get(self, index: int) -> list[Any] | None:
        found = self.pages.get(index)
        return None if found is None else [index, *found]

    def terms(self, indices: Int64) -> Int64:
        """Return the terms of many indices; `NONE` where nothing was applied."""
        found: Int64 = self.pages.look_up(indices, NONE)[0]
        return found


@dataclass(slots=True)
class Survey:
    """All facts of a run."""

    traces: Traces
    findings: Findings
    parts: list[Part] = field(default_factory=list)
    tree: EntryTree = field(default_factory=EntryTree)
    applied: Applied = field(default_factory=Applied)
    applied_conflicts: list[tuple[Any, Any]] = field(default_factory=list)
    reigns: list[Reign] = field(default_factory=list)
    configs: list[tuple[Line, Moment]] = field(default_factory=list)
    durable: dict[str, DurableHistory] = field(default_factory=dict)
    digests: dict[tuple[str, int, str], Line] = field(default_factory=dict)
    lines: int = 0
    torn_boots: int = 0
    commits: Commits = field(init=False)
    acks: Acks = field(init=False)
    confirmations: Rounds = field(init=False)
    leases: Rounds = field(init=False)

    def __post_init__(self) -> None:
        self.commits, self.acks = Commits(self.parts), Acks(self.parts)
        self.confirmations, self.leases = Rounds(self.parts), Rounds(self.parts)
