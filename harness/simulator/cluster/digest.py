"""A run's digest, chained step by step: two runs with the same digest did the same things at the same times.

The short form covers which node stepped when, on how many events, with which effects, and every trace line; the full form covers every byte of
every event and effect. `marks` keeps the chain at regular steps, so that two runs that differ can be bisected to the first step.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tribulation.node.core.interface.effects import Effect
from tribulation.node.core.interface.events import Event, Start

MARK_EVERY = 1000

_json = msgspec.json.Encoder()


class RunDigest:
    """Digest of every step, trace line and fault of a run; `hexdigest` may be read at any time.

    Pieces to be hashed are collected, and written as JSON, one a line, many at once.
    """

    def __init__(self, *, full: bool) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._full = full
        self._pieces: list[Any] = []
        self._shapes: dict[tuple[type[Any], ...], str] = {}
        """The names of a step's effects by their types: few different combinations occur."""
        self.steps = 0
        self.marks: list[str] = []

    def step(self, now_ns: int, node: str, events: Sequence[Event], effects: Sequence[Effect]) -> None:
        self.steps += 1
        if self._full:
            self._pieces.append(f"{now_ns} {node} {[_plain(event) for event in events]!r} {effects!r}")
        else:
            kinds = tuple(map(type, effects))
            shape = self._shapes.get(kinds) or self._shape(kinds)
            self._pieces.append((now_ns, node, len(events), shape))
        if self.steps % MARK_EVERY == 0:
            self.marks.append(self.hexdigest())

    def line(self, line: Mapping[str, Any]) -> None:
        """Add a line of JSON values, in the order in which it holds them. The caller must not change it afterwards."""
        self._pieces.append(line)

    def hexdigest(self) -> str:
        try:
            self._hash.update(_json.encode_lines(self._pieces))
        except OverflowError:
            # An integer of more than 64 bits, as a client may put into a marker.
            self._hash.update("".join(f"{json.dumps(piece)}\n" for piece in self._pieces).encode())
        self._pieces.clear()
        return self._hash.hexdigest()

    def _shape(self, kinds: tuple[type[Any], ...]) -> str:
        shape = self._shapes[kinds] = str([kind.__name__ for kind in kinds])
        return shape


def _plain(event: Event) -> Any:
    """Return the event as JSON values; files become a mapping in the order of their names."""
    return (event.incarnation, event.seed, sorted(event.files.items())) if isinstance(event, Start) else event
