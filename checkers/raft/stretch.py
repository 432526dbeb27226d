"""Stretches of ordinary trace lines, read at once: entries that follow each other, commits that go on, answers, and no line that changes a role.

What a stretch adds is what its lines add one by one. It ends before the first line that proves something, or that does not go on from the one before.
"""

from __future__ import annotations

import numpy as np

from tribulation.histories.lines.table import LineTable

from ..traces.traces import Interval
from .structures.rows import NONE, Int64
from .walk import HANDLERS, Walk
from .window import AT, Window


class Stretches:
    """Reader of the stretches of a window, which begins with line `first` of the incarnation."""

    def __init__(self, walk: Walk, lines: LineTable, window: Window, first: int, times: tuple[Int64, Int64]) -> None:
        self._walk, self._lines, self._window, self._first = walk, lines, window, first
        self._low_ns, self._high_ns = times

    def advance(self, at: int, stop: int) -> int:
        """Read the lines from `at` on, of which none stands apart. Returns the place of the first one that was not read, at most `stop`."""
        for check in (self._appended_until, self._applied_until, self._committed_until):
            stop = check(at, stop)
        if at < stop:
            self._alone(at, stop)
            log_before = self._walk.log.last
            entries = self._append(at, stop)
            held = _Held(self._walk, entries, log_before)
            self._apply(at, stop)
            self._durable(at, stop)
            self._commit(at, stop, held)
            self._ack(at, stop, held)
            self._confirm(at, stop)
            last = stop - 1
            self._walk.place(self._first + last, Interval(int(self._low_ns[last]), int(self._high_ns[last])))
        return stop

    # -- where a stretch ends

    def _appended_until(self, at: int, stop: int) -> int:
        walk = self._walk
        if walk.truncated_as_leader is not None:
            return at
        place, index, term, crc = self._window.between("append", at, stop)
        if not len(place):
            return stop
        if walk.log.last < 0 or index[0] != walk.log.last + 1:
            return int(place[0])
        for config in walk.unwritten:
            if index[0] <= config <= index[-1]:
                stop = min(stop, int(place[config - int(index[0])]))
        found = walk.facts.tree.first_conflict(index, term, crc)
        return stop if found is None else min(stop, int(place[found]))

    def _applied_until(self, at: int, stop: int) -> int:
        walk = self._walk
        place, index, term, crc = self._window.between("apply", at, stop)
        if not len(place):
            return stop
        if walk.next_apply is not None and index[0] != walk.next_apply:
            return int(place[0])
        found = [walk.facts.tree.first_conflict(index, term, crc)]
        found.append(walk.facts.applied.pages.first_other(int(index[0]), np.stack([term, crc])))
        _, written, written_term, written_crc = self._window.between("append", at, stop)
        if len(written):
            held = np.flatnonzero((index >= written[0]) & (index <= written[-1]))
            own = index[held] - written[0]
            other = held[(written_term[own] == term[held]) & (written_crc[own] != crc[held])]
            found += other[:1].tolist()
        return min([stop, *(int(place[one]) for one in found if one is not None)])

    def _committed_until(self, at: int, stop: int) -> int:
        walk = self._walk
        place, index = self._window.between("commit", at, stop)[:2]
        if walk.reign is None or not len(place):
            return stop
        before = np.concatenate([index[:1] if walk.committed is None else [walk.committed], index[:-1]])
        written = self._window.between("append", at, stop)
        last = _last_before(written, place, walk.log.last)
        wrong = np.flatnonzero((index < before) | ((last >= 0) & (index > last)))
        return int(place[wrong[0]]) if len(wrong) else stop

    # -- what its lines add

    def _alone(self, at: int, stop: int) -> None:
        low, high = np.searchsorted(self._window.alone, (at, stop))
        for line in self._lines.take(self._window.alone[low:high]) if low < high else ():
            HANDLERS[line["event"]](self._walk, line)

    def _append(self, at: int, stop: int) -> Int64:
        walk = self._walk
        entries = self._window.between("append", at, stop)
        place, index, term, crc = entries
        if len(place):
            previous_term = walk.log.term(walk.log.last)
            assert previous_term is not None
            walk.facts.tree.extend(index, term, crc, previous_term)
            walk.log.extend(index, term)
            ends = np.append((place[1:] != place[:-1]) | (term[1:] != term[:-1]), True)
            where = place[ends]
            walk.history.written_each(index[ends], term[ends], self._low_ns[where], self._ordinals(where))
        return entries

    def _apply(self, at: int, stop: int) -> None:
        place, index, term, crc = self._window.between("apply", at, stop)
        if len(place):
            self._walk.facts.tree.fill(index, term, crc)
            self._walk.facts.applied.pages.fill(int(index[0]), np.stack([term, crc]))
            self._walk.next_apply = int(index[-1]) + 1

    def _durable(self, at: int, stop: int) -> None:
        walk = self._walk
        place, index, term = self._window.between("durable", at, stop)
        if not len(place):
            return
        walk.ballots.synced(self._lines[int(place[0])])
        for jump in walk.jumps:
            jump.settled = jump.settled or int(index.max()) > jump.index
        walk.history.durable_each(index, term, self._low_ns[place], self._ordinals(place))

    def _commit(self, at: int, stop: int, held: _Held) -> None:
        walk = self._walk
        place, index, term, claimed, counted = self._window.between("commit", at, stop)
        if not len(place):
            return
        in_force = walk.adopted.in_force
        force = NONE if in_force is None else walk.facts.commits.weights.of(in_force)
        leader_term = term if walk.reign is None else np.full(len(place), walk.reign.term)
        columns = index, leader_term, held.term(index, place), np.full(len(place), force), claimed, counted
        walk.facts.commits.rows.extend((*self._rows(place), *columns))
        if walk.reign is not None:
            walk.committed = int(index[-1])

    def _ack(self, at: int, stop: int, held: _Held) -> None:
        walk = self._walk
        place, index, term, session, command = self._window.between("ack", at, stop)
        if not len(place):
            return
        leader_term = np.full(len(place), NONE)
        if walk.reign is not None:
            newest = np.maximum(term, np.maximum(held.last_term(place), 0))
            leader_term[newest <= walk.reign.term] = walk.reign.term
        columns = index, held.term(index, place), leader_term, session, command
        walk.facts.acks.rows.extend((*self._rows(place), *columns))

    def _confirm(self, at: int, stop: int) -> None:
        facts = self._walk.facts
        place, index, form = self._window.between("read-confirmed", at, stop)
        if len(place):
            facts.confirmations.rows.extend((*self._rows(place), index, form))
        place, form = self._window.between("lease", at, stop)
        if len(place):
            facts.leases.rows.extend((*self._rows(place), np.zeros(len(place), np.int64), form))

    def _rows(self, place: Int64) -> tuple[Int64, ...]:
        part = np.full(len(place), self._walk.part)
        return part, place + self._first, self._low_ns[place], self._high_ns[place]

    def _ordinals(self, place: Int64) -> Int64:
        return place + self._first + self._walk.first_ordinal


class _Held:
    """Content of the log at each line of a stretch, which only adds entries to it."""

    def __init__(self, walk: Walk, entries: Int64, last: int) -> None:
        self._walk, self._entries, self._last = walk, entries, last

    def term(self, index: Int64, place: Int64) -> Int64:
        """Return the terms of entries, as the log showed them then; `NONE` where it did not."""
        last = _last_before(self._entries, place, self._last)
        found: Int64 = np.where(index <= last, self._walk.log.terms(index), NONE)
        return found

    def last_term(self, place: Int64) -> Int64:
        return self._walk.log.terms(_last_before(self._entries, place, self._last))


def _last_before(entries: Int64, place: Int64, otherwise: int) -> Int64:
    """Return the last index of the log at each of these lines: of the entries that were written before, or `otherwise`."""
    before = np.searchsorted(entries[AT], place)
    last: Int64 = np.concatenate([[otherwise], entries[1]])[before]
    return last
