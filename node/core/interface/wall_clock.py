"""The only access to the wall clock. A fault may have moved it.

Nothing in a correct node depends on it. Its value is the wall-clock time of the last event that carried one; it does not change between events.
"""

from __future__ import annotations

from .events import Datagram, Event, Received, Request, Start, TimerFired

_TELL = dict.fromkeys((Start, Received, TimerFired, Request, Datagram))


class Wall:
    def __init__(self) -> None:
        self.ns = 0

    def observe(self, event: Event) -> None:
        if type(event) in _TELL:
            self.ns = event.wall_ns  # type: ignore[union-attr]
