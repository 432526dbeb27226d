"""Findings about counters: which sums were seen, and how many adds can or must lie between them."""

from __future__ import annotations

import numpy as np

from tribulation.histories.model.columns import Int64

from ..parts.finding import Finding
from ..parts.view import View
from .counter_slots import Slots


def impossible(view: View, place: int, unit: int, initial: int) -> Finding:
    text = f"no number of additions of {unit} to {initial} gives what was seen: {view.describe(place)}."
    return Finding("thin-air", (place,), text)


def twice_fetched(view: View, one: int, other: int) -> Finding:
    rows = tuple(sorted((one, other)))
    return Finding(
        "lost-update",
        rows,
        f"two additions were made to the same sum, so one of them is lost: {view.describe_all(rows)}.",
    )


def disordered(view: View, late: int, early: int) -> Finding:
    stale_ms = view.ms_between(early, late)
    text = f"{view.describe(late)} began {stale_ms} ms after {view.describe(early)} had returned, and yet saw a sum from before it."
    return Finding("stale-read", (early, late), text, {"staleness_ms": stale_ms})


def unchanged(view: View, slots: Slots, squeezed: int) -> Finding:
    """Report an add that lies wholly between two observations of one sum."""
    add = int(slots.blind[squeezed])
    same = slots.seen[slots.stage == slots.last[squeezed]]
    before, after = int(same[np.argmin(view.end[same])]), int(same[np.argmax(view.start[same])])
    rows = (before, add, after)
    return Finding(
        "lost-update",
        rows,
        f"the sum stayed the same although something was added in between: {view.describe_all(rows)}.",
    )


def broken_slot(view: View, slots: Slots, at: int, lack: bool, unit: int) -> Finding:
    """Report that slots `since` .. `at` lack adds (or have too many): the nearest `since` for which counting alone shows it."""
    need = np.cumsum(slots.need[at::-1])[::-1]
    spans = np.arange(at + 1)
    if lack:
        inside = slots.last[slots.first <= at]
        counts = len(inside) - np.searchsorted(np.sort(inside), spans)
        wrong = np.flatnonzero(counts < need)
    else:
        inside = slots.first[slots.last <= at]
        counts = len(inside) - np.searchsorted(np.sort(inside), spans)
        wrong = np.flatnonzero(counts > need)
    # By Hall's theorem there is one: adds that fit into intervals of slots fail to fill them only where some span lacks adds, or has too
    # many.
    since = int(wrong[-1])
    rows = _bounding(view, slots, since, at, lack)
    adds = f"{int(counts[since])} additions"
    rise = f"{int(need[since])} times {unit}" if unit != 1 else str(int(need[since]))
    additions = view.describe_all(rows)
    if lack:
        text = f"the sum rose by {rise}, apart from additions that answered, where at most {adds} can have happened: {additions}."
        return Finding("thin-air", rows, text, {"rise": int(need[since]), "additions": int(counts[since])})
    forced = slots.blind[(slots.first >= since) & (slots.last <= at)][: int(need[since]) + 1]
    # Adds that answered between the two sums are part of the rise as well.
    answered = slots.seen[(slots.stage >= since - 1) & (slots.stage < at) & (slots.fetch[slots.stage] == 1)]
    rows = tuple(sorted({*rows, *forced.tolist(), *answered.tolist()}))
    text = f"the sum rose by {rise}, apart from additions that answered, while {adds} certainly happened: {view.describe_all(rows)}."
    return Finding("lost-update", rows, text, {"rise": int(need[since]), "additions": int(counts[since])})


def _bounding(view: View, slots: Slots, since: int, at: int, lack: bool) -> tuple[int, ...]:
    """Return the operations that saw the sums at both ends, and those that bound the adds in between."""
    chosen = [
        int(slots.seen[np.flatnonzero(slots.stage == stage)[0]])
        for stage in (since - 1, at)
        if 0 <= stage < len(slots.need)
    ]
    before = slots.seen[slots.stage < since] if lack else slots.seen[slots.stage >= since - 1]
    after = slots.seen[slots.stage >= at] if lack else slots.seen[slots.stage <= at]
    if len(before) and since:
        values = view.start[before] if lack else view.end[before]
        chosen.append(int(before[np.argmax(values) if lack else np.argmin(values)]))
    if len(after):
        values = view.end[after] if lack else view.start[after]
        chosen.append(int(after[np.argmin(values) if lack else np.argmax(values)]))
    return tuple(sorted(set(chosen)))


def out_of_bounds(
    view: View, seen: Int64, sums: Int64, delta: Int64, blind: Int64, step: Int64, initial: int
) -> Finding | None:
    """Report a sum that is less or more than the adds around it allow; its own add does not count."""
    place, by = np.concatenate([seen, blind]), np.concatenate([delta, step])
    returned = _total_before(view.end[place], by, view.start[seen])
    begun = _total_before(view.start[place], by, view.end[seen])
    up, down = np.maximum(delta, 0), np.minimum(delta, 0)
    least = initial + returned[0] + begun[1] - down
    most = initial + begun[0] - up + returned[1]
    wrong = np.flatnonzero((sums < least) | (sums > most))
    if not len(wrong):
        return None
    at = int(wrong[0])
    row = int(seen[at])
    low, high = int(least[at]), int(most[at])
    lost = bool(sums[at] < low)
    # Other adds that certainly happened before it, and so exclude the sum that was seen.
    forced = (place != row) & (view.end[place] < view.start[row]) & ((by > 0) == lost)
    excess = low - int(sums[at]) if lost else int(sums[at]) - high
    proof = (row, *_needless_left_out(place[forced], np.abs(by[forced]), excess))
    text = f"{view.describe(row)} saw {int(sums[at])}, where the additions before and around it allow {low} to {high}"
    also = f"; among them {view.describe_all(proof[1:])}." if proof[1:] else "."
    kind = "lost-update" if lost else "thin-air"
    return Finding(kind, proof, text + also, {"least": low, "most": high})


def _needless_left_out(place: Int64, weight: Int64, excess: int) -> list[int]:
    """Remove as many of the adds, small ones first, as keep the bound broken that was broken by `excess`."""
    order = np.argsort(weight, kind="stable")
    return sorted(place[order[np.cumsum(weight[order]) >= excess]].tolist())


def _total_before(position: Int64, by: Int64, bound: Int64) -> tuple[Int64, Int64]:
    """Return the sum of what is positive, and of what is negative, among `by` whose position is before each bound."""
    order = np.argsort(position, kind="stable")
    at = np.searchsorted(position[order], bound)
    up = np.append(0, np.cumsum(np.maximum(by, 0)[order]))
    down = np.append(0, np.cumsum(np.minimum(by, 0)[order]))
    return up[at], down[at]
