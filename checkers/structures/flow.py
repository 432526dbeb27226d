"""What queues, stacks and priority queues share: every value is put in once and taken out at most once, or never.

By value: when its put began and ended, when its take began and ended. What was never taken begins to be taken at `OPEN`, after everything. Dropped are
what failed, and puts of unknown outcome that nobody took: they are optional, and without effect on anything seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from histories.columns import NONE_ID, OPEN, Int64

from ..wording import show
from .finding import Finding, Unsuitable
from .view import Mask, View

NOBODY = -1
STILL_OPEN = OPEN - 1
"""The end of a take of unknown outcome that happened: late, but before what never happens."""


@dataclass(frozen=True, slots=True)
class Words:
    """What the operations of a structure are called."""

    put: str
    take: str
    thing: str


@dataclass(frozen=True, slots=True)
class Flow:
    """One entry a value: its id, the places of its put and take (or `NOBODY`) and their intervals.

    `empty` are places of removals that found nothing, `unknown` those of removals of unknown outcome, both by start.
    """

    value: Int64
    put: Int64
    take: Int64
    put_start: Int64
    put_end: Int64
    take_start: Int64
    take_end: Int64
    empty: Int64
    unknown: Int64

    @property
    def never(self) -> Mask:
        found: Mask = self.take == NOBODY
        return found

    def only(self, chosen: Mask) -> Flow:
        """Without the values that are not chosen. If what is left has no legal order, neither had the whole."""
        names = ("value", "put", "take", "put_start", "put_end", "take_start", "take_end")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})

    def assigned(self, values: Int64, takes: Int64, view: View) -> Flow:
        """As if removals of unknown outcome (`takes`, places) had taken these values (entries)."""
        take, start, end = self.take.copy(), self.take_start.copy(), self.take_end.copy()
        take[values], start[values], end[values] = takes, view.start[takes], STILL_OPEN
        return replace(self, take=take, take_start=start, take_end=end)

    def places(self, entries: list[int]) -> list[int]:
        """The operations of these values, by start."""
        found = [int(column[entry]) for entry in entries for column in (self.put, self.take)]
        return sorted(place for place in found if place != NOBODY)


def flow_of(view: View, words: Words) -> Flow | Finding:
    """The flow, or the finding that a value was taken which cannot have been there. Raises `Unsuitable` if values are not unique."""
    is_put, is_take = view.called(words.put), view.called(words.take)
    puts = np.flatnonzero(is_put & ~view.failed)
    takes = np.flatnonzero(is_take & view.ok & ~view.saw_empty)
    by_value = np.argsort(view.argument[puts], kind="stable")
    puts = puts[by_value]
    ids = view.argument[puts].astype(np.int64)
    if len(ids) and (ids[0] <= NONE_ID or (ids[1:] == ids[:-1]).any()):
        raise Unsuitable(f"values are not unique, or are null or lists: their {words.put} does not identify them")
    entry, taken = np.searchsorted(ids, view.result[takes]), view.result[takes]
    known = np.append(ids, NOBODY - 1)[entry] == taken
    if not known.all():
        return _unwritten(view, int(takes[~known][0]), words)
    first = np.full(len(ids), NOBODY, np.int64)
    first[entry[::-1]] = takes[::-1]
    again = np.flatnonzero(first[entry] != takes)
    if len(again):
        return _twice(view, puts, first, entry, takes, int(again[0]), words)
    early = np.flatnonzero(view.end[takes] < view.start[puts[entry]])
    if len(early):
        return _early(view, int(takes[early[0]]), int(puts[entry[early[0]]]), words)
    kept = (first != NOBODY) | ~view.info[puts]
    puts, first, ids = puts[kept], first[kept], ids[kept]
    never = first == NOBODY
    return Flow(
        ids,
        puts,
        first,
        view.start[puts],
        view.end[puts],
        np.where(never, OPEN, view.start[first]),
        np.where(never, OPEN, view.end[first]),
        np.flatnonzero(is_take & view.saw_empty),
        np.flatnonzero(is_take & view.info),
    )


def shown(view: View, flow: Flow, entry: int) -> str:
    return show(view.value(int(flow.value[entry])))


def _unwritten(view: View, take: int, words: Words) -> Finding:
    value_id = int(view.result[take])
    value = view.value(value_id)
    failed = np.flatnonzero(view.called(words.put) & view.failed & (view.argument == value_id))
    if value_id > NONE_ID and len(failed):
        put = int(failed[0])
        text = f"{show(value)} was taken although its {words.put} was refused and so must never take effect: {view.tell(put)}; {view.tell(take)}."
        return Finding("aborted-read", (put, take), text)
    text = f"{show(value)} was taken, which nobody ever tried to {words.put}: {view.tell(take)}."
    return Finding("thin-air", (take,), text)


def _twice(view: View, puts: Int64, first: Int64, entry: Int64, takes: Int64, at: int, words: Words) -> Finding:
    rows = (int(puts[entry[at]]), int(first[entry[at]]), int(takes[at]))
    value = show(view.value(int(view.result[rows[1]])))
    text = f"{value} was put in once and taken twice: {view.tell_all(rows)}."
    return Finding("duplicate", rows, text)


def _early(view: View, take: int, put: int, words: Words) -> Finding:
    text = f"{show(view.value(int(view.result[take])))} was taken before its {words.put} had begun: {view.tell(take)}; then {view.tell(put)}."
    return Finding("future-read", (take, put), text)
