"""Probe order of members: each once per round, in a new random order for each round (SWIM, Das et al. 2002, 4.3).

So the time until a given node probes a given member has a bound; it is not only short on average.
"""

from __future__ import annotations

from collections.abc import Sequence

from .watcher import Draw


class Order:
    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self.names: list[str] = []
        self._at = 0

    def add(self, name: str) -> None:
        """Insert at a random position, so that new members are not all probed at the end."""
        place = self._draw("place", 0, len(self.names))
        self.names.insert(place, name)
        if place < self._at:
            self._at += 1

    def drop(self, name: str) -> None:
        place = self.names.index(name)
        del self.names[place]
        if place < self._at:
            self._at -= 1

    def next(self) -> str | None:
        if not self.names:
            return None
        if self._at >= len(self.names):
            self.names, self._at = self.some(self.names, len(self.names)), 0
        self._at += 1
        return self.names[self._at - 1]

    def some(self, names: Sequence[str], count: int) -> list[str]:
        """Return `count` of them, chosen at random without repetition; all of them in a new order if there are no more."""
        left = list(names)
        return [left.pop(self._draw("choice", 0, len(left) - 1)) for _ in range(min(count, len(left)))]
