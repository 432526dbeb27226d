"""Locks that return fencing tokens: each acquire returns a greater token than all before it. O(n log n).

Tokens give the order: acquire and release of the least token, of the next, and so on. It is legal exactly if no operation began after a later one had
returned. Every token but the greatest must have been released (a lock that is taken over when a lease expires is not such a lock). A release of
unknown outcome may have happened at any time since; an acquire of unknown outcome returned no token, and is dropped.
"""

from __future__ import annotations

import numpy as np

from tribulation.histories.model.columns import NONE_ID, Int64

from ....models.operation_names import ACQUIRES, RELEASES
from ..parts.finding import Finding, Unsuitable
from ..parts.intervals import out_of_order
from ..parts.view import View


def check_fencing(view: View) -> Finding | None:
    line = _line(view)
    if isinstance(line, Finding):
        return line
    place, group = line
    found = out_of_order(view.start[place], view.end[place], group)
    if found is None:
        return None
    return _disorder(view, place, group, *found)


def fencing_order(view: View) -> Int64:
    """Return a legal order of the places of a valid lock's operations."""
    line = _line(view)
    assert not isinstance(line, Finding), "only valid histories have an order"
    return line[0]


def _line(view: View) -> tuple[Int64, Int64] | Finding:
    """Return places and groups by token, an acquire (even group) before its release (odd group); or what is wrong with the tokens."""
    acquires = np.flatnonzero(view.called(*ACQUIRES) & view.ok)
    releases, released, homeless = _releases(view, acquires)
    if len(homeless):
        place = int(homeless[0])
        return Finding(
            "bad-release", (place,), f"a process released a token without having one: {view.describe(place)}."
        )
    try:
        token = view.numbers(view.result[acquires])
    except TypeError as error:
        raise Unsuitable(f"tokens are not integers: {error}") from None
    order = np.argsort(token, kind="stable")
    acquires, token = acquires[order], token[order]
    again = np.flatnonzero(token[1:] == token[:-1])
    if len(again):
        rows = tuple(sorted(int(place) for place in acquires[again[0] : again[0] + 2]))
        return Finding("duplicate-token", rows, f"token {token[again[0]]} was given twice: {view.describe_all(rows)}.")
    rank_of = np.full(len(view.columns.values), -1, np.int64)
    rank_of[view.result[acquires]] = np.arange(len(acquires))
    rank = rank_of[released]
    unknown = np.flatnonzero((rank < 0) & view.ok[releases])
    if len(unknown):
        place = int(releases[unknown[0]])
        return Finding("bad-release", (place,), f"a token was released that was never issued: {view.describe(place)}.")
    releases, rank = releases[rank >= 0], rank[rank >= 0]
    # Of several releases of one token those of unknown outcome are optional; the earliest is the one that may have happened.
    by_token = np.lexsort((view.start[releases], view.info[releases], rank))
    releases, rank = releases[by_token], rank[by_token]
    more = np.flatnonzero((rank[1:] == rank[:-1]) & view.ok[releases[1:]]) + 1
    if len(more):
        rows = tuple(int(place) for place in (acquires[rank[more[0]]], releases[more[0] - 1], releases[more[0]]))
        return Finding("bad-release", rows, f"a token was released twice: {view.describe_all(rows)}.")
    first = np.append(True, rank[1:] != rank[:-1]) if len(rank) else np.zeros(0, np.bool_)
    releases, rank = releases[first], rank[first]
    kept = np.setdiff1d(np.arange(len(acquires) - 1), rank)
    if len(kept):
        return _kept(view, int(acquires[kept[0]]), int(acquires[kept[0] + 1]))
    together = np.concatenate([acquires, releases])
    group = np.concatenate([2 * np.arange(len(acquires)), 2 * rank + 1])
    in_line = np.argsort(group, kind="stable")
    return together[in_line], group[in_line]


def _releases(view: View, acquires: Int64) -> tuple[Int64, Int64, Int64]:
    """Return places of releases and the ids of their tokens: those that they name, else the last that their process was given.

    Third, those of processes that were given none before. One of unknown outcome did not happen then, and is left out.
    """
    releases = np.flatnonzero(view.called(*RELEASES) & ~view.failed)
    named = view.argument[releases].astype(np.int64)
    if (named > NONE_ID).all():
        return releases, named, releases[:0]
    process = view.process.astype(np.int64)
    span = len(view) + 1
    given = process[acquires] * span + acquires
    order = np.argsort(given)
    before = np.searchsorted(given[order], process[releases] * span + releases) - 1
    mine = np.append(acquires[order], -1)[before]
    own = (before >= 0) & (process[mine] == process[releases])
    homeless = releases[~own & view.ok[releases]]
    return releases[own], view.result[mine[own]].astype(np.int64), homeless


def _kept(view: View, holder: int, taker: int) -> Finding:
    rows = (holder, taker)
    text = f"the lock was given to a second holder although the first never released it: {view.describe_all(rows)}."
    return Finding("double-acquire", rows, text)


def _disorder(view: View, place: Int64, group: Int64, late_at: int, early_at: int) -> Finding:
    """Word the violation: by their tokens `late` belongs before `early`, but it began after `early` had returned."""
    late, early = int(place[late_at]), int(place[early_at])
    ranks = group[late_at] // 2, group[early_at] // 2
    acquires = [int(place[np.searchsorted(group, 2 * rank)]) for rank in ranks]
    rows = tuple(sorted({late, early, *acquires}))
    if group[late_at] % 2 and not group[early_at] % 2:
        text = f"two held the lock at the same time: {view.describe_all(rows)}."
        return Finding("double-acquire", rows, text)
    if ranks[0] == ranks[1]:
        return Finding("bad-release", rows, f"a token was released before it was issued: {view.describe_all(rows)}.")
    text = f"the smaller token was given after the greater one: {view.describe_all(rows)}."
    return Finding("token-order", rows, text)
