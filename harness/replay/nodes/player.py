"""Player of one incarnation of a node: its core, and the gate that holds back effects that must not be visible before data is durable.

It treats effects as the socket runtime does, except that nothing is sent: messages, answers and trace lines are returned,
in the order of the runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from tribulation.node.config.node import NodeConfig
from tribulation.node.core.core import Core
from tribulation.node.core.interface.effects import (
    Append,
    Effect,
    Fsync,
    FsyncDir,
    Halt,
    Remove,
    Rename,
    Reply,
    Send,
    StorageEffect,
    Trace,
    Truncate,
    Write,
)
from tribulation.node.core.interface.events import Event, StorageDone
from tribulation.node.runtime.loop.gate import Gate

Released = Send | Reply | Trace


class Player:
    """`released` collects what left the node; `issued` collects storage operations given to the disk; the caller may empty both."""

    def __init__(self, config: Mapping[str, Any], make: Callable[[NodeConfig], Any] = Core) -> None:
        self._core = make(NodeConfig.from_json(config))
        self._gate = Gate()
        self.released: list[Released] = []
        self.issued: list[StorageEffect] = []
        self.halted: str | None = None
        self.last: list[Effect] = []
        """The effects of the latest step."""

    def step(self, now_ns: int, events: Sequence[Event]) -> list[Effect]:
        """Take one turn: effects that waited for finished storage leave first, then the core steps and its effects are carried out."""
        for event in events:
            if isinstance(event, StorageDone):
                self._gate.settle(event.op, event.error is None)
        effects: list[Effect] = self._core.step(now_ns, list(events))
        self.last = effects
        for effect in effects:
            if self.halted is None:
                self._perform(effect)
        return effects

    def _perform(self, effect: Effect) -> None:
        if isinstance(effect, (Send, Reply, Trace)):
            self._gate.perform(effect.after, partial(self.released.append, effect))
        elif isinstance(effect, Halt):
            self.halted = effect.reason
        elif isinstance(effect, (Append, Write, Truncate, Fsync, Rename, Remove, FsyncDir)):
            self._gate.emitted(effect.op, effect.after)
            self.issued.append(effect)
