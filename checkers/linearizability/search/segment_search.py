"""The search within one segment, for any model: depth-first over (turn, state, what took effect, unknown operations used).

`overwriting` has a better one for models whose steps overwrite. Both share this code: eager reads, memory of visited configurations, progress.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...base.budget import Meter
from .problem import NEVER, Problem, Segment, Table, Turn

BYTES_AN_ENTRY = 140


@dataclass(slots=True)
class Progress:
    """The furthest turn reached so far and its position, and how many configurations were visited in all and since then.

    `blocked` is the latest return at which a configuration failed: all that failed did so within the history up to there.
    """

    segment: int = 0
    turn: int = 0
    position: int = -1
    blocked: int = -1
    visited: int = 0
    since: int = 0
    ask_at: int = 0


class Hook:
    """Callback for a search that has visited `patience` configurations without getting further; it may end the search by raising."""

    patience: int = 1 << 62

    def __call__(self, position: int) -> None:
        return None


def dominates(low: int, high: int, guard: int) -> bool:
    """Return whether each count packed in `low` is at most the one in `high`."""
    return ((high | guard) - low) & guard == guard


class SegmentSearch:
    """The search within one segment; `exits` yields each (state, counts) in which it can be left."""

    def __init__(self, problem: Problem, depth: int, meter: Meter, progress: Progress, hook: Hook) -> None:
        self._segment: Segment = problem.segments[depth]
        self._table: Table = problem.table
        self._guard = problem.guard
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
                self._branch(pending, at, turns[at], state, done, used)
        finally:
            self._meter.release(BYTES_AN_ENTRY * sum(len(seen) for seen in self._seen))

    def _settle(self, at: int, state: int, done: int) -> tuple[int, int]:
        """Return the turn and what took effect after all eager reads, past every return whose operation took effect already."""
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
            self._meter.charge(BYTES_AN_ENTRY, self._progress.position)
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

    def _branch(
        self, pending: list[tuple[int, int, int, int]], at: int, turn: Turn, state: int, done: int, used: int
    ) -> None:
        """Push the possible next steps, the most promising last, so that it is taken first."""
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
            if after in (NEVER, state):
                continue
            choices.append((at, after, done, used + (1 << shift)))
        first = turn.opens[0]
        if first.pure:
            # It is due and waits for another state: what produces that goes first.
            choices.sort(key=lambda choice: following(choice[1], first.step) == NEVER)
        choices.reverse()
        pending.extend(choices)
