"""Common part of queues, stacks and priority queues: every value is put in once and taken out at most once, or never.

By value: when its put began and ended, when its take began and ended. For a value that was never taken, the take begins at `OPEN`, after everything.
Dropped are operations that failed, and puts of unknown outcome whose value was never taken: they are optional, and without effect on anything seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tribulation.histories.model.columns import ABSENT, NONE_ID, OPEN, Int64

from ....base.wording import show
from ..parts.finding import Finding, Unsuitable
from ..parts.view import Mask, View

NONE = -1
STILL_OPEN = OPEN - 1
"""End of a take of unknown outcome that happened: late, but before what never happens."""


@dataclass(frozen=True, slots=True)
class Words:
    """Names of the operations of a structure."""

    puts: tuple[str, ...]
    takes: tuple[str, ...]
    put: str


@dataclass(frozen=True, slots=True)
class Flow:
    """One entry per value: its id, the places of its put and take (or `NONE`) and their intervals.

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
        found: Mask = self.take == NONE
        return found

    def only(self, chosen: Mask) -> Flow:
        """Return it without the values that are not chosen. If the rest has no legal order, the whole had none."""
        names = ("value", "put", "take", "put_start", "put_end", "take_start", "take_end")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})

    def assigned(self, values: Int64, takes: Int64, view: View) -> Flow:
        """Return it as if removals of unknown outcome (`takes`, places) had taken these values (entries)."""
        take, start, end = self.take.copy(), self.take_start.copy(), self.take_end.copy()
        take[values], start[values], end[values] = takes, view.start[takes], STILL_OPEN
        return replace(self, take=take, take_start=start, take_end=end)

    def places(self, entries: list[int]) -> list[int]:
        """Return the operations of these values, by start."""
        found = [int(column[entry]) for entry in entries for column in (self.put, self.take)]
        return sorted(place for place in found if place != NONE)


def flow_of(view: View, words: Words) -> Flow | Finding:
    """Return the flow, or the finding that a value was taken which cannot have been there. Raises `Unsuitable` if values are not unique."""
    is_put, is_take = view.called(*words.puts), view.called(*words.takes)
    puts = np.flatnonzero(is_put & ~view.failed)
    takes, taken = _takes(view, is_take & view.ok & ~view.saw_empty)
    by_value = np.argsort(view.argument[puts], kind="stable")
    puts = puts[by_value]
    ids = view.argument[puts].astype(np.int64)
    if len(ids) and (ids[0] <= NONE_ID or (ids[1:] == ids[:-1]).any()):
        raise Unsuitable(f"values are not unique, or are null or lists: their {words.put} does not identify them")
    entry = np.searchsorted(ids, taken)
    unknown = np.flatnonzero(np.append(ids, NONE - 1)[entry] != taken)
    if len(unknown):
        return _unwritten(view, int(takes[unknown[0]]), int(taken[unknown[0]]), words)
    number = np.full(len(ids), NONE, np.int64)
    number[entry[::-1]] = np.arange(len(takes))[::-1]
    again = np.flatnonzero(number[entry] != np.arange(len(takes)))
    if len(again):
        value = entry[again[0]]
        return _twice(view, int(ids[value]), [puts[value], takes[number[value]], takes[again[0]]])
    first = np.append(takes, NONE)[number]
    early = np.flatnonzero(view.end[takes] < view.start[puts[entry]])
    if len(early):
        return _early(view, int(takes[early[0]]), int(puts[entry[early[0]]]), int(taken[early[0]]), words)
    kept = (first != NONE) | ~view.info[puts]
    puts, first, ids = puts[kept], first[kept], ids[kept]
    never = first == NONE
    gone, is_drain = np.flatnonzero(is_take & view.info), view.called("drain")
    return Flow(
        ids,
        puts,
        first,
        view.start[puts],
        view.end[puts],
        np.where(never, OPEN, view.start[first]),
        np.where(never, OPEN, view.end[first]),
        np.flatnonzero(is_take & view.saw_empty & ~is_drain),
        np.repeat(gone, np.where(is_drain[gone], max(int(never.sum()), 1), 1)),
    )


def _takes(view: View, mask: Mask) -> tuple[Int64, Int64]:
    """Return places of removals and the ids that they took: a drain took each value of its list, in an order that does not matter here."""
    places = np.flatnonzero(mask)
    rows = view.columns.result_list[view.rows[places]]
    plain = rows == ABSENT
    lists, offsets = view.columns.lists, view.columns.lists.offsets
    many, rows = places[~plain], rows[~plain]
    items = [lists.row(int(row)) for row in rows]
    drained = np.repeat(many, offsets[rows + 1] - offsets[rows])
    taken = np.concatenate([view.result[places[plain]], *items]).astype(np.int64)
    return np.concatenate([places[plain], drained]), taken


def shown(view: View, flow: Flow, entry: int) -> str:
    return show(view.value(int(flow.value[entry])))


def _unwritten(view: View, take: int, value_id: int, words: Words) -> Finding:
    value = view.value(value_id)
    failed = np.flatnonzero(view.called(*words.puts) & view.failed & (view.argument == value_id))
    if value_id > NONE_ID and len(failed):
        put = int(failed[0])
        text = f"{show(value)} was taken although its {words.put} was refused and so must never take effect: {view.describe(put)}; {view.describe(take)}."
        return Finding("aborted-read", (put, take), text)
    text = f"{show(value)} was taken, which no client ever tried to {words.put}: {view.describe(take)}."
    return Finding("thin-air", (take,), text)


def _twice(view: View, value_id: int, places: list[Any]) -> Finding:
    rows = tuple(dict.fromkeys(int(place) for place in places))
    return Finding(
        "duplicate", rows, f"{show(view.value(value_id))} was put in once and taken twice: {view.describe_all(rows)}."
    )


def _early(view: View, take: int, put: int, value_id: int, words: Words) -> Finding:
    text = f"{show(view.value(value_id))} was taken before its {words.put} had begun: {view.describe(take)}; then {view.describe(put)}."
    return Finding("future-read", (take, put), text)
