"""Random numbers, with a stream of its own for each purpose.

An additional draw in one machine does not change the numbers that another machine draws. A new incarnation has new streams. This is the only file of
the core that imports `random`.
"""

from __future__ import annotations

from random import Random


class Chance:
    """The streams of one incarnation of one node."""

    def __init__(self, seed: int, node: str, incarnation: int) -> None:
        self._prefix = f"{seed}/{node}/{incarnation}"
        self._streams: dict[str, Random] = {}

    def between(self, machine: str, purpose: str, low: int, high: int) -> int:
        """Return a random integer; both ends are included."""
        key = f"{machine}/{purpose}"
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = Random(f"{self._prefix}/{key}")
        return stream.randint(low, high)
