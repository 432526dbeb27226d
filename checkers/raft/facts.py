"""Facts from the traces of a Raft run: reigns, commits, acknowledgements, applied entries, configurations.

`raft_survey` collects them in one pass; the checkers that judge across nodes read them here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..base.findings import Findings
from ..base.quorum_weights import Weights
from ..traces.traces import Interval, Line, Traces
from .durability import DurableHistory, Moment
from .log import EntryTree


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
    """`leader_term`, `entry_term`: None where the trace does not show it."""

    line: Line
    leader_term: int | None
    entry_term: int | None
    in_force: Weights | None
    moment: Moment


@dataclass(frozen=True, slots=True)
class Ack:
    """A write's `ok` was released by a node whose log then held `entry_term` at that index, leading `leader_term` (None: not, or unknown)."""

    line: Line
    entry_term: int | None
    leader_term: int | None
    moment: Moment


@dataclass(slots=True)
class Survey:
    """All facts of a run. `applied` maps an index to the first `[index, term, crc]` that any node applied there."""

    traces: Traces
    findings: Findings
    tree: EntryTree = field(default_factory=EntryTree)
    applied: dict[int, Any] = field(default_factory=dict)
    applied_conflicts: list[tuple[Any, Any]] = field(default_factory=list)
    reigns: list[Reign] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    acks: list[Ack] = field(default_factory=list)
    configs: list[tuple[Line, Moment]] = field(default_factory=list)
    confirmations: list[tuple[Line, Moment]] = field(default_factory=list)
    leases: list[tuple[Line, Moment]] = field(default_factory=list)
    durable: dict[str, DurableHistory] = field(default_factory=dict)
    digests: dict[tuple[str, int, str], Line] = field(default_factory=dict)
    lines: int = 0
    torn_boots: int = 0
