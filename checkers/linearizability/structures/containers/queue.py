"""FIFO queues of unique values, in O(n log n).

A history of a queue has no legal order exactly in these cases (Henzinger, Sezgin, Vafeiadis, CONCUR 2013; Bouajjani et al., ICALP 2015): a value is
taken that was not put in, or twice, or before; or a value overtakes another that was certainly put in before it; or a removal finds the queue empty
although at every moment of it some value was certainly inside.

Removals of unknown outcome may have taken any value. Each acknowledged value that is missing has a *deadline*: something returned that could only
happen after it was gone. The i-th deadline is met by the i-th of these removals, if at all. That is exact unless there are also removals that found
nothing; then a failure to explain one of those is only a doubt.
"""

from __future__ import annotations

import numpy as np

from tribulation.histories.model.columns import OPEN, Int64

from ....models.operation_names import DEQUEUES, ENQUEUES
from ..parts.finding import Doubt, Finding
from ..parts.intervals import Gaps, coverage, covered_wholly, thinnest_cover, unmet
from ..parts.view import View
from .flow import Flow, Words, flow_of, shown
from .order import two_interval_order

WORDS = Words(ENQUEUES, DEQUEUES, "enqueue")
_TRIED_COVERS = 50


def check_queue(view: View) -> Finding | None:
    flow = flow_of(view, WORDS)
    if isinstance(flow, Finding):
        return flow
    solved = _assign(view, flow)
    return solved if isinstance(solved, Finding) else found_empty(view, solved, flow)


def queue_order(view: View) -> Int64:
    """Return a legal order of the places of a valid queue's operations; those that did not happen are left out."""
    flow = flow_of(view, WORDS)
    solved = _assign(view, flow) if isinstance(flow, Flow) else flow
    assert isinstance(solved, Flow), "only valid histories have an order"
    gaps = Gaps.of(view.start, view.end)
    cover = coverage(gaps.after(solved.put_end), gaps.after(solved.take_start), gaps.count)
    moments = _free_moments(gaps, cover, view, solved.empty)
    return two_interval_order(solved, moments)


def _free_moments(gaps: Gaps, cover: Int64, view: View, empty: Int64) -> Int64:
    """Return for each removal that found nothing a position right after which nothing needs to be inside."""
    free = np.flatnonzero(cover == 0)
    first = free[np.searchsorted(free, gaps.after(view.start[empty]))]
    return gaps.positions[first - 1]


def _overtaken_by(flow: Flow) -> tuple[Int64, Int64]:
    """Return for each value the earliest return of the removal of one that was certainly put in later, and that one's entry (-1: none)."""
    order = np.argsort(flow.put_start, kind="stable")
    ends = flow.take_end[order]
    soonest = np.append(np.minimum.accumulate(ends[::-1])[::-1], OPEN)
    # The entry that attains the suffix minimum: the last place at or before which the minimum was lowered, seen from the right.
    lowered = np.where(ends == soonest[:-1], np.arange(len(ends)), len(ends))
    who = np.append(np.minimum.accumulate(lowered[::-1])[::-1], len(ends))
    after = np.searchsorted(flow.put_start[order], flow.put_end, side="right")
    entries = np.append(order, -1)
    return soonest[after], entries[who[after]]


def _assign(view: View, flow: Flow) -> Flow | Finding:
    """Return the flow with removals of unknown outcome assigned to the values that need them, or the value that overtook another."""
    limit, by = _overtaken_by(flow)
    late = np.flatnonzero((flow.take_start > limit) & (flow.take_start < OPEN))
    if len(late):
        return _overtaking(view, flow, late, by)
    deadline, witness = _with_empties(view, flow, limit, by)
    needy = np.flatnonzero(flow.never & (deadline < OPEN))
    needy = needy[np.argsort(deadline[needy], kind="stable")]
    missed = unmet(deadline[needy], view.start[flow.unknown])
    if missed is not None:
        return _lost(view, flow, needy[: missed + 1], witness, deadline)
    return flow.assigned(needy, flow.unknown[: len(needy)], view)


def _with_empties(view: View, flow: Flow, limit: Int64, by: Int64) -> tuple[Int64, Int64]:
    """Return deadlines, and the place of the removal that sets each: of a later value, or one that found nothing."""
    start = np.append(view.start[flow.empty], OPEN)
    soonest = np.append(np.minimum.accumulate(view.end[flow.empty][::-1])[::-1], OPEN)
    after = np.searchsorted(start[:-1], flow.put_end, side="right")
    empty_end = soonest[after]
    witness = np.append(flow.take, -1)[by]
    if len(flow.empty):
        order = np.argsort(view.end[flow.empty])
        found = flow.empty[order][
            np.searchsorted(view.end[flow.empty][order], np.minimum(empty_end, OPEN - 1)) % len(order)
        ]
        witness = np.where(empty_end < limit, found, witness)
    return np.minimum(limit, empty_end), witness


def _overtaking(view: View, flow: Flow, late: Int64, by: Int64) -> Finding:
    # The one whose two removals lie closest explains it best.
    entry = int(late[np.argmin(flow.take_start[late] - flow.take_end[by[late]])])
    other = int(by[entry])
    rows = tuple(int(place) for place in (flow.put[entry], flow.put[other], flow.take[other], flow.take[entry]))
    late_ms = view.ms_between(rows[2], rows[3])
    first, second = shown(view, flow, entry), shown(view, flow, other)
    text = (
        f"{second} overtook {first}: {first} was in the queue before the enqueue of {second} began, but {second} was dequeued {late_ms} ms before "
        f"the dequeue of {first} began: {view.describe_all(rows)}."
    )
    return Finding("fifo-order", rows, text, {"late_ms": late_ms})


def _lost(view: View, flow: Flow, needy: Int64, witness: Int64, deadline: Int64) -> Finding:
    missing = [int(entry) for entry in needy]
    before = [int(place) for place in flow.unknown if view.start[place] < deadline[missing[-1]]]
    rows: list[int] = []
    for entry in missing:
        taker = int(witness[entry])
        by_take = np.flatnonzero(flow.take == taker)
        rows += [int(flow.put[entry]), *(int(flow.put[other]) for other in by_take), taker]
    rows = list(dict.fromkeys(rows + before))
    last = missing[-1]
    example = view.describe(int(flow.put[last]))
    said = (
        f"and no dequeue took it, and none of unknown outcome can have: {example}; {view.describe(int(witness[last]))}"
        if not before
        else f"and {len(missing)} such values are missing, where only {len(before)} dequeues of unknown outcome began in time"
    )
    text = f"{shown(view, flow, last)} is lost: it was acknowledged, a later removal shows that it is gone, {said}."
    return Finding("lost-write", tuple(rows), text, {"lost": len(missing)})


def found_empty(view: View, flow: Flow, original: Flow) -> Finding | None:
    """Report a removal that found nothing although something was certainly there at every moment of it. Raises `Doubt` where unknown removals may
    explain it.
    """
    if not len(flow.empty):
        return None
    gaps = Gaps.of(view.start, view.end)
    first, last = gaps.after(flow.put_end), gaps.after(flow.take_start)
    begin, finish = gaps.after(view.start[flow.empty]), gaps.after(view.end[flow.empty])
    full = np.flatnonzero(covered_wholly(begin, finish, coverage(first, last, gaps.count)))
    if not len(full):
        return None
    best: tuple[int, list[int]] | None = None
    for at in full[:_TRIED_COVERS]:
        target = (int(begin[at]), int(finish[at]))
        near = np.flatnonzero((first < target[1]) & (last > target[0]) & (first < last))
        chosen = thinnest_cover(target, first[near], last[near])
        assert chosen is not None, "covered gap by gap"
        if best is None or len(chosen) < len(best[1]):
            best = int(flow.empty[at]), [int(near[entry]) for entry in chosen]
    assert best is not None
    place, entries = best
    possible = original.unknown[view.start[original.unknown] < view.end[place]]
    if len(possible):
        suspects = [place, *original.places(entries), *(int(other) for other in possible)]
        raise Doubt("removals of unknown outcome may have emptied it", suspects)
    return _not_empty(view, original, place, entries)


def _not_empty(view: View, flow: Flow, place: int, entries: list[int]) -> Finding:
    rows = tuple(sorted([place, *flow.places(entries)]))
    values = ", ".join(shown(view, flow, entry) for entry in entries[:4]) + (" …" if len(entries) > 4 else "")
    was = "was" if len(entries) == 1 else "or another of them was"
    text = f"{view.describe(place)} found nothing, although {values} {was} inside at every moment of it: {view.describe_all(rows)}."
    return Finding("not-empty", rows, text)
