"""Plans worth changing: those that reached abstract states which no earlier plan had reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..nemesis.catalog.knobs import Knobs
from .trial import Trial

KEPT = 256
AGE = 64
"""A plan can be a parent only of trials at least this many places after it: by then its result is known, however many trials are under way."""

SPLICE_PPM = 200_000


@dataclass(frozen=True, slots=True)
class Entry:
    """`place` is the trial's place in the search, `new` how many states it was the first to reach."""

    place: int
    new: int
    plan: Mapping[str, Any]


@dataclass(slots=True)
class Corpus:
    """The plans so far, added in order. A mutant's parents are among the newest `KEPT` that are old enough."""

    states: set[int] = field(default_factory=set)
    entries: list[Entry] = field(default_factory=list)

    def add(self, place: int, trial: Trial) -> int:
        """Keep the trial's plan if it reached a new state; returns how many new states it reached."""
        new = trial.states - self.states
        self.states |= new
        if new:
            self.entries = [*self.entries[-(KEPT + AGE) :], Entry(place, len(new), trial.plan)]
        return len(new)

    def parents(self, seed: int, place: int) -> list[Mapping[str, Any]]:
        """One or two plans for the mutant at `place`, drawn by `seed`; a plan is likelier the more states it was the first to reach.

        Plans added less than `AGE` before that place make no difference.
        """
        known = [entry for entry in self.entries if entry.place < place - AGE][-KEPT:]
        if not known:
            return []
        knobs = Knobs(seed, "corpus")
        count = 2 if len(known) > 1 and knobs.on("splice", SPLICE_PPM) else 1
        return [_chosen(known, knobs.bits(f"parent/{number}")).plan for number in range(count)]


def _chosen(entries: list[Entry], bits: int) -> Entry:
    left = bits % sum(entry.new for entry in entries)
    for entry in entries:
        left -= entry.new
        if left < 0:
            return entry
    raise AssertionError("the weights add up")
