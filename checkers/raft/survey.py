"""One pass over all traces that collects the facts of a Raft run.

Facts that need several nodes (leader completeness, durable quorums) are judged afterwards by the checkers that need them. Of a large trace, the
stretches of ordinary lines are read at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from tribulation.histories.lines.table import LineTable

from ..base.budget import Meter
from ..base.findings import Findings
from ..traces.traces import Incarnation, Traces
from .elections import Ballots
from .facts import Survey
from .stretch import Stretches
from .structures.durability import DurableHistory
from .structures.rows import Int64
from .walk import HANDLERS, Walk
from .window import window_of

BYTES_PER_LINE = 100
BYTES_PER_ENTRY = 150
"""Rough sizes of what is kept, on the high side."""
BYTES_PER_LINE_OF_MANY = 50

_WITH_ENTRIES = frozenset({"append", "apply"})
_WINDOW = 1 << 16
_SHORT = 64
"""Stretches of fewer lines are read line by line."""


Losses = Mapping[str, Sequence[tuple[int, int]]]
"""Node → intervals of the run in which a fault removed synced data from its disk."""


def survey(traces: Traces, findings: Findings, meter: Meter, losses: Losses = MappingProxyType({})) -> Survey:
    """Return the facts of all traces, from one walk over every incarnation. Raises `OutOfBudget`."""
    facts = Survey(traces, findings)
    ballots = Ballots(findings)
    for node in sorted(traces.incarnations):
        history = facts.durable[node] = DurableHistory(node)
        ordinal = 0
        incarnations = traces.incarnations[node]
        for position, incarnation in enumerate(incarnations):
            history.incomplete = history.incomplete or bool(incarnation.gaps)
            following = incarnations[position + 1] if position + 1 < len(incarnations) else None
            walk = Walk(facts, ballots, incarnation, history, ordinal)
            walk.losses = losses.get(node, ())
            _run(walk, traces, meter)
            walk.end(following)
            ordinal += len(incarnation.lines)
    facts.torn_boots = ballots.torn_boots
    return facts


def _run(walk: Walk, traces: Traces, meter: Meter) -> None:
    incarnation = walk.incarnation
    lines = incarnation.lines
    for first in range(0, len(lines), _WINDOW):
        part = lines[first : first + _WINDOW]
        times = traces.times(incarnation, part)
        if times is None or not isinstance(part, LineTable):
            _one_by_one(walk, Incarnation(incarnation.node, incarnation.number, part, ()), first, traces, meter)
        else:
            _Window(walk, part, first, times, traces, meter).run()
    walk.history.saw(walk.moment)
    walk.facts.lines += len(lines)


def _one_by_one(walk: Walk, part: Incarnation, first: int, traces: Traces, meter: Meter) -> None:
    charge = meter.charge
    for position, (line, at) in enumerate(zip(part.lines, traces.moments(part), strict=True), first):
        entries = len(line["entries"]) if line["event"] in _WITH_ENTRIES else 0
        charge(BYTES_PER_LINE + BYTES_PER_ENTRY * entries, position)
        walk.read(position, line, at)


class _Window:
    """Some lines of an incarnation, from its line `first` on."""

    def __init__(
        self, walk: Walk, lines: LineTable, first: int, times: tuple[Int64, Int64], traces: Traces, meter: Meter
    ) -> None:
        self._walk, self._lines, self._first, self._times = walk, lines, first, times
        self._traces, self._meter = traces, meter

    def run(self) -> None:
        walk, count = self._walk, len(self._lines)
        window = window_of(self._lines, walk.incarnation.node, walk.facts, HANDLERS.keys())
        gaps = [gap - self._first for gap in walk.gaps if 0 <= gap - self._first < count]
        apart = np.union1d(window.apart, np.array(gaps, np.intp)).tolist()
        if len(apart) * _SHORT > count:
            self._read(0, count)
            return
        stretches = Stretches(walk, self._lines, window, self._first, self._times)
        at = 0
        for stop in [*apart, count]:
            self._stretch(stretches, at, stop)
            self._read(stop, stop + 1)
            at = stop + 1

    def _stretch(self, stretches: Stretches, at: int, stop: int) -> None:
        """Read ordinary lines: at once up to the one that shows something else than an ordinary course."""
        alone = _SHORT
        while stop - at > _SHORT:
            end = stretches.advance(at, stop)
            self._meter.charge(BYTES_PER_LINE_OF_MANY * (end - at), self._first + end, times=end - at)
            at = end
            if at < stop:
                # Where there is one such line, there may be many.
                self._read(at, min(at + alone, stop))
                at, alone = min(at + alone, stop), 2 * alone
        self._read(at, stop)

    def _read(self, at: int, stop: int) -> None:
        if at < min(stop, len(self._lines)):
            node, number = self._walk.incarnation.node, self._walk.incarnation.number
            part = Incarnation(node, number, self._lines[at:stop], ())
            _one_by_one(self._walk, part, self._first + at, self._traces, self._meter)
