"""When each node had which log entries written and on disk, as far as its trace shows.

The question is always "was entry (index, term) durable on this node before that moment?". A node traces that an entry is durable some time after it
is, and after it answered others: the answers to them wait for the disk, not for the trace. So a late `durable` line contradicts nothing. What was not
even *written* yet cannot be durable: `NO` is the answer where the first `append` that may hold the entry certainly came later, or never came although
the node went on tracing. The lost end of a killed incarnation hides nothing for long, since the next `start` records what its disk holds.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from ..traces.traces import NEVER_NS, Interval


class Durable(Enum):
    YES = "yes"
    NO = "no"
    MAYBE = "maybe"


class Moment(NamedTuple):
    """Place of a trace line: the node, its position in the whole trace of that node, and its time. `""` is outside all nodes."""

    node: str
    ordinal: int
    at: Interval


def outside(high_ns: int) -> Moment:
    """A moment on the run's clock, not later than `high_ns`."""
    return Moment("", -1, Interval(NEVER_NS, high_ns))


@dataclass(frozen=True, slots=True)
class Boot:
    """Content of a node's disk when it booted."""

    incarnation: int
    last_index: int
    last_term: int
    torn: bool
    moment: Moment
    forgot: bool = False
    """A fault had removed synced data from its disk, so what is missing is not the node's fault."""


@dataclass(slots=True)
class _Run:
    term: int
    indices: list[int] = field(default_factory=list)
    low_ns: list[int] = field(default_factory=list)
    high_ns: list[int] = field(default_factory=list)
    ordinals: list[int] = field(default_factory=list)


class _Evidence:
    """Statements "the log goes to (index, term)" in the order of the trace, searched for the first that may hold an entry."""

    __slots__ = ("_highest_terms", "_runs")

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._highest_terms: list[int] = []
        """The highest term up to each run, so that the runs that cannot matter are skipped by bisection."""

    def add(self, index: int, term: int, low_ns: int, high_ns: int, ordinal: int) -> None:
        run = self._runs[-1] if self._runs else None
        if run is None or run.term != term or index < run.indices[-1]:
            run = _Run(term)
            self._runs.append(run)
            self._highest_terms.append(max(term, self._highest_terms[-1] if self._highest_terms else term))
        if not run.indices or index > run.indices[-1]:
            run.indices.append(index)
            run.low_ns.append(low_ns)
            run.high_ns.append(high_ns)
            run.ordinals.append(ordinal)

    def first(self, index: int, term: int) -> tuple[int, int, int] | None:
        """(low, high, ordinal) of the first log as long as `index` and of `term` or a later one."""
        for position in range(bisect_left(self._highest_terms, term), len(self._runs)):
            run = self._runs[position]
            if run.term >= term and run.indices[-1] >= index:
                at = bisect_left(run.indices, index)
                return run.low_ns[at], run.high_ns[at], run.ordinals[at]
        return None


class DurableHistory:
    """Durability on one node. Lines are added in the order of its trace."""

    __slots__ = ("_durable", "_last_low_ns", "_last_ordinal", "_written", "boots", "incomplete", "node")

    def __init__(self, node: str) -> None:
        self.node = node
        self.boots: list[Boot] = []
        self.incomplete = False
        """Lines are missing inside an incarnation, so no absence counts."""
        self._written = _Evidence()
        self._durable = _Evidence()
        self._last_low_ns = NEVER_NS
        self._last_ordinal = -1

    def saw(self, moment: Moment) -> None:
        """Record that the node was alive and tracing."""
        self._last_low_ns = moment.at.low_ns
        self._last_ordinal = moment.ordinal

    def booted(self, incarnation: int, index: int, term: int, torn: bool, moment: Moment, forgot: bool = False) -> None:
        """Record a `start` line: its disk held this since some time after the line before. Call before `saw`."""
        self.boots.append(Boot(incarnation, index, term, torn, moment, forgot))
        low_ns, high_ns, ordinal = self._last_low_ns, moment.at.high_ns, self._last_ordinal
        self._written.add(index, term, low_ns, high_ns, ordinal)
        self._durable.add(index, term, low_ns, high_ns, ordinal)

    def written(self, index: int, term: int, moment: Moment) -> None:
        self._written.add(index, term, moment.at.low_ns, moment.at.high_ns, moment.ordinal)

    def durable(self, index: int, term: int, moment: Moment) -> None:
        self._durable.add(index, term, moment.at.low_ns, moment.at.high_ns, moment.ordinal)

    def before(self, index: int, term: int, moment: Moment) -> Durable:
        """Return whether entry `index` of `term` was on this node's disk before `moment`."""
        written = self._written.first(index, term)
        low_ns, ordinal = (self._last_low_ns, self._last_ordinal) if written is None else (written[0], written[2])
        if self._surely_after(low_ns, ordinal, moment):
            return Durable.MAYBE if self._may_hide(moment) else Durable.NO
        durable = self._durable.first(index, term)
        if durable is None or self._surely_after(durable[0], durable[2], moment):
            return Durable.MAYBE
        return Durable.YES

    def _surely_after(self, low_ns: int, ordinal: int, moment: Moment) -> bool:
        return ordinal > moment.ordinal if moment.node == self.node else low_ns > moment.at.high_ns

    def _may_hide(self, moment: Moment) -> bool:
        """Return whether it may have held more at that moment than any remaining line shows: a gap, or a tail that a boot found torn."""
        return self.incomplete or any(
            (boot.torn or boot.forgot) and boot.moment.at.low_ns <= moment.at.high_ns for boot in self.boots
        )
