"""Legal orders of queues for certificates, built on request."""

from __future__ import annotations

from collections import deque

import numpy as np

from tribulation.histories.model.columns import Int64

from .flow import NONE, STILL_OPEN, Flow


def two_interval_order(flow: Flow, moments: Int64) -> Int64:
    """Return the order of a queue: values in one order for puts and takes; removals that found nothing stand between them, at `moments`.

    A value comes before another if its put, or its take, precedes the other's. A moment is treated as a value that is put and taken there.
    """
    count = len(flow.value)
    between = 2 * moments + 1
    put_start, put_end, take_start, take_end = (
        np.concatenate([_doubled(side), between])
        for side in (
            flow.put_start,
            # A value is put before it is taken.
            np.minimum(flow.put_end, flow.take_end),
            np.maximum(flow.take_start, flow.put_start),
            flow.take_end,
        )
    )
    order = _common_order(put_start, put_end, take_start, take_end)
    put_at = np.maximum.accumulate(put_start[order])
    take_at = np.maximum(np.maximum.accumulate(take_start[order]), put_at)
    rank = np.arange(len(order))
    empties = order >= count
    values = order[~empties]
    places = np.concatenate([flow.put[values], flow.take[values], flow.empty[order[empties] - count]])
    at = np.concatenate([put_at[~empties], take_at[~empties], put_at[empties]])
    # At one moment: earlier values first; the put of a value before its take.
    ranks = np.concatenate([rank[~empties], rank[~empties], rank[empties]])
    kind = np.repeat([0, 1, 0], [len(values), len(values), int(empties.sum())])
    found = places[np.lexsort((kind, ranks, at))] if len(places) else places
    kept: Int64 = found[found != NONE]
    return kept


def _doubled(positions: Int64) -> Int64:
    """Return positions with room between each two; the ends of what is open stay last, and in order."""
    late = positions >= STILL_OPEN
    return np.where(late, (1 << 62) + (positions - STILL_OPEN), 2 * np.where(late, 0, positions))


def _common_order(put_start: Int64, put_end: Int64, take_start: Int64, take_end: Int64) -> Int64:
    """Return an order that both sequences of intervals allow (Kahn's algorithm; precedence is read from sorted ends, never written out)."""
    count = len(put_start)
    sides = (_Side(put_start, put_end), _Side(take_start, take_end))
    waits = [2] * count
    ready: deque[int] = deque()
    order: list[int] = []
    done = [False] * count
    while len(order) < count:
        for side in sides:
            for entry in side.admitted(done):
                waits[entry] -= 1
                if not waits[entry]:
                    ready.append(entry)
        if not ready:
            raise AssertionError("no common order: the history is not valid")
        while ready:
            entry = ready.popleft()
            done[entry] = True
            order.append(entry)
    return np.array(order, np.int64)


class _Side:
    """Intervals by start and by end: one is admitted when it begins before every one that is not done has ended."""

    def __init__(self, start: Int64, end: Int64) -> None:
        self._by_start: list[int] = np.argsort(start, kind="stable").tolist()
        self._by_end: list[int] = np.argsort(end, kind="stable").tolist()
        self._start, self._end = start.tolist(), end.tolist()
        self._begun = self._ended = 0

    def admitted(self, done: list[bool]) -> list[int]:
        while self._ended < len(self._by_end) and done[self._by_end[self._ended]]:
            self._ended += 1
        if self._ended == len(self._by_end):
            return []
        limit = self._end[self._by_end[self._ended]]
        first = self._begun
        while self._begun < len(self._by_start) and self._start[self._by_start[self._begun]] <= limit:
            self._begun += 1
        return self._by_start[first : self._begun]
