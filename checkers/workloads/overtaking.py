"""Order of operations with a rank: those that overtook one that had ended before they began."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tribulation.histories import Operation


def overtaken(ranked: Sequence[tuple[Operation, Any]], equal: bool = False) -> Iterator[tuple[Operation, Operation]]:
    """Yield (before, after) wherever after began when before had returned, and ranks lower (with `equal`: not higher).

    `ranked` is in order of invocation. For each such after one pair is reported, with the highest rank before it. O(n log n).
    """
    by_end = sorted(
        ((op, rank) for op, rank in ranked if op.complete_index is not None),
        key=lambda item: item[0].complete_index or 0,
    )
    highest: tuple[Operation, Any] | None = None
    at = 0
    for op, rank in ranked:
        while at < len(by_end) and (by_end[at][0].complete_index or 0) < op.invoke_index:
            if highest is None or by_end[at][1] > highest[1]:
                highest = by_end[at]
            at += 1
        if highest is not None and (rank < highest[1] or (equal and rank == highest[1])):
            yield highest[0], op
