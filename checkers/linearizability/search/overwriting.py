"""The search within one segment for models whose steps overwrite: a write leads to a state that does not depend on the one before.

Most writes are never seen. In a legal order such an *unseen* write may be moved right before any other write that takes effect while it is open, or
to where its value is there anyway. So a write need not be placed when it is passed over. Once another write took effect, all writes open then are
*covered*, and so is one whose value is there: each may still take effect, but need not be placed any more. A write is placed only

* when some open operation needs its result, which then is taken at once (a write that is needed later can slide until then),
* when its value is there already and another open write is not covered: the two take effect in turn, unseen, and the state is as before, or
* when it returns and is not covered; or is, but may be what a later operation sees.

A configuration is (turn, state, operations that took effect, covered writes, unknown ones used). A configuration with more completed reads, and whose
writes are covered where those of another are not, can do everything that the other can: the other is dropped if it comes later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ...base.budget import Meter
from .problem import NEVER, Problem, Turn
from .segment_search import BYTES_AN_ENTRY, Hook, Progress, SegmentSearch, dominates

_NO_DEADLINE = 1 << 62


class _Config(NamedTuple):
    at: int
    state: int
    done: int
    covered: int
    used: int


@dataclass(slots=True)
class _Masks:
    """Bits of a turn's open operations by kind: reads (pure), blind writes, and the rest, which is cas.

    `legal`: by state, those whose condition it fulfils, and the writes of that state.
    """

    pure: int
    blind: int
    legal: dict[int, tuple[int, int]]


class OverwritingSearch(SegmentSearch):
    def __init__(self, problem: Problem, depth: int, meter: Meter, progress: Progress, hook: Hook) -> None:
        super().__init__(problem, depth, meter, progress, hook)
        self._blind = problem.blind
        self._masks: list[_Masks | None] = [None] * len(self._segment.turns)
        self._best: list[dict[int, list[_Config]]] = [{} for _ in range(len(self._segment.turns) + 1)]
        self._entries = 0

    def exits(self, state: int, used: int) -> Iterator[tuple[int, int]]:
        turns = self._segment.turns
        end = len(turns)
        try:
            pending = [_Config(0, state, 0, 0, used)]
            while pending:
                config = self._settled(pending.pop())
                if not self._is_better(config):
                    continue
                if config.at == end:
                    yield config.state, config.used
                    continue
                turn = turns[config.at]
                self._advance(config.at, turn)
                if not self._starved(turn, config.state, config.done):
                    self._moves(pending, config, turn)
        finally:
            self._meter.release(BYTES_AN_ENTRY * self._entries)

    def _masks_at(self, at: int) -> _Masks:
        masks = self._masks[at]
        if masks is None:
            pure = blind = 0
            for _, bit, step, is_pure in self._segment.turns[at].opens:
                if is_pure:
                    pure |= bit
                elif self._blind[step]:
                    blind |= bit
            masks = self._masks[at] = _Masks(pure, blind, {})
        return masks

    def _legal(self, at: int, state: int) -> tuple[int, int]:
        masks = self._masks_at(at)
        found = masks.legal.get(state)
        if found is None:
            legal = same = 0
            following = self._table.next
            for _, bit, step, _ in self._segment.turns[at].opens:
                after = following(state, step)
                if masks.blind & bit:
                    same |= bit if after == state else 0
                elif after != NEVER:
                    legal |= bit
            found = masks.legal[state] = (legal, same)
        return found

    def _settled(self, config: _Config) -> _Config:
        """Return the configuration after all eager reads, and past every return whose operation took effect already."""
        at, state, done, covered, used = config
        turns = self._segment.turns
        while at < len(turns):
            legal, same = self._legal(at, state)
            done |= legal & self._masks_at(at).pure
            covered |= same & ~done
            first = turns[at].opens[0].bit
            if not done & first:
                break
            done ^= first
            at += 1
        return _Config(at, state, done, covered, used)

    def _is_better(self, config: _Config) -> bool:
        """Return whether no earlier configuration could do everything that this one can; if so, store it."""
        at, state, done, covered, used = config
        pure = blind = 0
        if at < len(self._segment.turns):
            masks = self._masks_at(at)
            pure, blind = masks.pure, masks.blind
        key = (state << self._width) | (done & ~pure & ~blind)
        best = self._best[at].setdefault(key, [])
        guard = self._guard
        for other in best:
            if (
                not done & ~other.done & pure
                and not blind & ~other.covered & ((done ^ other.done) | covered)
                and dominates(other.used, used, guard)
            ):
                return False
        best.append(config)
        self._entries += 1
        self._meter.charge(BYTES_AN_ENTRY, self._progress.position)
        return True

    def _starved(self, turn: Turn, state: int, done: int) -> bool:
        """Return whether an open operation needs a state that no operation can produce any more."""
        following = self._table.next
        for deadline, bit, step, givers in turn.urgent:
            if not (done & bit or givers & ~done) and following(state, step) == NEVER:
                self._progress.blocked = max(self._progress.blocked, deadline)
                return True
        return False

    def _moves(self, pending: list[_Config], config: _Config, turn: Turn) -> None:
        """Push the possible next steps, the most promising last, so that it is taken first: the step that helps the operation that returns first."""
        at, state, done, covered, used = config
        blind = self._masks_at(at).blind
        first = turn.opens[0].bit
        moves: list[tuple[int, _Config]] = []
        tried: set[int] = set()
        for deadline, bit, step, pure in turn.opens:
            if pure or done & bit or step in tried:
                continue
            tried.add(step)
            after = self._table.next(state, step)
            if after == NEVER:
                continue
            helped = self._helps(config, turn, after, done | bit)
            if not blind & bit:
                moves.append((min(deadline, helped), _Config(at, after, done | bit, covered, used)))
            elif (
                bit == first
                or helped < _NO_DEADLINE
                or (after == state and blind & ~done & ~covered & ~bit)
                or self._helps_unknown(turn, state, after, used)
            ):
                moves.append((helped, _Config(at, after, done | bit, blind & ~done & ~bit, used)))
        self._unknown_moves(moves, config, turn, tried)
        if covered & first:
            # It returns unseen, which costs nothing; but a state that only it can produce is not given up.
            alone = self._helps(config, turn, self._table.next(state, turn.opens[0].step), done) if moves else 0
            moves.append((alone - 1, _Config(at + 1, state, done, covered ^ first, used)))
        moves.sort(key=lambda move: -move[0])
        pending.extend(move for _, move in moves)

    def _unknown_moves(self, moves: list[tuple[int, _Config]], config: _Config, turn: Turn, tried: set[int]) -> None:
        at, state, done, covered, used = config
        for step, shift, available in turn.unknowns:
            if step in tried or (used >> shift) & ((1 << available.bit_length()) - 1) >= available:
                continue
            after = self._table.next(state, step)
            open_writes = self._masks_at(at).blind & ~done
            if after == NEVER or (after == state and not (self._blind[step] and open_writes & ~covered)):
                continue
            helped = self._helps(config, turn, after, done)
            if after != state and helped == _NO_DEADLINE and not self._helps_unknown(turn, state, after, used):
                continue
            covers = open_writes if self._blind[step] else covered
            moves.append((helped, _Config(at, after, done, covers, used + (1 << shift))))

    def _helps(self, config: _Config, turn: Turn, after: int, done: int) -> int:
        """Return the first deadline of an open operation that is legal in `after` and not in the state before; `_NO_DEADLINE` if there is none."""
        gained = self._legal(config.at, after)[0] & ~self._legal(config.at, config.state)[0] & ~done
        if gained:
            for deadline, bit, _, _ in turn.opens:
                if gained & bit:
                    return deadline
        return _NO_DEADLINE

    def _helps_unknown(self, turn: Turn, state: int, after: int, used: int) -> bool:
        """Return whether an operation of unknown outcome becomes legal."""
        following = self._table.next
        for step, shift, available in turn.unknowns:
            left = (used >> shift) & ((1 << available.bit_length()) - 1) < available
            if left and following(after, step) != NEVER and following(state, step) == NEVER:
                return True
        return False
