"""Random numbers by name, so that each knob is independent of all others: a new one changes no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...keyed_random import between, choose, draw, happens, key_of


class Knobs:
    """The knobs of one purpose of one seed."""

    def __init__(self, seed: int, purpose: str) -> None:
        self._key = draw(seed, key_of(purpose))

    def bits(self, name: str) -> int:
        return draw(self._key, key_of(name))

    def on(self, name: str, ppm: int = 500_000) -> bool:
        return happens(self.bits(f"{name}/on"), ppm)

    def choose(self, name: str, options: Sequence[Any]) -> Any:
        return choose(self.bits(name), options)

    def between(self, name: str, low: int, high: int) -> int:
        return between(self.bits(name), low, high)
