"""Counters: adds, reads of the sum, and adds that return the sum before or after them.

*All adds equal* (by 1, say): exact, O(n log n). What reads and returning adds saw are stages in a known order. Between two of them as many blind adds must have happened as the sum rose. Each blind add fits into a range of these slots, so slots are filled by earliest deadline; adds of unknown outcome are used for slots that need them.

*Adds that differ*: which of them a sum contains is a subset-sum problem. Only bounds are checked, each sum against the adds that must and may have happened by then. That finds violations, and otherwise leaves `Doubt`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

import numpy as np

from tribulation.histories.model.columns import NONE_ID, OPEN, Int32, Int64

from ....models.operation_names import DELTAS, FETCHES
from ...compiled import fast
from ..parts.finding import Doubt, Finding, Unsuitable
from ..parts.intervals import out_of_order
from ..parts.view import View
from .counter_slots import Slots
from .counter_witness import broken_slot, disordered, impossible, out_of_bounds, twice_fetched, unchanged


def initial_of(options: Mapping[str, Any]) -> int:
    """Return the sum at the beginning."""
    return int(options.get("initial", 0))


@dataclass(frozen=True, slots=True)
class Sums:
    """Operations of a counter. `seen` saw a sum (`sum`) and added `delta` to it (0: a read); `blind` added `step` without an answer."""

    seen: Int64
    sum: Int64
    delta: Int64
    blind: Int64
    step: Int64


def check_counter(view: View, initial: int = 0) -> Finding | None:
    sums = _sums(view)
    unit = _unit(sums)
    if unit is None:
        wrong = out_of_bounds(view, sums.seen, sums.sum, sums.delta, sums.blind, sums.step, initial)
        if wrong is None:
            raise Doubt("adds differ, so only bounds were checked")
        return wrong
    slots = _slots(view, sums, unit, initial)
    if isinstance(slots, Finding):
        return slots
    squeezed = np.flatnonzero(slots.first > slots.last)
    if len(squeezed):
        return unchanged(view, slots, int(squeezed[0]))
    _, failed_at, lack = _fill(slots)
    return None if failed_at < 0 else broken_slot(view, slots, failed_at, lack, unit)


def counter_order(view: View, initial: int = 0) -> Int64:
    """Return a legal order of the places of a valid counter whose adds are equal."""
    sums = _sums(view)
    unit = _unit(sums)
    slots = _slots(view, sums, unit or 1, initial)
    assert isinstance(slots, Slots), "only valid histories have an order"
    filled, _, _ = _fill(slots)
    place = np.concatenate([slots.blind, slots.seen])
    group = np.concatenate([2 * filled, 2 * slots.stage + 1])
    happened = np.concatenate([(filled < len(slots.need)) | view.ok[slots.blind], np.ones(len(slots.seen), np.bool_)])
    place, group = place[happened], group[happened]
    order: Int64 = place[np.lexsort((view.start[place], group))]
    return order


def _sums(view: View) -> Sums:
    reads = np.flatnonzero(view.called("read") & view.ok & (view.result != NONE_ID))
    fetches = np.flatnonzero(view.called(*FETCHES) & view.ok & _numeric(view, view.result))
    adds = view.called(*DELTAS) & ~view.failed
    adds[fetches] = False
    blind = np.flatnonzero(adds)
    try:
        read = view.numbers(view.result[reads])
        answer, fetched = view.numbers(view.result[fetches]), _deltas(view, fetches)
        step = _deltas(view, blind)
    except TypeError as error:
        raise Unsuitable(f"not a counter of integers: {error}") from None
    after = view.called(*(name for name in FETCHES if DELTAS[name][1] == "new"))[fetches]
    old = np.where(after, answer - fetched, answer)
    seen = np.concatenate([reads, fetches])
    delta = np.concatenate([np.zeros(len(reads), np.int64), fetched])
    real = step != 0
    return Sums(seen, np.concatenate([read, old]), delta, blind[real], step[real])


def _numeric(view: View, ids: Int32) -> Any:
    used = np.unique(ids)
    return np.isin(ids, [number for number in used if number >= 0 and type(view.value(int(number))) is int])


def _deltas(view: View, places: Int64) -> Int64:
    """Return what each adds: its argument, 1 if it has none; a decrement the opposite."""
    found = np.ones(len(places), np.int64)
    given = view.argument[places] != NONE_ID
    found[given] = view.numbers(view.argument[places[given]])
    down = view.called(*(name for name, (sign, _) in DELTAS.items() if sign < 0))[places]
    return np.where(down, -found, found)


def _unit(sums: Sums) -> int | None:
    """Return what every add adds; None when they differ, 1 when there are none."""
    steps = np.unique(np.concatenate([sums.step, sums.delta[sums.delta != 0]]))
    return None if len(steps) > 1 else int(steps[0]) if len(steps) else 1


def _slots(view: View, sums: Sums, unit: int, initial: int) -> Slots | Finding:
    count, rest = np.divmod(sums.sum - initial, unit)
    wrong = np.flatnonzero((rest != 0) | (count < 0))
    if len(wrong):
        return impossible(view, int(sums.seen[wrong[0]]), unit, initial)
    fetch = (sums.delta != 0).astype(np.int64)
    order = np.lexsort((view.start[sums.seen], fetch, count))
    seen, count, fetch = sums.seen[order], count[order], fetch[order]
    again = np.flatnonzero((count[1:] == count[:-1]) & (fetch[1:] == 1) & (fetch[:-1] == 1))
    if len(again):
        return twice_fetched(view, int(seen[again[0]]), int(seen[again[0] + 1]))
    new = (np.diff(count, prepend=-1) != 0) | (np.diff(fetch, prepend=-1) != 0)
    stage = np.cumsum(new) - 1
    found = out_of_order(view.start[seen], view.end[seen], stage)
    if found is not None:
        return disordered(view, int(seen[found[0]]), int(seen[found[1]]))
    heads = np.flatnonzero(new)
    sum_, kind = count[heads], fetch[heads]
    before = np.append(0, (sum_ + kind)[:-1])
    first, last = _windows(view, sums.blind, seen, stage, len(heads))
    return Slots(seen, stage, sum_, kind, (sum_ - before[: len(sum_)]), sums.blind, first, last)


def _windows(view: View, blind: Int64, seen: Int64, stage: Int64, stages: int) -> tuple[Int64, Int64]:
    """Return the first and last slot of each blind add: after all stages seen before it began, before all that were seen after it returned."""
    by_end = np.argsort(view.end[seen], kind="stable")
    passed = np.append(-1, np.maximum.accumulate(stage[by_end]))
    first = passed[np.searchsorted(view.end[seen][by_end], view.start[blind])] + 1
    by_start = np.argsort(view.start[seen], kind="stable")
    coming = np.append(np.minimum.accumulate(stage[by_start][::-1])[::-1], stages)
    last = coming[np.searchsorted(view.start[seen][by_start], view.end[blind], side="right")]
    return first, np.where(view.end[blind] == OPEN, stages, last)


def _fill(slots: Slots) -> tuple[Int64, int, bool]:
    """Return the slot of each blind add, and the slot that could not be filled (-1: none) with whether it lacked adds or had too many."""
    filled = np.full(len(slots.blind), len(slots.need), np.int64)
    by_first = np.argsort(slots.first, kind="stable")
    run: Any = fast(_fill_slots, 10 * len(slots.blind))
    failed_at, lack = run(by_first, slots.first, slots.last, np.minimum(slots.need, len(slots.blind) + 1), filled)
    return filled, int(failed_at), bool(lack)


def _fill_slots(by_first: Int64, first: Int64, last: Int64, need: Int64, filled: Int64) -> tuple[int, bool]:
    """Fill by earliest deadline; of equal deadlines the one that began first, so that adds stay in real-time order."""
    count = len(by_first)
    heap = [last[0] for _ in range(0)]
    taken = 0
    for slot in range(len(need)):
        while taken < count and first[by_first[taken]] <= slot:
            add = by_first[taken]
            heappush(heap, last[add] * count + add)
            taken += 1
        for _ in range(need[slot]):
            if len(heap) == 0:
                return slot, True
            add = heappop(heap) % count
            if last[add] < slot:
                return last[add], False
            filled[add] = slot
        if len(heap) > 0 and heap[0] // count <= slot:
            return slot, False
    return -1, False
