"""Nodes that were found, their addresses, and when each was last heard: a bounded table that knows no datagrams.

News about another node carries its age. So every node forgets a node that fell silent, however long others repeat its name.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

from ..interface.value import frozen

KNOWN_LIMIT = 64
"""Twice the members of a cluster. Beyond it, unknown nodes are ignored until one is forgotten."""


@frozen
class Place:
    """A node's announced address: `host`:`port` takes messages, `udp_port` datagrams."""

    host: str
    port: int
    udp_port: int
    role: str
    incarnation: int


class Table:
    """`fresh_ns`: how long news of a greater incarnation outweighs later news of a smaller one; `forget_ns`: silence after which a node is forgotten."""

    def __init__(self, fresh_ns: int, forget_ns: int) -> None:
        self._fresh_ns = fresh_ns
        self._forget_ns = forget_ns
        self.places: dict[str, Place] = {}
        self.heard_ns: dict[str, int] = {}
        self._turn = 0

    def hear(self, now_ns: int, name: str, place: Place, heard_ns: int) -> bool:
        """Take news that was true at `heard_ns`. Returns whether it was new: an unknown node, or a changed one."""
        if now_ns - heard_ns > self._forget_ns:
            return False
        known = self.places.get(name)
        if known is not None:
            if not self._believed(place, known, heard_ns - self.heard_ns[name]):
                return False
        elif len(self.places) >= KNOWN_LIMIT:
            return False
        self.places[name] = place
        self.heard_ns[name] = max(heard_ns, self.heard_ns.get(name, heard_ns))
        return place != known

    def _believed(self, word: Place, known: Place, later_ns: int) -> bool:
        """Return whether to believe the news. The greater incarnation is the later life, unless the other was heard so much later that incarnations
        began again, as on a new disk.
        """
        if word.incarnation == known.incarnation:
            return later_ns >= 0
        if word.incarnation > known.incarnation:
            return later_ns > -self._fresh_ns
        return later_ns >= self._fresh_ns

    def forget(self, now_ns: int) -> None:
        for name in [name for name, heard_ns in self.heard_ns.items() if now_ns - heard_ns > self._forget_ns]:
            del self.places[name], self.heard_ns[name]

    def next_in_turn(self) -> str | None:
        """Return the next node in rotation."""
        if not self.places:
            return None
        self._turn += 1
        return list(self.places)[self._turn % len(self.places)]

    def rotated(self) -> list[str]:
        """Return all names, beginning at the one in turn."""
        names = list(self.places)
        start = self._turn % len(names) if names else 0
        return names[start:] + names[:start]

    def marks(self) -> list[int]:
        """Return the mark of each known node, by which a receiver sees whether the sender knows it."""
        return [mark(name, place.incarnation) for name, place in self.places.items()]

    def dump(self) -> Any:
        return [
            [name, p.host, p.port, p.udp_port, p.role, p.incarnation, self.heard_ns[name]]
            for name, p in self.places.items()
        ]


def mark(name: str, incarnation: int) -> int:
    """Return a 24-bit checksum of a node's name and incarnation. Two nodes rarely share a mark, and then discovery only takes one beacon longer."""
    return crc32(f"{name}/{incarnation}".encode()) & 0xFFFFFF
