"""Schedules at the granularity of steps: which of the steps that could be next is next, by drawn priorities (PCT, Burckhardt et al. 2010).

Random delays make two steps meet in one order far more often than in the other. Here every *actor* (the messages of one link, the turns of one node,
its timers, its disk) has a drawn priority. Of the steps that fall due within a bound of the earliest one, that of the highest priority is next; those
that it overtakes come later, as if a message, a thread or a disk had been slower. Steps of one actor keep their order, none comes before its time,
and none is overtaken for longer than the bound. Now and then the actor that is next falls below all others.

Faults, clients' deadlines and observers are no actors: they come at their time, and no step that is due later comes before them.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from ..keyed_random import draw
from .event_loop import Item, Kernel
from .options import SimOptions

_PRIORITY, _CHANGE = 0x9C7, 0x9C8


def kernel_of(seed: int, options: SimOptions) -> Kernel:
    """Return the loop that these options ask for."""
    if not options.overtake_ns:
        return Kernel()
    return StepOrders(seed, options.overtake_ns, options.overtake_change_every)


class StepOrders(Kernel):
    """Event loop that takes steps by drawn priorities. `within_ns` bounds how long a step is overtaken; about one step in `change_every` lowers its
    actor's priority.
    """

    def __init__(self, seed: int, within_ns: int, change_every: int) -> None:
        super().__init__()
        self._seed, self._within_ns, self._change_every = seed, within_ns, max(1, change_every)
        self._steps: dict[int, list[Item]] = {}
        self._priorities: dict[int, int] = {}
        self._taken = self._lowered = 0
        self.overtaken = 0
        """Steps that were taken although another was due before."""

    def schedule_step(self, actor: int, at_ns: int, call: Callable[..., object], *arguments: Any) -> None:
        if actor not in self._priorities:
            self._priorities[actor] = draw(self._seed, _PRIORITY, actor)
        heappush(self._steps.setdefault(actor, []), self._item(at_ns, call, arguments))

    def in_order(self) -> None:
        self._within_ns = 0

    @property
    def next_ns(self) -> int | None:
        return min((queue[0][0] for queue in (self._heap, *self._steps.values()) if queue), default=None)

    def _take(self, limit_ns: int) -> Item | None:
        heads = [(queue[0], actor) for actor, queue in self._steps.items() if queue]
        first = min(heads, default=None)
        other = self._heap[0] if self._heap else None
        if other is not None and (first is None or other[:2] < first[0][:2]):
            return self._at(heappop(self._heap)) if other[0] <= limit_ns else None
        if first is None or first[0][0] > limit_ns:
            return None
        last_ns = min(first[0][0] + self._within_ns, limit_ns)
        if other is not None:
            last_ns = min(last_ns, other[0])
        priorities = self._priorities
        actor = max((actor for item, actor in heads if item[0] <= last_ns), key=lambda one: priorities[one])
        if not self._within_ns:
            actor = first[1]
        self.overtaken += actor != first[1]
        self._maybe_lower(actor)
        return self._at(heappop(self._steps[actor]))

    def _at(self, item: Item) -> Item:
        """Return the item at its time, or now if others overtook it."""
        return max(item[0], self.now_ns), *item[1:]

    def _maybe_lower(self, actor: int) -> None:
        self._taken += 1
        if draw(self._seed, _CHANGE, self._taken) % self._change_every == 0:
            self._lowered += 1
            self._priorities[actor] = -self._lowered
