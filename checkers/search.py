"""The general search for a legal order: depth-first over compact configurations.

It answers for any model, in time that depends on how many operations are open at once more than on how many there are. What keeps it small:

* *eager reads*: a pure step that is legal now takes effect now; it changes nothing, so no order is lost;
* *earliest deadline first*, which finds an order quickly where there is one;
* *exchange*: of open operations with equal steps only the one that returns first is tried, for any order that uses another first can be swapped;
* *starvation*: where steps overwrite, a configuration in which an open operation needs a state that nobody can bring about any more is dead;
* *counts* instead of identities for operations of unknown outcome, and *dominance*: a configuration that used no more of them than
  an equal one before it can do nothing new if that one failed;
* *demand*: where steps overwrite, an operation of unknown outcome is used only where its result is required next;
* *quiescent points*: between them only (state, counts) matters, so the memory of what lies behind is given back.

A depth-first search that exhausts its configurations is a proof of violation. `checkers.refute` finds shorter ones.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final

from .budget import Meter
from .configurations import NEVER, Problem, Segment, Table, Turn

_BYTES_AN_ENTRY = 140

_KEPT_SEGMENTS = 64

INITIAL: Final = object()


@dataclass(slots=True)
class Outcome:
    """`legal`: an order exists. Otherwise the history up to the return at `stuck_at` has none."""

    legal: bool
    stuck_at: int | None = None
    configurations: int = 0


@dataclass(slots=True)
class Progress:
    """The furthest turn reached so far and its position, and how many configurations were visited in all and since then.

    `blocked` is the latest return that some configuration failed at: all that failed did so within the history up to there.
    """

    segment: int = 0
    turn: int = 0
    position: int = -1
    blocked: int = -1
    visited: int = 0
    since: int = 0
    ask_at: int = 0


class Hook:
    """Called when the search has visited `patience` configurations without getting further; may end it by raising."""

    patience: int = 1 << 62

    def __call__(self, position: int) -> None:
        return None


def search(problem: Problem, meter: Meter, start: Hashable = INITIAL, hook: Hook | None = None) -> Outcome:
    """Whether `problem` has a legal order from `start` (default: the model's initial state). Raises `OutOfBudget` with the position reached."""
    if not problem.segments:
        return Outcome(True)
    first = problem.model.init() if start is INITIAL else start
    return _Walk(problem, meter, Progress(), hook or Hook()).run(problem.table.state(first))


@dataclass(slots=True)
class _Frame:
    """A segment entered in one way. `exits` were tried; the generator is given up for its memory and made again when needed."""

    state: int
    used: int
    exits: list[tuple[int, int]] = field(default_factory=list)
    source: Iterator[tuple[int, int]] | None = None


class _Walk:
    """Goes from quiescent point to quiescent point, depth-first, remembering which entries failed."""

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
            walk = _SegmentSearch(self._problem, depth, self._meter, self._progress, self._hook)
            frame.source = walk.exits(frame.state, frame.used)
        for exit_ in frame.source:
            if exit_ not in frame.exits:
                frame.exits.append(exit_)
                return exit_
        return None

    def _known_to_fail(self, depth: int, state: int, used: int) -> bool:
        return any(dominates(low, used, self._problem.guard) for low in self._failed[depth].get(state, ()))


def dominates(low: int, high: int, guard: int) -> bool:
    """Whether each count packed in `low` is at most the one in `high`."""
    return ((high | guard) - low) & guard == guard


class _SegmentSearch:
    """The search within one segment; `exits` yields each (state, counts) in which it can be left."""

    def __init__(self, problem: Problem, depth: int, meter: Meter, progress: Progress, hook: Hook) -> None:
        self._segment: Segment = problem.segments[depth]
        self._table: Table = problem.table
        self._guard = problem.guard
        self._overwrites = problem.model.overwrites
        self._depth = depth
        self._meter = meter
        self._progress = progress
        self._hook = hook
        self._seen: list[dict[int, int | list[int]]] = [{} for _ in range(len(self._segment.turns) + 1)]
        self._width = max(
            turn.opens[i].bit for turn in self._segment.turns for i in range(len(turn.opens))
        ).bit_length()

    def exits(self, state: int, used: int) -> Iterator[tuple[int, int]]:
        turns = self._segment.turns
        end = len(turns)
        try:
            # (turn, state, open operations that took effect, counts of unknown ones used)
            pending = [(0, state, 0, used)]
            while pending:
                at, state, done, used = pending.pop()
                at, done = self._settle(at, state, done)
                if not self._is_new(at, state, done, used):
                    continue
                if at == end:
                    yield state, used
                    continue
                self._advance(at, turns[at])
                if self._starved(turns[at], state, done):
                    continue
                self._branch(pending, at, turns[at], state, done, used)
        finally:
            self._meter.release(_BYTES_AN_ENTRY * sum(len(seen) for seen in self._seen))

    def _settle(self, at: int, state: int, done: int) -> tuple[int, int]:
        """Eager reads, and past every return whose operation took effect already."""
        turns, following = self._segment.turns, self._table.next
        end = len(turns)
        while at < end:
            opens = turns[at].opens
            for item in opens:
                if item.pure and not done & item.bit and following(state, item.step) != NEVER:
                    done |= item.bit
            first = opens[0].bit
            if not done & first:
                break
            done ^= first
            at += 1
        return at, done

    def _is_new(self, at: int, state: int, done: int, used: int) -> bool:
        seen = self._seen[at]
        key = (state << self._width) | done
        before = seen.get(key)
        if before is None:
            seen[key] = used
            self._meter.charge(_BYTES_AN_ENTRY, self._progress.position)
            return True
        if before == used:
            return False
        lows = before if isinstance(before, list) else [before]
        guard = self._guard
        if any(dominates(low, used, guard) for low in lows):
            return False
        seen[key] = [low for low in lows if not dominates(used, low, guard)] + [used]
        self._meter.charge(0, self._progress.position)
        return True

    def _advance(self, at: int, turn: Turn) -> None:
        progress = self._progress
        progress.visited += 1
        progress.blocked = max(progress.blocked, turn.position)
        if (self._depth, at) > (progress.segment, progress.turn) or progress.position < 0:
            progress.segment, progress.turn, progress.position = self._depth, at, turn.position
            progress.since, progress.ask_at = 0, self._hook.patience
            return
        progress.since += 1
        if progress.since >= progress.ask_at:
            progress.ask_at *= 4
            self._hook(progress.blocked)

    def _starved(self, turn: Turn, state: int, done: int) -> bool:
        following = self._table.next
        for deadline, bit, step, givers in turn.urgent:
            if not (done & bit or givers & ~done) and following(state, step) == NEVER:
                self._progress.blocked = max(self._progress.blocked, deadline)
                return True
        return False

    def _branch(
        self, pending: list[tuple[int, int, int, int]], at: int, turn: Turn, state: int, done: int, used: int
    ) -> None:
        """Pushes what can happen next, the most promising last, where it is taken first."""
        following = self._table.next
        tried: set[int] = set()
        choices: list[tuple[int, int, int, int]] = []
        for _, bit, step, pure in turn.opens:
            if done & bit or pure or step in tried:
                continue
            tried.add(step)
            after = following(state, step)
            if after != NEVER:
                choices.append((at, after, done | bit, used))
        for step, shift, available in turn.unknowns:
            if step in tried or (used >> shift) & ((1 << available.bit_length()) - 1) >= available:
                continue
            after = following(state, step)
            if after in (NEVER, state) or (self._overwrites and not self._demanded(turn, state, after, done, used)):
                continue
            choices.append((at, after, done, used + (1 << shift)))
        first = turn.opens[0]
        if first.pure:
            # It is due and waits for another state: what brings that about goes first.
            choices.sort(key=lambda choice: following(choice[1], first.step) == NEVER)
        choices.reverse()
        pending.extend(choices)

    def _demanded(self, turn: Turn, state: int, after: int, done: int, used: int) -> bool:
        """Whether some step that may come next is legal in `after` and not in `state` already."""
        following = self._table.next
        for _, bit, step, _ in turn.opens:
            if not done & bit and following(after, step) != NEVER and following(state, step) == NEVER:
                return True
        for step, shift, available in turn.unknowns:
            left = (used >> shift) & ((1 << available.bit_length()) - 1) < available
            if left and following(after, step) != NEVER and following(state, step) == NEVER:
                return True
        return False
