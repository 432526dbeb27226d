"""Stacks of unique values, by peeling, in O(n log n).

Removals of unknown outcome may have taken any value. Each acknowledged value that is missing has a *deadline*: the first return of an operation that
proves it gone, which is the pop of a value below it or a removal that found nothing. If the deadlines cannot be met, values are lost. If meeting
them, earliest first, lets all values be peeled, there is a legal order. In between there is doubt. Without such removals it is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tribulation.histories.model.columns import OPEN, Int64

from ....models.operation_names import POPS, PUSHES
from ..parts.finding import Doubt, Finding
from ..parts.intervals import Gaps, unmet
from ..parts.shrink import smallest
from ..parts.view import Mask, View
from .dominance import least_beyond
from .flow import Flow, Words, flow_of, shown
from .peel import Peeled, peel
from .queue import found_empty

WORDS = Words(PUSHES, POPS, "push")


def check_stack(view: View) -> Finding | None:
    flow = flow_of(view, WORDS)
    if isinstance(flow, Finding):
        return flow
    solved = _assign(view, flow)
    if isinstance(solved, Finding):
        return solved
    peeled = peel_flow(view, solved).peeled
    if len(peeled.stuck):
        return _stuck(view, flow, solved, peeled)
    return found_empty(view, solved, flow)


@dataclass(frozen=True, slots=True)
class _Peeling:
    gaps: Gaps
    push: tuple[Int64, Int64]
    pop: tuple[Int64, Int64]
    peeled: Peeled


def peel_flow(view: View, flow: Flow) -> _Peeling:
    gaps = Gaps.of(view.start, view.end)
    push = gaps.after(flow.put_start), gaps.after(flow.put_end)
    # A value that is never popped leaves in one more gap, after everything.
    never = flow.never
    pop = (
        np.where(never, gaps.count, gaps.after(flow.take_start)),
        np.where(never, gaps.count + 1, np.minimum(gaps.after(flow.take_end), gaps.count)),
    )
    return _Peeling(gaps, push, pop, peel(*push, *pop, gaps.count + 1))


def deadlines(view: View, flow: Flow) -> tuple[Int64, Int64]:
    """Return for each value that is never taken the earliest return that proves it gone, and the place of that operation (-1: none).

    The proof is a value pushed wholly before it, and popped after its push, or an empty stack.
    """
    taken = np.flatnonzero(~flow.never)
    start = np.concatenate([flow.put_end[taken], np.full(len(flow.empty), -1)])
    inner = np.concatenate([flow.take_start[taken], view.start[flow.empty]])
    end = np.concatenate([flow.take_end[taken], view.end[flow.empty]])
    place = np.concatenate([flow.take[taken], flow.empty])
    never = np.flatnonzero(flow.never)
    best, who = least_beyond(start, inner, end, flow.put_start[never], flow.put_end[never])
    limit, witness = np.full(len(flow.value), OPEN), np.full(len(flow.value), -1)
    limit[never], witness[never] = best, np.append(place, -1)[who]
    return limit, witness


def _assign(view: View, flow: Flow) -> Flow | Finding:
    if not len(flow.unknown):
        return flow
    limit, witness = deadlines(view, flow)
    needy = np.flatnonzero(flow.never & (limit < OPEN))
    needy = needy[np.argsort(limit[needy], kind="stable")]
    missed = unmet(limit[needy], view.start[flow.unknown])
    if missed is not None:
        return lost(view, flow, needy[: missed + 1], witness, limit)
    return flow.assigned(needy, flow.unknown[: len(needy)], view)


def lost(view: View, flow: Flow, needy: Int64, witness: Int64, limit: Int64) -> Finding:
    """Report that more values are missing than removals of unknown outcome can have taken in time."""
    missing = [int(entry) for entry in needy]
    last = missing[-1]
    before = [int(place) for place in flow.unknown if view.start[place] < limit[last]]
    rows = [*before]
    for entry in missing:
        taker = int(witness[entry])
        by_take = np.flatnonzero(flow.take == taker)
        rows += [int(flow.put[entry]), *(int(flow.put[other]) for other in by_take), taker]
    text = (
        f"{shown(view, flow, last)} is lost: {view.describe(int(flow.put[last]))} was acknowledged, {view.describe(int(witness[last]))} shows that it is gone, "
        f"and no operation took it; {len(missing)} such values are missing, where {len(before)} removals of unknown outcome began in time."
    )
    return Finding("lost-write", tuple(sorted(set(rows))), text, {"lost": len(missing)})


def _stuck(view: View, flow: Flow, solved: Flow, peeled: Peeled) -> Finding:
    chosen = np.zeros(len(flow.value), np.bool_)
    chosen[peeled.stuck] = True
    if len(flow.unknown):
        # Values that a removal of unknown outcome may have taken prove nothing; if the others alone are stuck, that is proof enough.
        chosen &= ~flow.never
        if chosen.any():
            chosen = _stuck_among(view, flow, chosen)
        if not chosen.any():
            stuck = [int(entry) for entry in peeled.stuck]
            raise Doubt(
                "removals of unknown outcome may have taken values in another order",
                flow.places(stuck) + flow.unknown.tolist(),
            )
    small = smallest(np.flatnonzero(chosen).tolist(), lambda entries: _is_stuck(view, flow, entries))
    return _crossing(view, flow, small)


def _stuck_among(view: View, flow: Flow, chosen: Mask) -> Mask:
    left = np.zeros(len(chosen), np.bool_)
    entries = np.flatnonzero(chosen)
    left[entries[peel_flow(view, flow.only(chosen)).peeled.stuck]] = True
    return left


def _is_stuck(view: View, flow: Flow, entries: list[int]) -> bool:
    chosen = np.zeros(len(flow.value), np.bool_)
    chosen[entries] = True
    part = flow.only(chosen)
    few = View(view.columns, view.rows[np.array(flow.places(entries))])
    return bool(len(peel_flow(few, part).peeled.stuck))


def _crossing(view: View, flow: Flow, entries: list[int]) -> Finding:
    rows = tuple(flow.places(entries))
    values = ", ".join(shown(view, flow, entry) for entry in entries)
    gone = [entry for entry in entries if flow.never[entry]]
    if len(entries) == 2 and len(gone) == 1:
        (top,) = gone
        (below,) = (entry for entry in entries if entry != top)
        text = (
            f"{shown(view, flow, below)} was popped from below {shown(view, flow, top)}, which was pushed on top of it and never popped: "
            f"{view.describe_all(rows)}."
        )
        return Finding("lost-write", rows, text)
    text = f"no order of last in, first out gives these pushes and pops of {values}: {view.describe_all(rows, 10)}."
    return Finding("lifo-order", rows, text)


def stack_order(view: View) -> Int64:
    """Return a legal order of the places of a valid stack's operations: each value as late in and as early out as its peeling allows."""
    flow = flow_of(view, WORDS)
    solved = _assign(view, flow) if isinstance(flow, Flow) else flow
    assert isinstance(solved, Flow), "only valid histories have an order"
    peeling = peel_flow(view, solved)
    turn = peeling.peeled.turn
    enters, leaves = _latest_free(peeling, turn), _earliest_free(peeling, turn)
    cored = peeling.push[1] < peeling.pop[0]
    at_once = np.maximum(peeling.push[0], peeling.pop[0])
    enters, leaves = np.where(cored, enters, at_once), np.where(cored, leaves, at_once)
    gaps = peeling.gaps
    free = np.flatnonzero(peeling.peeled.freed == 0)
    empties = free[np.searchsorted(free, gaps.after(view.start[solved.empty]))]
    # At one moment: pops, inner values first; then removals that find nothing; values that go in and out at once; pushes, outer values
    # first.
    out, into = np.where(cored, 0, 2), np.where(cored, 3, 2)
    rank = np.where(cored, -turn, 2 * turn + 1), np.where(cored, turn, 2 * turn)
    places = np.concatenate([solved.take, solved.put, solved.empty])
    at = np.concatenate([leaves, enters, empties])
    phase = np.concatenate([out, into, np.ones(len(empties), np.int64)])
    ranks = np.concatenate([*rank, np.zeros(len(empties), np.int64)])
    order = places[np.lexsort((ranks, phase, at))]
    return order[order >= 0]


def _latest_free(peeling: _Peeling, turn: Int64) -> Int64:
    """Return for each value the last gap of its push that was free when it was peeled."""
    return -_earliest(-peeling.push[1] + 1 + peeling.gaps.count, peeling.peeled.freed[::-1], turn, peeling.gaps.count)


def _earliest_free(peeling: _Peeling, turn: Int64) -> Int64:
    return _earliest(peeling.pop[0], peeling.peeled.freed, turn, 0)


def _earliest(first: Int64, freed: Int64, turn: Int64, mirror: int) -> Int64:
    """Return for each query the first gap from `first` on that was freed before or at its turn: by doubling steps over least freeing times."""
    times = np.where(freed < 0, OPEN, freed)
    tables = [times]
    while (1 << (len(tables) - 1)) < len(times):
        half = 1 << (len(tables) - 1)
        tables.append(np.minimum(tables[-1], np.append(tables[-1][half:], np.full(half, OPEN))))
    at = first.copy()
    for size in range(len(tables) - 1, -1, -1):
        inside = np.minimum(at, len(times) - 1)
        skip = (at < len(times)) & (tables[size][inside] > turn)
        at = np.where(skip, at + (1 << size), at)
    return at - mirror
