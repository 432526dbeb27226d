"""Rumours: the news about members that probes carry (SWIM, Das et al. 2002, 4.1), each a bounded number of times.

The rumour that was sent the fewest times goes first, so that new rumours spread before those that most members have heard. After λ·⌈log10(n + 1)⌉
sends it is dropped. Every member has then heard it with high probability, whatever the size of the cluster. A datagram never carries more rumours
than it has room for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..interface.entry import canonical
from ..interface.value import frozen
from .logarithm import log10_ceiling
from .watcher import ALIVE, FAILED, SUSPECT

SENDS = 4
"""λ."""
ROOM = 600
"""Bytes of rumours in one datagram."""
LIMIT = 256
"""Rumours at one time. The one sent most often is dropped first."""
ROWS = 64


@frozen
class Rumour:
    """`source` reports that the member `name` is `kind` with this number. The number is the member's own: only the member may raise it."""

    kind: str
    name: str
    number: int
    source: str


class Rumours:
    def __init__(self) -> None:
        self._sends: dict[Rumour, int] = {}

    def put(self, rumour: Rumour) -> None:
        """Begin to send this rumour, and stop sending rumours that it contradicts. Accusations by different sources are kept side by side: each
        confirms the others.
        """
        if len(canonical(row(rumour))) >= ROOM:
            # The name fits in no datagram: a node that probes this member finds out by itself.
            return
        beside = rumour.kind == SUSPECT
        for other in [other for other in self._sends if other.name == rumour.name]:
            if not (
                beside and other.kind == SUSPECT and other.number == rumour.number and other.source != rumour.source
            ):
                del self._sends[other]
        if len(self._sends) >= LIMIT:
            del self._sends[max(self._sends, key=lambda other: self._sends[other])]
        self._sends[rumour] = 0

    def forget(self, name: str) -> None:
        for rumour in [rumour for rumour in self._sends if rumour.name == name]:
            del self._sends[rumour]

    def take(self, members: int, first: Sequence[Rumour] = ()) -> list[list[Any]]:
        """Return the rows for one datagram, `first` before all others and as often as wanted; count them as sent."""
        most = SENDS * log10_ceiling(members + 1)
        rows, room = [row(rumour) for rumour in first], ROOM
        for rumour in sorted(self._sends, key=lambda rumour: self._sends[rumour]):
            if rumour in first:
                continue
            size = len(canonical(row(rumour))) + 1
            if size > room:
                continue
            room -= size
            rows.append(row(rumour))
            self._sends[rumour] += 1
            if self._sends[rumour] >= most:
                del self._sends[rumour]
        return rows

    def dump(self) -> Any:
        return [[*row(rumour), sends] for rumour, sends in self._sends.items()]


def row(rumour: Rumour) -> list[Any]:
    return [rumour.kind, rumour.name, rumour.number, rumour.source]


def read_rows(value: Any) -> list[Rumour]:
    """Parse rumours. Raises ValueError for anything that is not a list of rumours."""
    if not isinstance(value, list) or len(value) > ROWS:
        raise ValueError("its rumours are no list, or too many")
    rumours = []
    for item in value:
        if not isinstance(item, list) or len(item) != 4:
            raise ValueError("a rumour is not a list of four")
        kind, name, number, source = item
        if kind not in (ALIVE, SUSPECT, FAILED) or not isinstance(name, str) or not isinstance(source, str):
            raise ValueError("a rumour names no member")
        if type(number) is not int or number < 0:
            raise ValueError("the number of a rumour is none")
        rumours.append(Rumour(kind, name, number, source))
    return rumours
