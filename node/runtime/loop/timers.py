"""Timers by key: the pure table behind `SetTimer` and `CancelTimer`.

A key has at most one timer. Setting replaces, so a replaced or cancelled timer is never reported in a later turn. The generation lets the core ignore
a timer that was due in the same turn in which it was replaced.
"""

from __future__ import annotations

import heapq


class TimerTable:
    def __init__(self) -> None:
        self._heap: list[tuple[int, int, str]] = []
        self._live: dict[str, tuple[int, int]] = {}  # key -> (ticket, generation)
        self._tickets = 0

    def __len__(self) -> int:
        return len(self._live)

    def set(self, key: str, generation: int, at_ns: int) -> None:
        self._tickets += 1
        self._live[key] = (self._tickets, generation)
        heapq.heappush(self._heap, (at_ns, self._tickets, key))
        # An election timer is replaced with every heartbeat: without this the dead entries outnumber the live ones.
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._live):
            self._compact()

    def cancel(self, key: str) -> None:
        self._live.pop(key, None)

    def next_ns(self) -> int | None:
        """Return when the earliest live timer is due."""
        self._drop_dead()
        return self._heap[0][0] if self._heap else None

    def due(self, now_ns: int) -> list[tuple[str, int]]:
        """Remove and return the timers due at `now_ns`, by their time, then by their setting: (key, generation)."""
        fired = []
        while self._heap and self._heap[0][0] <= now_ns:
            _, ticket, key = heapq.heappop(self._heap)
            live = self._live.get(key)
            if live is not None and live[0] == ticket:
                del self._live[key]
                fired.append((key, live[1]))
        return fired

    def _is_live(self, entry: tuple[int, int, str]) -> bool:
        live = self._live.get(entry[2])
        return live is not None and live[0] == entry[1]

    def _drop_dead(self) -> None:
        while self._heap and not self._is_live(self._heap[0]):
            heapq.heappop(self._heap)

    def _compact(self) -> None:
        self._heap = [entry for entry in self._heap if self._is_live(entry)]
        heapq.heapify(self._heap)
