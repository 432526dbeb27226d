"""Events that piled up while a process was stopped, in an order in which its loop may take them.

The socket runtime takes what the disk finished, then what the sockets brought, then the timers that are due. The order within a connection is
kept; the order between ready connections is not defined. So a read may overtake the answers of followers that came long before.
"""

from __future__ import annotations

from collections.abc import Sequence

from tribulation.node.core.interface.events import (
    Connected,
    DialRefused,
    Disconnected,
    Event,
    Received,
    Start,
    StorageDone,
    TimerFired,
)

from ...keyed_random import draw, key_of


def ordered(inbox: Sequence[Event], key: int) -> list[Event]:
    """Return the same events: storage, then connections in an order drawn by `key`, then timers; each source's own order stays."""
    return sorted(inbox, key=lambda event: _rank(event, key))


def _rank(event: Event, key: int) -> tuple[int, int]:
    if isinstance(event, Start):
        # A process stopped before its first turn has done nothing yet, so `Start` is still first.
        return -1, 0
    if isinstance(event, StorageDone):
        return 0, 0
    if isinstance(event, TimerFired):
        return 2, 0
    if isinstance(event, (Received, Connected, DialRefused, Disconnected)):
        return 1, draw(key, 1, key_of(event.peer))
    # A client's requests, and its disconnection.
    return 1, draw(key, 2, key_of(getattr(event, "client", "")))
