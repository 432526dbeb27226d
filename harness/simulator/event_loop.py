"""Virtual time: a heap of callbacks in integer nanoseconds.

Two callbacks of one instant run in the order in which they were scheduled, so a run is a function of its inputs. The loop knows
nothing of nodes or networks. It is not re-entrant: a callback schedules, and never runs the loop itself.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from .errors import SimulationError

Item = tuple[int, int, Callable[..., object], tuple[Any, ...]]
"""When it happens, its place among those of one instant, and the call."""


class Kernel:
    """The event loop. `now_ns` is the only clock of a simulation; it moves when the next callback is taken from the heap."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._sequence = 0
        self._heap: list[Item] = []
        self._running = False
        self._interrupted = False

    def schedule(self, at_ns: int, call: Callable[..., object], *arguments: Any) -> None:
        """Run `call(*arguments)` at `at_ns`; a time that has passed means now, after everything already due."""
        heappush(self._heap, self._item(at_ns, call, arguments))

    def schedule_step(self, actor: int, at_ns: int, call: Callable[..., object], *arguments: Any) -> None:
        """Schedule a step of a link, a node or a disk, which `step_orders` may put into another order."""
        self.schedule(at_ns, call, *arguments)

    def in_order(self) -> None:
        """Put no step before one that is due earlier, from now on."""

    @property
    def next_ns(self) -> int | None:
        """When the next callback is due, or None when nothing is scheduled."""
        return self._heap[0][0] if self._heap else None

    def interrupt(self) -> None:
        """End the loop after the current callback, and leave the clock where it is."""
        self._interrupted = True

    def run_until(self, until_ns: int) -> bool:
        """Run everything due up to and including `until_ns`, and leave the clock there. Returns False when a callback interrupted before."""
        self._enter()
        try:
            while (item := self._take(until_ns)) is not None:
                self.now_ns, _, call, arguments = item
                call(*arguments)
                if self._interrupted:
                    return False
            self.now_ns = max(self.now_ns, until_ns)
            return True
        finally:
            self._running = False

    def run_while(self, predicate: Callable[[], bool], limit_ns: int) -> bool:
        """Run while `predicate()` holds, at most to `limit_ns`. Returns True when it stopped holding, False at the limit.

        The predicate is called before every callback. A caller that knows when it stops holding calls `interrupt` in a `run_until` instead.
        """
        self._enter()
        try:
            while predicate():
                item = self._take(limit_ns)
                if item is None:
                    self.now_ns = max(self.now_ns, limit_ns)
                    return not predicate()
                self.now_ns, _, call, arguments = item
                call(*arguments)
            return True
        finally:
            self._running = False

    def _item(self, at_ns: int, call: Callable[..., object], arguments: tuple[Any, ...]) -> Item:
        if type(at_ns) is not int:
            raise SimulationError(f"schedule at {at_ns!r}: virtual time is an int in ns", "round before scheduling")
        self._sequence += 1
        return (at_ns if at_ns > self.now_ns else self.now_ns, self._sequence, call, arguments)

    def _take(self, limit_ns: int) -> Item | None:
        """Take what is next from its queue; None when nothing is due up to the limit."""
        heap = self._heap
        return heappop(heap) if heap and heap[0][0] <= limit_ns else None

    def _enter(self) -> None:
        if self._running:
            raise SimulationError(
                f"the loop was entered again from a callback at {self.now_ns} ns",
                "schedule a callback instead of running the loop",
            )
        self._running, self._interrupted = True, False
