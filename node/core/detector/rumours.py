"""Rumours: what nodes tell of members on the back of probes (SWIM, Das et al. 2002, 4.1), each a bounded number of times.

A rumour that was told least goes first, so that news spreads before what most have heard. After λ·⌈log10(n + 1)⌉ tellings it is dropped: then everybody
has heard it with great probability, whatever the size of the cluster, and a datagram never carries more than there is room for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..interface.entry import canonical
from ..interface.value import frozen
from .logarithm import log10_ceiling
from .watcher import ALIVE, FAILED, SUSPECT

TELLINGS = 4
"""λ."""
ROOM = 600
"""Bytes of rumours in one datagram."""
LIMIT = 256
"""Rumours at one time. The most told is dropped first."""
ROWS = 64


@frozen
class Rumour:
    """`source` says that the member `name` is `kind` with this number. The number is the member's own: only it may raise it."""

    kind: str
    name: str
    number: int
    source: str


class Rumours:
    def __init__(self) -> None:
        self._told: dict[Rumour, int] = {}

    def put(self, rumour: Rumour) -> None:
        """Begin to tell it, and no longer what it makes untrue. Accusations by different sources stand beside each other: each confirms the others."""
        if len(canonical(row(rumour))) >= ROOM:
            # Of a name that no datagram has room for: who probes its bearer finds out alone.
            return
        beside = rumour.kind == SUSPECT
        for other in [other for other in self._told if other.name == rumour.name]:
            if not (
                beside and other.kind == SUSPECT and other.number == rumour.number and other.source != rumour.source
            ):
                del self._told[other]
        if len(self._told) >= LIMIT:
            del self._told[max(self._told, key=lambda other: self._told[other])]
        self._told[rumour] = 0

    def forget(self, name: str) -> None:
        for rumour in [rumour for rumour in self._told if rumour.name == name]:
            del self._told[rumour]

    def take(self, members: int, first: Sequence[Rumour] = ()) -> list[list[Any]]:
        """The rows for one datagram, `first` before all others and as often as wanted; counts what it gives."""
        most = TELLINGS * log10_ceiling(members + 1)
        rows, room = [row(rumour) for rumour in first], ROOM
        for rumour in sorted(self._told, key=lambda rumour: self._told[rumour]):
            if rumour in first:
                continue
            size = len(canonical(row(rumour))) + 1
            if size > room:
                continue
            room -= size
            rows.append(row(rumour))
            self._told[rumour] += 1
            if self._told[rumour] >= most:
                del self._told[rumour]
        return rows

    def dump(self) -> Any:
        return [[*row(rumour), told] for rumour, told in self._told.items()]


def row(rumour: Rumour) -> list[Any]:
    return [rumour.kind, rumour.name, rumour.number, rumour.source]


def read_rows(value: Any) -> list[Rumour]:
    """Raises ValueError for what are no rumours."""
    if not isinstance(value, list) or len(value) > ROWS:
        raise ValueError("its rumours are no list, or too many")
    rumours = []
    for item in value:
        if not isinstance(item, list) or len(item) != 4:
            raise ValueError("a rumour is no list of four")
        kind, name, number, source = item
        if kind not in (ALIVE, SUSPECT, FAILED) or not isinstance(name, str) or not isinstance(source, str):
            raise ValueError("a rumour tells nothing of anybody")
        if type(number) is not int or number < 0:
            raise ValueError("the number of a rumour is none")
        rumours.append(Rumour(kind, name, number, source))
    return rumours
