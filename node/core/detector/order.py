"""In which order members are probed: each once, in an order drawn anew for each round (SWIM, Das et al. 2002, 4.3).

So the time until a given member is probed by a given node is bounded, and not only short in the mean.
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
        """Somewhere among the others, so that newcomers are not all probed at the end."""
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
        """`count` of them, drawn without repetition; all of them in a new order if there are no more."""
        left = list(names)
        return [left.pop(self._draw("choice", 0, len(left) - 1)) for _ in range(min(count, len(left)))]
