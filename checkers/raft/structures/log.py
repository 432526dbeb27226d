"""Knowledge about Raft logs: one node's log while it lives, and all entries ever written, as a tree.

Entries of one term have one author, which only appends. So in every log they form one run of indices, and every log that holds `(index, term)` holds
the same entries before it (Log Matching, Raft paper section 5.3). That lets a whole log be named by its last entry and be compared at any index in a
few steps, without keeping logs:

    tree.term_at(120, 7, 90)   # the term of entry 90 in every log whose entry 120 is of term 7

Where the traces lack the beginning of a term the answer is None, never a guess.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...traces.columns import stretches
from .pages import Pages
from .rows import NONE, Int64

_TERM_SHIFT = 40
INDICES = 1 << _TERM_SHIFT
"""Entries of lower indices, and of terms that are not negative, can be added many at once."""


class NodeLog:
    """The terms in one node's log as runs, from the first index that is known for certain.

    A loss (a boot, a gap in the trace) makes the log unknown before a point and nothing more.
    """

    __slots__ = ("_starts", "_terms", "last")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._terms: list[int] = []
        self.last = -1

    def reset(self, index: int, term: int) -> None:
        """Make the entry at `index` the last one, and the only one known. Index 0 of term 0 precedes every log."""
        self._starts, self._terms, self.last = [index], [term], index

    def forget(self) -> None:
        self._starts, self._terms, self.last = [], [], -1

    def term(self, index: int) -> int | None:
        if not self._starts or index > self.last or index < self._starts[0]:
            return None
        return self._terms[bisect_right(self._starts, index) - 1]

    def append(self, index: int, term: int) -> None:
        """Write one entry. One that does not follow the last known entry makes everything before it unknown."""
        if index <= self.last:
            self.truncate(index)
        if not self._starts or index != self.last + 1:
            self.reset(index, term)
            return
        if term != self._terms[-1]:
            self._starts.append(index)
            self._terms.append(term)
        self.last = index

    def extend(self, indices: Int64, terms: Int64) -> None:
        """Write entries that follow the last known one and each other."""
        for first, _ in stretches(terms):
            if terms[first] != self._terms[-1]:
                self._starts.append(int(indices[first]))
                self._terms.append(int(terms[first]))
        self.last = int(indices[-1])

    def terms(self, indices: Int64) -> Int64:
        """Return what `term` gives for each index, `NONE` for None."""
        if not self._starts:
            return np.full(len(indices), NONE)
        found = np.array(self._terms, np.int64)[np.searchsorted(self._starts, indices, "right") - 1]
        return np.where((indices > self.last) | (indices < self._starts[0]), NONE, found)

    def truncate(self, first: int) -> None:
        """Remove the entries from `first` on."""
        if not self._starts or first <= self._starts[0]:
            self.forget()
            return
        if first > self.last:
            return
        while self._starts[-1] >= first:
            self._starts.pop()
            self._terms.pop()
        self.last = first - 1


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two lines that cannot both belong to one tree. `kind` is `command`, `predecessor` or `split-term`."""

    kind: str
    index: int
    term: int
    first: Any
    second: Any


class EntryTree:
    """Every entry ever written, by (index, term), with its command's checksum and its predecessor's term."""

    __slots__ = ("_begins", "_crcs", "_inner", "conflicts")

    def __init__(self) -> None:
        self._crcs = Pages(1)
        self._begins: dict[int, tuple[int, int]] = {}
        """term → (its first index, the term of the entry before that)."""
        self._inner: dict[int, int] = {}
        """term → the lowest index at which an entry of the term is known to follow another one of the same term."""
        self.conflicts: list[Conflict] = []

    def __len__(self) -> int:
        return len(self._crcs)

    def add(self, index: int, term: int, crc: Any, previous_term: int | None) -> None:
        """Record that a log holds this entry, after an entry of `previous_term` (None: unknown)."""
        (known,) = self._crcs.setdefault(term << _TERM_SHIFT | index, (crc,))
        if known != crc:
            self.conflicts.append(Conflict("command", index, term, known, crc))
        if previous_term is None:
            return
        if previous_term == term:
            if index < self._inner.get(term, index + 1):
                self._inner[term] = index
                self._check_run(term)
            return
        begin = self._begins.setdefault(term, (index, previous_term))
        if begin != (index, previous_term):
            kind = "predecessor" if begin[0] == index else "split-term"
            self.conflicts.append(Conflict(kind, index, term, begin, (index, previous_term)))
        self._check_run(term)

    def first_conflict(self, indices: Int64, terms: Int64, crcs: Int64) -> int | None:
        """Return the place of the first of these entries that is known with another command; None if there is none. The indices follow each other."""
        for first, end, key in self._runs(indices, terms):
            place = self._crcs.first_other(key, crcs[None, first:end])
            if place is not None:
                return first + place
        return None

    def fill(self, indices: Int64, terms: Int64, crcs: Int64) -> None:
        """Record entries in which `first_conflict` found nothing, and whose predecessors are unknown."""
        for first, end, key in self._runs(indices, terms):
            self._crcs.fill(key, crcs[None, first:end])

    def extend(self, indices: Int64, terms: Int64, crcs: Int64, previous_term: int) -> None:
        """Record entries that follow each other and one of `previous_term`, as `add` would; `first_conflict` has found nothing in them."""
        for first, end, _ in self._runs(indices, terms):
            # Of a run, the entries after the second one prove nothing more.
            for at in range(first, min(first + 2, end)):
                self.add(int(indices[at]), int(terms[at]), int(crcs[at]), previous_term)
                previous_term = int(terms[at])
        self.fill(indices, terms, crcs)

    @staticmethod
    def _runs(indices: Int64, terms: Int64) -> Iterator[tuple[int, int, int]]:
        return ((first, end, int(terms[first]) << _TERM_SHIFT | int(indices[first])) for first, end in stretches(terms))

    def term_at(self, last_index: int, last_term: int, index: int) -> int | None:
        """Return the term of entry `index` in every log whose entry `last_index` is of `last_term`; None where that is unknown."""
        if index > last_index:
            return None
        term, at = last_term, last_index
        while True:
            if index == at or self._inner.get(term, at + 1) - 1 <= index:
                return term
            begin = self._begins.get(term)
            if begin is None or begin[0] > at:
                return None
            if index >= begin[0]:
                return term
            if begin[1] >= term:
                return None  # terms only grow along a log; another conflict reports this one
            at, term = begin[0] - 1, begin[1]

    def _check_run(self, term: int) -> None:
        begin, inner = self._begins.get(term), self._inner.get(term)
        if begin is not None and inner is not None and inner <= begin[0]:
            self.conflicts.append(Conflict("split-term", inner, term, begin, (inner, term)))
