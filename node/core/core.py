"""The node as one pure state machine: events in, effects out."""

from __future__ import annotations

from collections.abc import Sequence

from ..config import NodeConfig
from .effects import Effect
from .events import Event


class Core:
    """`step` is the only thing that changes a node's state. The first event must be `Start`."""

    def __init__(self, config: NodeConfig) -> None:
        self.config = config

    def step(self, now_ns: int, events: Sequence[Event]) -> list[Effect]:
        """Take all events of one turn, in order, and say what to do. `now_ns` is monotonic."""
        return []

    def check(self) -> None:
        """Assert every invariant, in full."""

    def state_digest(self) -> str:
        """A digest of the whole state: equal for equal inputs."""
        return ""
