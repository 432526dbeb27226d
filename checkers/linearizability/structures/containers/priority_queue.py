"""Priority queues of unique priorities, of which the greatest (or, if requested, the least) leaves first, in O(n log n).

A history has no legal order exactly in these cases: a priority is taken that was not put in, or twice, or before; or at every moment of a removal
some greater priority was certainly inside (for a removal that found nothing: any priority). Certainly inside is from the end of an insert to the
start of its removal.

Removals of unknown outcome may have taken any. Each acknowledged priority that is missing has a *deadline*: the last moment at which something
smaller can have been taken without taking it first. If the deadlines cannot be met, priorities are lost. If meeting them, earliest first, explains
everything, there is a legal order. In between there is doubt. Without such removals it is exact.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tribulation.histories.model.columns import OPEN, Int64

from ....models.operation_names import INSERTS, LEAST_FIRST, POLLS
from ..parts.finding import Doubt, Finding, Unsuitable
from ..parts.intervals import Gaps, greatest_over, least_within, thinnest_cover, unmet
from ..parts.view import View
from .dominance import least_beyond
from .flow import Flow, Words, flow_of, shown
from .stack import lost

WORDS = Words(INSERTS, POLLS, "insert")


def check_priority_queue(view: View, least_first: bool) -> Finding | None:
    """Return the violation, or None. Raises `Unsuitable` and `Doubt`. With `least_first` the least leaves first; also where operations are called
    delete-min.
    """
    flow = _flow(view, least_first)
    if isinstance(flow, Finding):
        return flow
    solved = _assign(view, flow)
    return solved if isinstance(solved, Finding) else _blocked(view, solved, flow)


def _flow(view: View, least_first: bool) -> Flow | Finding:
    """Return the flow with its entries by priority, so that an entry is a rank."""
    flow = flow_of(view, WORDS)
    if isinstance(flow, Finding):
        return flow
    try:
        priority = view.numbers(flow.value.astype(np.int32)) * (-1 if least_first or view.names() & LEAST_FIRST else 1)
    except TypeError as error:
        raise Unsuitable(f"priorities are not integers: {error}") from None
    names = ("value", "put", "take", "put_start", "put_end", "take_start", "take_end")
    by_priority = np.argsort(priority, kind="stable")
    return replace(flow, **{name: getattr(flow, name)[by_priority] for name in names})


class _Removals:
    """Every removal of known outcome, with the gaps in which it can have happened and the least rank that may block it."""

    def __init__(self, gaps: Gaps, view: View, flow: Flow) -> None:
        taken = np.flatnonzero(~flow.never)
        begin = np.maximum(gaps.after(flow.take_start[taken]), gaps.after(flow.put_start[taken]))
        self.entry = np.concatenate([taken, np.full(len(flow.empty), -1)])
        self.place = np.concatenate([flow.take[taken], flow.empty])
        self.first = np.concatenate([begin, gaps.after(view.start[flow.empty])])
        finish = np.minimum(gaps.after(flow.take_end[taken]), gaps.count)
        self.last = np.concatenate([finish, gaps.after(view.end[flow.empty])])


def _cores(gaps: Gaps, flow: Flow) -> tuple[Int64, Int64]:
    return gaps.after(flow.put_end), gaps.after(flow.take_start)


def _assign(view: View, flow: Flow) -> Flow | Finding:
    if not len(flow.unknown):
        return flow
    needs = np.flatnonzero(flow.never)
    limit, witness = np.full(len(flow.value), OPEN), np.full(len(flow.value), -1)
    limit[needs], witness[needs] = _deadlines(view, flow, needs)
    needy = np.flatnonzero(limit < OPEN)
    needy = needy[np.argsort(limit[needy], kind="stable")]
    missed = unmet(limit[needy], view.start[flow.unknown])
    if missed is not None:
        return lost(view, flow, needy[: missed + 1], witness, limit)
    return flow.assigned(needy, flow.unknown[: len(needy)], view)


def _deadlines(view: View, flow: Flow, needs: Int64) -> tuple[Int64, Int64]:
    """Return for each missing priority the position before which it must have gone, and the removal that shows it.

    A removal of something smaller has free gaps, in which nothing greater that was certainly taken is inside. If all of them lie after the end of the
    missing one's insert, that one must be gone by the last of them.
    """
    gaps = Gaps.of(view.start, view.end)
    removals = _Removals(gaps, view, flow)
    first, last = _cores(gaps, flow)
    known = ~flow.never
    ranks = np.arange(len(flow.value))
    best = greatest_over(first[known], last[known], ranks[known], gaps.count)
    earliest = _first_at_most(best, removals.first, removals.last, removals.entry)
    latest = (
        gaps.count
        - 1
        - _first_at_most(best[::-1], gaps.count - removals.last, gaps.count - removals.first, removals.entry)
    )
    free = earliest < removals.last
    until = np.append(gaps.positions, OPEN)[np.minimum(latest, gaps.count - 1)]
    # Removals of a smaller priority whose free gaps all lie after the insert's end.
    return _witnessed(
        least_beyond(removals.entry[free], earliest[free] + 1, until[free], needs, gaps.after(flow.put_end[needs])),
        removals.place[free],
    )


def _witnessed(found: tuple[Int64, Int64], place: Int64) -> tuple[Int64, Int64]:
    limit, who = found
    return limit, np.append(place, -1)[who]


def _first_at_most(values: Int64, first: Int64, last: Int64, bound: Int64) -> Int64:
    """Return for each query the first i in [first, last) with values[i] <= bound, or `last`: by doubling steps."""
    tables = [values]
    while (1 << len(tables)) <= int((last - first).max(initial=0)):
        half = 1 << (len(tables) - 1)
        tables.append(np.minimum(tables[-1][:-half], tables[-1][half:]))
    at = first.copy()
    for size in range(len(tables) - 1, -1, -1):
        table = tables[size]
        fits = at + (1 << size) <= last
        skip = fits & (table[np.where(fits, at, 0)] > bound)
        at = np.where(skip, at + (1 << size), at)
    return at


def _blocked(view: View, flow: Flow, original: Flow) -> Finding | None:
    gaps = Gaps.of(view.start, view.end)
    removals = _Removals(gaps, view, flow)
    first, last = _cores(gaps, flow)
    best = greatest_over(first, last, np.arange(len(flow.value)), gaps.count)
    if not len(removals.place):
        return None
    blocked = np.flatnonzero(least_within(best, removals.first, removals.last) > removals.entry)
    if not len(blocked):
        return None
    certain = view.ok[removals.place[blocked]]
    covers = [(at, _cover(int(at), removals, first, last)) for at in blocked[np.argsort(~certain, kind="stable")][:50]]
    at, entries = min(covers, key=lambda item: len(item[1]))
    place, entry = int(removals.place[at]), int(removals.entry[at])
    until = view.end[place]
    possible = original.unknown[view.start[original.unknown] < until]
    if len(possible):
        own = original.places([entry]) if entry >= 0 else []
        raise Doubt(
            "removals of unknown outcome may have taken what is in the way",
            [place, *own, *original.places(entries), *(int(other) for other in possible)],
        )
    return _finding(view, flow, place, entry, entries)


def _cover(at: int, removals: _Removals, first: Int64, last: Int64) -> list[int]:
    target = (int(removals.first[at]), int(removals.last[at]))
    greater = np.arange(len(first)) > removals.entry[at]
    near = np.flatnonzero(greater & (first < target[1]) & (last > target[0]) & (first < last))
    chosen = thinnest_cover(target, first[near], last[near])
    assert chosen is not None, "covered gap by gap"
    return [int(near[entry]) for entry in chosen]


def _finding(view: View, flow: Flow, place: int, entry: int, entries: list[int]) -> Finding:
    own = [int(flow.put[entry])] if entry >= 0 else []
    rows = tuple(sorted({place, *own, *flow.places(entries)}))
    inside = ", ".join(shown(view, flow, other) for other in entries[:4]) + (" …" if len(entries) > 4 else "")
    each = "was inside" if len(entries) == 1 else "one of these was inside"
    if entry < 0:
        text = f"{view.describe(place)} found nothing, although at every moment of it {each}: {inside}; {view.describe_all(rows)}."
        return Finding("not-empty", rows, text)
    text = f"{shown(view, flow, entry)} was polled although at every moment of that {each}, which goes first: {inside}; {view.describe_all(rows)}."
    return Finding("priority-inversion", rows, text)


def priority_queue_order(view: View, least_first: bool) -> Int64:
    """Return a legal order of the operations of a valid priority queue, as places. A value is removed as soon as the queue holds no greater one.

    Inserts take effect as late as they can, but before the removal of their value; what leaves in one moment leaves greatest first.
    """
    flow = _flow(view, least_first)
    solved = _assign(view, flow) if isinstance(flow, Flow) else flow
    assert isinstance(solved, Flow), "only valid histories have an order"
    gaps = Gaps.of(view.start, view.end)
    removals = _Removals(gaps, view, solved)
    first, last = _cores(gaps, solved)
    best = greatest_over(first, last, np.arange(len(solved.value)), gaps.count)
    moment = _first_at_most(best, removals.first, removals.last, removals.entry)
    taken = removals.entry >= 0
    enters = np.minimum(gaps.after(solved.put_end), gaps.count) - 1
    # A value may stay outside until its own removal begins; then it enters right before it leaves.
    at_once = np.zeros(len(solved.value), np.bool_)
    at_once[removals.entry[taken]] = moment[taken] <= enters[removals.entry[taken]]
    enters[removals.entry[taken]] = np.minimum(enters[removals.entry[taken]], moment[taken])
    places = np.concatenate([solved.put, removals.place])
    at = np.concatenate([enters, moment])
    # In one moment: what leaves, greatest first; what only passes through, next to its removal; then removals that find nothing; then what
    # enters.
    rank = np.concatenate([np.where(at_once, -np.arange(len(solved.value)), 1), np.where(taken, -removals.entry, 0)])
    phase = np.concatenate([np.where(at_once, 0, 3), np.where(taken, 0, 1)])
    kind = np.concatenate([np.zeros(len(solved.put), np.int64), np.ones(len(removals.place), np.int64)])
    order = places[np.lexsort((kind, rank, phase, at))]
    return order[order >= 0]
