"""Sets: element by element where operations name one element, as a chain of reads where reads return the whole.

Elements are independent. One that is added at most once and removed at most once is judged by what proves it inside and what proves it outside, for
all elements at once, in O(n log n). An element used in other ways goes to the general search, by itself. Sets that only grow and are read as a whole:
`grow_set`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tribulation.histories.model.columns import NONE_ID, OPEN, Int64

from ....base.wording import show
from ..parts.finding import Finding, Unsuitable
from ..parts.view import Mask, View
from .grow_set import check_grow_set, grow_set_order


def check_set(view: View) -> Finding | None:
    if not view.called("read").any():
        return check_elements(view)
    if view.called("remove", "contains").any():
        raise Unsuitable("whole reads together with removals or reads of single elements")
    adds = np.flatnonzero(view.called("add") & view.ok)
    said_true, said_false = _answers(view, adds)
    added = view.argument[view.called("add") & ~view.failed]
    if said_false.any() or (said_true.any() and len(np.unique(added)) < len(added)):
        raise Unsuitable("adds that return whether they changed the set, together with whole reads")
    if (view.argument[view.called("add")] < 0).any():
        raise Unsuitable("elements that are lists")
    return check_grow_set(view)


def set_order(view: View) -> Int64:
    """Return a legal order of the places of a valid set's operations."""
    return grow_set_order(view) if view.called("read").any() else _elements_order(view)


@dataclass(frozen=True, slots=True)
class _Uses:
    """Operations sorted by element (`begin`: where each element's start): the kind of each, and its interval."""

    place: Int64
    begin: Int64
    element: Int64
    number: Int64
    start: Int64
    end: Int64
    add: Mask
    inside: Mask
    outside: Mask
    removal: Mask
    blind: Mask
    maybe_removed: Mask

    def least(self, mask: Mask, values: Int64) -> Int64:
        return np.minimum.reduceat(np.where(mask, values, OPEN), self.begin)

    def greatest(self, mask: Mask, values: Int64) -> Int64:
        return np.maximum.reduceat(np.where(mask, values, -1), self.begin)

    def count(self, mask: Mask) -> Int64:
        return np.add.reduceat(mask.astype(np.int64), self.begin)


def _uses(view: View) -> _Uses:
    relevant = view.called("add", "remove", "contains") & ~view.failed
    relevant &= ~(view.called("contains") & view.info)
    places = np.flatnonzero(relevant)
    places = places[np.argsort(view.argument[places], kind="stable")]
    element = view.argument[places].astype(np.int64)
    begin = np.flatnonzero(np.append(True, element[1:] != element[:-1])) if len(places) else places
    said_true, said_false = _answers(view, places)
    ok = view.ok[places]
    add, remove = view.called("add")[places], view.called("remove")[places]
    contains = ~add & ~remove
    return _Uses(
        places,
        begin,
        element[begin],
        np.repeat(np.arange(len(begin)), np.diff(np.append(begin, len(places)))),
        view.start[places],
        view.end[places],
        add & ~(ok & said_false),
        ok & ((add & True) | (said_true & (contains | remove))),
        ok & said_false & (contains | remove),
        ok & remove & said_true,
        ok & remove & ~said_true & ~said_false,
        remove & ~ok,
    )


def _answers(view: View, places: Int64) -> tuple[Mask, Mask]:
    """Return which operations answered true, and which false."""
    ids = view.result[places]
    used = np.unique(ids)
    true = [number for number in used if number > NONE_ID and view.value(int(number)) is True]
    false = [number for number in used if number > NONE_ID and view.value(int(number)) is False]
    return np.isin(ids, true), np.isin(ids, false)


@dataclass(frozen=True, slots=True)
class _Known:
    """Facts of each element: whether it was certainly inside once, the first return and the last invocation that show it, and when its absence may
    begin again.
    """

    seen: Mask
    shown_first: Int64
    shown_last: Int64
    gone_from: Int64
    inside: Mask
    removal: Mask
    hard: Mask


def _known(uses: _Uses) -> _Known:
    adds, blinds = uses.count(uses.add), uses.count(uses.blind)
    removals, maybe = uses.count(uses.removal), uses.count(uses.maybe_removed)
    first = uses.least(uses.inside, uses.end)
    # A blind removal that began after the element was certainly inside, and is the only one, did remove it; one that ended before the add
    # began did nothing.
    begun = uses.greatest(uses.blind, uses.start)
    effective = (blinds == 1) & (removals == 0) & (maybe == 0) & (begun > first)
    idle = uses.greatest(uses.blind, uses.end) < uses.least(uses.add, uses.start)
    hard = (adds > 1) | (removals > 1) | ((blinds > 0) & ~effective & ~idle & (adds > 0))
    inside = uses.inside | (uses.blind & effective[uses.number])
    removal = uses.removal | (uses.blind & effective[uses.number])
    shown_first, shown_last = uses.least(inside, uses.end), uses.greatest(inside, uses.start)
    may_go = np.maximum(shown_last, uses.least(uses.maybe_removed, uses.start))
    gone = np.where(uses.count(removal) > 0, shown_last, np.where(maybe > 0, may_go, OPEN))
    return _Known(uses.count(inside) > 0, shown_first, shown_last, gone, inside, removal, hard)


def check_elements(view: View) -> Finding | None:
    """Check every element that is added once and removed once; raises `Unsuitable` with the others, separately, if these are legal."""
    uses = _uses(view)
    if not len(uses.place):
        return None
    known = _known(uses)
    judged = known.seen & ~known.hard
    unwritten = np.flatnonzero(judged & (uses.count(uses.add) == 0))
    if len(unwritten):
        return _unwritten(view, uses, known, int(unwritten[0]))
    number = uses.number
    early = np.flatnonzero((uses.add & judged[number]) & (uses.start > known.shown_first[number]))
    if len(early):
        return _pair(view, uses, known, int(early[0]), "future-read")
    after = np.flatnonzero((known.removal & judged[number]) & (uses.end < known.shown_last[number]))
    if len(after):
        return _pair(view, uses, known, int(after[0]), "read-after-removal")
    missing = (
        uses.outside & judged[number] & (uses.start > known.shown_first[number]) & (uses.end < known.gone_from[number])
    )
    if missing.any():
        return _missing(view, uses, known, int(np.flatnonzero(missing)[0]))
    hard = np.flatnonzero(known.hard)
    if len(hard):
        ends = np.append(uses.begin, len(uses.place))
        raise Unsuitable(
            "an element is added or removed more than once",
            [uses.place[ends[item] : ends[item + 1]].tolist() for item in hard],
        )
    return None


def _unwritten(view: View, uses: _Uses, known: _Known, item: int) -> Finding:
    shows = int(uses.place[np.flatnonzero(known.inside & (uses.number == item))[0]])
    element = int(uses.element[item])
    refused = np.flatnonzero(view.called("add") & view.failed & (view.argument == element))
    name = show(view.value(element))
    if len(refused):
        text = f"{name} was in the set although its add was refused: {view.describe(int(refused[0]))}; {view.describe(shows)}."
        return Finding("aborted-read", (int(refused[0]), shows), text, {"element": view.value(element)})
    return Finding(
        "thin-air",
        (shows,),
        f"{name} was in the set, which no client tried to add: {view.describe(shows)}.",
        {"element": view.value(element)},
    )


def _pair(view: View, uses: _Uses, known: _Known, late: int, kind: str) -> Finding:
    mine = np.flatnonzero(known.inside & (uses.number == uses.number[late]))
    if kind == "future-read":
        other, middle = mine[np.argmin(uses.end[mine])], "was in the set before its add had begun"
    else:
        other, middle = mine[np.argmax(uses.start[mine])], "was in the set after its only removal had returned"
    add = uses.place[uses.add & (uses.number == uses.number[late])]
    rows = tuple(sorted({int(uses.place[late]), int(uses.place[other]), *(int(place) for place in add)}))
    element = view.value(int(uses.element[uses.number[late]]))
    return Finding(kind, rows, f"{show(element)} {middle}: {view.describe_all(rows)}.", {"element": element})


def _missing(view: View, uses: _Uses, known: _Known, at: int) -> Finding:
    mine = np.flatnonzero(known.inside & (uses.number == uses.number[at]))
    first, last = int(mine[np.argmin(uses.end[mine])]), int(mine[np.argmax(uses.start[mine])])
    shows = [first] if known.gone_from[uses.number[at]] == OPEN else [first, last]
    add = uses.place[uses.add & (uses.number == uses.number[at])]
    maybe = uses.place[uses.maybe_removed & (uses.number == uses.number[at])]
    rows = tuple(
        sorted({int(uses.place[at]), *(int(uses.place[one]) for one in shows), *map(int, add), *map(int, maybe[:2])})
    )
    element = view.value(int(uses.element[uses.number[at]]))
    stale_ms = view.ms_between(int(uses.place[first]), int(uses.place[at]))
    text = f"{show(element)} was in the set, and not removed, but was missing {stale_ms} ms later: {view.describe_all(rows)}."
    return Finding("lost-write", rows, text, {"element": element, "staleness_ms": stale_ms})


def _elements_order(view: View) -> Int64:
    """Place each operation at a moment that its element's bounds allow; elements do not affect each other."""
    uses = _uses(view)
    known = _known(uses)
    number = uses.number
    seen = known.seen[number]
    # The add just before the first return that shows it, the removal as soon as all that shows it has begun.
    shown = np.minimum(known.shown_first, OPEN // 4)
    added, gone = (2 * shown - 1)[number], np.maximum(2 * np.minimum(known.gone_from, OPEN // 4) + 1, 2 * shown)[number]
    own = 2 * uses.start + 1
    at = np.where(uses.add, added, np.where(known.removal, gone, np.clip(own, added, gone)))
    late = uses.outside & (uses.start > known.shown_first[number])
    at = np.where(uses.outside, np.where(late, np.maximum(own, gone), own), at)
    at = np.where(uses.blind & ~known.removal, own, at)
    at = np.where(uses.maybe_removed, np.maximum(gone, own), at)
    rank = np.where(uses.add, 0, np.where(known.removal | uses.maybe_removed, 2, np.where(uses.outside & late, 3, 1)))
    rank = np.where(uses.outside & ~late, -1, rank)
    certain = (known.removal & (uses.end < OPEN)) | ~uses.maybe_removed
    removed = uses.count(known.removal) > 0
    first_maybe = (
        uses.maybe_removed & (uses.start == uses.least(uses.maybe_removed, uses.start)[number]) & ~removed[number]
    )
    happens = (certain | first_maybe) & (seen | ~uses.add) & (seen | ~uses.maybe_removed)
    kept = np.flatnonzero(happens)
    kept = kept[np.lexsort((rank[kept], at[kept]))]
    return uses.place[kept]
