"""Times at which each node had which log entries written and on disk, as far as its trace shows.

The question is always "was entry (index, term) durable on this node before that moment?". A node traces that an entry is durable some time after it
is, and after it answered others: the answers to them wait for the disk, not for the trace. So a late `durable` line contradicts nothing. What was not
even *written* yet cannot be durable: `NO` is the answer where the first `append` that may hold the entry certainly came later, or never came although
the node went on tracing. The lost end of a killed incarnation hides nothing for long, since the next `start` records what its disk holds.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...base.quorum_weights import Weights, total
from ...traces.traces import NEVER_NS, Interval

Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


class Durable(Enum):
    YES = "yes"
    NO = "no"
    MAYBE = "maybe"


class Moment(NamedTuple):
    """Place of a trace line: the node, its position in the whole trace of that node, and its time. `""` is outside all nodes."""

    node: str
    ordinal: int
    at: Interval


class Moments(NamedTuple):
    """Many moments, as arrays. `nodes` index `names`."""

    nodes: Int64
    ordinals: Int64
    high_ns: Int64
    names: Mapping[str, int]

    def only(self, rows: npt.NDArray[Any]) -> Moments:
        return Moments(self.nodes[rows], self.ordinals[rows], self.high_ns[rows], self.names)


OUTSIDE = -1
"""Number of no node in `Moments`."""
_SMALL = 1 << 60
"""Twice as much as this fits into 64 bits."""


def more_than_half(weights: Weights, holds: Mapping[str, Bool], count: int) -> Bool:
    """Return for which of `count` things the nodes that hold them have more than half of the weight."""
    whole = total(weights)
    held = np.zeros(count, np.int64 if whole < _SMALL else object)
    for node, share in weights:
        held += share * holds[node].astype(held.dtype)
    return (2 * held > whole).astype(np.bool_)


def outside(high_ns: int) -> Moment:
    """Return a moment on the run's clock, not later than `high_ns`."""
    return Moment("", -1, Interval(NEVER_NS, high_ns))


@dataclass(frozen=True, slots=True)
class Boot:
    """Content of a node's disk when it booted."""

    incarnation: int
    last_index: int
    last_term: int
    torn: bool
    moment: Moment
    forgot: bool
    """A fault had removed synced data from its disk, so what is missing is not the node's fault."""


def _integers() -> array[int]:
    return array("q")


@dataclass(slots=True)
class _Run:
    term: int
    indices: array[int] = field(default_factory=_integers)
    low_ns: array[int] = field(default_factory=_integers)
    ordinals: array[int] = field(default_factory=_integers)


class _Evidence:
    """Statements "the log goes to (index, term)" in the order of the trace, searched for the first that may hold an entry."""

    __slots__ = ("_highest_terms", "_runs")

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._highest_terms: list[int] = []
        """The highest term up to each run, so that the runs that cannot matter are skipped by bisection."""

    def add(self, index: int, term: int, low_ns: int, ordinal: int) -> None:
        run = self._runs[-1] if self._runs else None
        if run is None or run.term != term or index < run.indices[-1]:
            run = _Run(term)
            self._runs.append(run)
            self._highest_terms.append(max(term, self._highest_terms[-1] if self._highest_terms else term))
        if not run.indices or index > run.indices[-1]:
            run.indices.append(index)
            run.low_ns.append(low_ns)
            run.ordinals.append(ordinal)

    def extend(self, index: Int64, term: Int64, low_ns: Int64, ordinal: Int64) -> None:
        """Add many statements at once."""
        breaks = np.flatnonzero((term[1:] != term[:-1]) | (index[1:] < index[:-1])) + 1
        bounds = [0, *breaks.tolist(), len(index)]
        for first, end in pairwise(bounds if len(index) else ()):
            self.add(int(index[first]), int(term[first]), int(low_ns[first]), int(ordinal[first]))
            grown = np.flatnonzero(index[first + 1 : end] > index[first : end - 1]) + first + 1
            run = self._runs[-1]
            for column, values in ((run.indices, index), (run.low_ns, low_ns), (run.ordinals, ordinal)):
                column.frombytes(values[grown].tobytes())

    def first(self, index: int, term: int) -> tuple[int, int] | None:
        """Return (low_ns, ordinal) of the first log as long as `index` and of `term` or a later one; None if there is none."""
        for position in range(bisect_left(self._highest_terms, term), len(self._runs)):
            run = self._runs[position]
            if run.term >= term and run.indices[-1] >= index:
                at = bisect_left(run.indices, index)
                return run.low_ns[at], run.ordinals[at]
        return None

    def first_of_each(self, index: Int64, term: Int64, otherwise: tuple[int, int]) -> tuple[Int64, Int64, Bool]:
        """Return what `first` gives for each of many entries, or `otherwise`, and whether there is one."""
        low_ns, ordinal = (np.full(len(index), value, np.int64) for value in otherwise)
        rest = np.arange(len(index))
        for run in self._runs:
            held = (term[rest] <= run.term) & (index[rest] <= run.indices[-1])
            mine, rest = rest[held], rest[~held]
            at = np.searchsorted(np.asarray(run.indices), index[mine])
            low_ns[mine], ordinal[mine] = np.asarray(run.low_ns)[at], np.asarray(run.ordinals)[at]
            if not len(rest):
                break
        found = np.ones(len(index), np.bool_)
        found[rest] = False
        return low_ns, ordinal, found


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

    def booted(self, incarnation: int, index: int, term: int, torn: bool, moment: Moment, forgot: bool) -> None:
        """Record a `start` line: the disk has had this content since some time after the previous line. Call it before `saw`."""
        self.boots.append(Boot(incarnation, index, term, torn, moment, forgot))
        self._written.add(index, term, self._last_low_ns, self._last_ordinal)
        self._durable.add(index, term, self._last_low_ns, self._last_ordinal)

    def written(self, index: int, term: int, low_ns: int, ordinal: int) -> None:
        self._written.add(index, term, low_ns, ordinal)

    def durable(self, index: int, term: int, low_ns: int, ordinal: int) -> None:
        self._durable.add(index, term, low_ns, ordinal)

    def written_each(self, index: Int64, term: Int64, low_ns: Int64, ordinal: Int64) -> None:
        self._written.extend(index, term, low_ns, ordinal)

    def durable_each(self, index: Int64, term: Int64, low_ns: Int64, ordinal: Int64) -> None:
        self._durable.extend(index, term, low_ns, ordinal)

    def before(self, index: int, term: int, moment: Moment) -> Durable:
        """Return whether entry `index` of `term` was on this node's disk before `moment`."""
        written = self._written.first(index, term)
        low_ns, ordinal = (self._last_low_ns, self._last_ordinal) if written is None else written
        if self._surely_after(low_ns, ordinal, moment):
            return Durable.MAYBE if self._may_hide(moment) else Durable.NO
        durable = self._durable.first(index, term)
        if durable is None or self._surely_after(*durable, moment):
            return Durable.MAYBE
        return Durable.YES

    def before_each(self, index: Int64, term: Int64, moments: Moments) -> tuple[Bool, Bool]:
        """Return what `before` gives for each of many entries: which were not on its disk (`NO`), and which were (`YES`)."""
        here = moments.nodes == moments.names.get(self.node, OUTSIDE - 1)
        low_ns, ordinal, _ = self._written.first_of_each(index, term, (self._last_low_ns, self._last_ordinal))
        unwritten = np.where(here, ordinal > moments.ordinals, low_ns > moments.high_ns)
        lost_ns = [boot.moment.at.low_ns for boot in self.boots if boot.torn or boot.forgot]
        hidden = np.full(len(index), self.incomplete)
        if lost_ns:
            hidden |= moments.high_ns >= min(lost_ns)
        low_ns, ordinal, found = self._durable.first_of_each(index, term, (0, 0))
        late = ~found | np.where(here, ordinal > moments.ordinals, low_ns > moments.high_ns)
        return unwritten & ~hidden, ~unwritten & ~late

    def _surely_after(self, low_ns: int, ordinal: int, moment: Moment) -> bool:
        return ordinal > moment.ordinal if moment.node == self.node else low_ns > moment.at.high_ns

    def _may_hide(self, moment: Moment) -> bool:
        """Return whether it may have held more at that moment than any remaining line shows: a gap, or a tail that a boot found torn."""
        return self.incomplete or any(
            (boot.torn or boot.forgot) and boot.moment.at.low_ns <= moment.at.high_ns for boot in self.boots
        )
