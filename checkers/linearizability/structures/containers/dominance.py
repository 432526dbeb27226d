"""Least values among items beyond a point in two directions."""

from __future__ import annotations

from typing import Any

import numpy as np

from tribulation.histories.model.columns import OPEN, Int64

from ...compiled import fast


def least_beyond(start: Int64, inner: Int64, end: Int64, before: Int64, after: Int64) -> tuple[Int64, Int64]:
    """Return for each query the least `end` among items with start < before and inner > after, and the item's number.

    Where there is no such item: `OPEN` and -1. A Fenwick tree over `inner` takes the items by `start`; O((items + queries) log items).
    """
    by_inner = np.argsort(inner, kind="stable")
    rank = np.empty(len(inner), np.int64)
    rank[by_inner] = np.arange(len(inner), 0, -1)
    reach = len(inner) - np.searchsorted(inner[by_inner], after, side="right")
    best, who = np.full(len(before), OPEN), np.full(len(before), -1)
    tree = np.full(len(inner) + 1, -1, np.int64)
    run: Any = fast(_sweep, 8 * (len(inner) + len(before)))
    run(np.argsort(start), np.argsort(before), start, before, rank, reach, end, tree, best, who)
    return best, who


def _sweep(
    by_start: Int64,
    by_query: Int64,
    start: Int64,
    before: Int64,
    rank: Int64,
    reach: Int64,
    end: Int64,
    tree: Int64,
    best: Int64,
    who: Int64,
) -> None:
    """Fill `best` and `who`. A node of the tree holds the number of the item that ends first among those below it, -1 if none."""
    taken = 0
    for query in by_query:
        while taken < len(by_start) and start[by_start[taken]] < before[query]:
            item = by_start[taken]
            taken += 1
            spot = rank[item]
            while spot < len(tree) and (tree[spot] < 0 or end[item] < end[tree[spot]]):
                tree[spot] = item
                spot += spot & -spot
        spot = reach[query]
        while spot:
            item = tree[spot]
            if item >= 0 and (who[query] < 0 or end[item] < best[query]):
                best[query], who[query] = end[item], item
            spot -= spot & -spot
