"""The general search for a legal order: depth-first over compact configurations.

It works for any model, in time that depends more on how many operations are open at once than on how many there are. These keep it small:

* *eager reads*: a pure step that is legal now takes effect now; it changes nothing, so no order is lost;
* *earliest deadline first*, which finds an order quickly where there is one;
* *exchange*: of open operations with equal steps only the one that returns first is tried, because any order that uses another first can be swapped;
* *starvation*: where steps overwrite, a configuration in which an open operation needs a state that no operation can produce any more is dead;
* *counts* instead of identities for operations of unknown outcome, and *dominance*: if a configuration failed, an equal one that used at least
as many of each class fails too;
* *demand*: where steps overwrite, an operation of unknown outcome is used only where its result is required next;
* *quiescent points*: between them only (state, counts) matters, so the memory of what lies behind is released.

A depth-first search that exhausts its configurations is a proof of violation. `tribulation.checkers.linearizability.search.refutation` finds shorter
ones.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ...base.budget import Meter
from .overwriting import OverwritingSearch
from .problem import Problem
from .segment_search import Hook, Progress, SegmentSearch, dominates

__all__ = ["INITIAL", "Hook", "Outcome", "search"]

_KEPT_SEGMENTS = 64

INITIAL: Final = object()


@dataclass(slots=True)
class Outcome:
    """Result of a search. `legal`: an order exists. Otherwise the history up to the return at `stuck_at` has none."""

    legal: bool
    stuck_at: int | None = None
    configurations: int = 0


def search(problem: Problem, meter: Meter, start: Hashable = INITIAL, hook: Hook | None = None) -> Outcome:
    """Return whether `problem` has a legal order from `start` (default: the model's initial state). Raises `OutOfBudget` with the position reached."""
    if not problem.segments:
        return Outcome(True)
    first = problem.model.init() if start is INITIAL else start
    return _Walk(problem, meter, Progress(), hook or Hook()).run(problem.table.state(first))


@dataclass(slots=True)
class _Frame:
    """A segment entered in one way. `exits` were tried; the generator is dropped for its memory and made again when needed."""

    state: int
    used: int
    exits: list[tuple[int, int]] = field(default_factory=list)
    source: Iterator[tuple[int, int]] | None = None


class _Walk:
    """Depth-first walk from quiescent point to quiescent point that remembers which entries failed."""

    def __init__(self, problem: Problem, meter: Meter, progress: Progress, hook: Hook) -> None:
        self._problem = problem
        self._meter = meter
        self._progress = progress
        self._hook = hook
        self._failed: list[dict[int, list[int]]] = [{} for _ in problem.segments]

    def run(self, state: int) -> Outcome:
        stack = [_Frame(state, 0)]
        while stack:
            depth = len(stack) - 1
            found = self._next_exit(depth, stack[-1])
            if found is None:
                frame = stack.pop()
                self._failed[depth].setdefault(frame.state, []).append(frame.used)
                continue
            if len(stack) == len(self._problem.segments):
                return Outcome(True, None, self._progress.visited)
            if not self._known_to_fail(depth + 1, *found):
                stack.append(_Frame(*found))
                if len(stack) > _KEPT_SEGMENTS:
                    stack[-_KEPT_SEGMENTS].source = None
        return Outcome(False, self._progress.blocked, self._progress.visited)

    def _next_exit(self, depth: int, frame: _Frame) -> tuple[int, int] | None:
        if frame.source is None:
            kind = OverwritingSearch if self._problem.model.overwrites else SegmentSearch
            walk = kind(self._problem, depth, self._meter, self._progress, self._hook)
            frame.source = walk.exits(frame.state, frame.used)
        for exit_ in frame.source:
            if exit_ not in frame.exits:
                frame.exits.append(exit_)
                return exit_
        return None

    def _known_to_fail(self, depth: int, state: int, used: int) -> bool:
        return any(dominates(low, used, self._problem.guard) for low in self._failed[depth].get(state, ()))
