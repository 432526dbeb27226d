"""Outbox of a step: effects for the driver, and signals between machines.

A step returns its storage effects first, so that no effect names an operation that the driver has not seen. While a batch of a log is on its way to
disk, the next batch is only staged: its fsync has a number already, but is not issued. Effects that wait for such an operation are held here and are
released together with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from .effects import (
    DROPPED,
    Broadcast,
    CancelTimer,
    DropTask,
    Effect,
    Halt,
    Meet,
    Part,
    Reply,
    RunTask,
    Send,
    SendDatagram,
    SetTimer,
    StorageEffect,
    Trace,
)
from .messages import Message
from .signals import Signal

HELD_LIMIT = 8192
"""Effects held for one operation, at most. Beyond it the oldest are dropped: messages may be lost, and replies become time-outs. Each is counted.
Dropped trace lines leave a gap in the numbers of the trace, and the event `dropped`.
"""
SIGNAL_LIMIT = 1_000_000


class Outbox:
    def __init__(self) -> None:
        self.signals: deque[Signal] = deque()
        self.halted: str | None = None
        self._storage: list[Effect] = []
        self._effects: list[Effect] = []
        self._held: dict[int, deque[Effect]] = {}
        """Effects that wait, by reserved operation: each log has one at most."""
        self._lost_lines: dict[int, int] = {}
        """Number of waiting trace lines that were dropped, by reserved operation."""
        self.dropped = {"messages": 0, "replies": 0, "traces": 0}
        """Held effects that were dropped in this life of the process."""
        self._op = 0
        self._generations: dict[str, int] = {}

    def take(self) -> list[Effect]:
        """Return everything since the last call, storage first."""
        effects = self._storage + self._effects if self._storage else self._effects
        self._storage, self._effects = [], []
        return effects

    def emit(self, signal: Signal) -> None:
        if len(self.signals) >= SIGNAL_LIMIT:
            raise AssertionError(f"{SIGNAL_LIMIT} signals in one step: machines answer each other without end")
        self.signals.append(signal)

    def send(self, peer: str, message: Message, after: int | None = None) -> None:
        if after is None:
            self._effects.append(Send(peer, message))
        else:
            self._put(Send(peer, message, (after,)), after)

    def reply(self, client: str, body: Mapping[str, Any], after: int | None = None) -> None:
        if after is None:
            self._effects.append(Reply(client, body))
        else:
            self._put(Reply(client, body, (after,)), after)

    def trace(self, event: str, after: int | None = None, **fields: Any) -> None:
        if after is None:
            self._effects.append(Trace(event, fields))
        else:
            self._put(Trace(event, fields, (after,)), after)

    def datagram(self, host: str, port: int, data: bytes) -> None:
        self._effects.append(SendDatagram(host, port, data))

    def broadcast(self, port: int, data: bytes) -> None:
        self._effects.append(Broadcast(port, data))

    def perform(self, effect: Meet | Part | RunTask | DropTask) -> None:
        self._effects.append(effect)

    def set_timer(self, key: str, at_ns: int) -> None:
        generation = self._generations.get(key, 0) + 1
        self._generations[key] = generation
        self._effects.append(SetTimer(key, generation, at_ns))

    def cancel_timer(self, key: str) -> None:
        self._generations[key] = self._generations.get(key, 0) + 1
        self._effects.append(CancelTimer(key))

    def current_timer(self, key: str, generation: int) -> bool:
        """Return whether this generation of the timer is the latest; an older one fired too late and is ignored."""
        return self._generations.get(key) == generation

    def halt(self, reason: str) -> None:
        if self.halted is None:
            self.halted = reason
            self._effects += [Trace("halt", {"reason": reason}), Halt(reason)]

    def next_op(self) -> int:
        self._op += 1
        return self._op

    def store(self, effect: StorageEffect) -> None:
        self._storage.append(effect)

    def reserve(self, op: int) -> None:
        """Reserve `op`, which is issued in a later step (or at the end of this one), and hold what waits for it."""
        self._held[op] = deque()

    def issued(self, op: int) -> None:
        """Release what was held for the reserved operation, which is issued now."""
        lost = self._lost_lines.pop(op, 0)
        if lost:
            # It is held like the lines that it stands for, so it takes their place in the trace.
            self._effects.append(Trace(DROPPED, {"count": lost, "where": "held"}, (op,)))
        self._effects.extend(self._held.pop(op))

    def _put(self, effect: Effect, after: int) -> None:
        held = self._held.get(after)
        if held is None:
            self._effects.append(effect)
            return
        held.append(effect)
        if len(held) > HELD_LIMIT:
            self._drop(held.popleft(), after)

    def _drop(self, effect: Effect, op: int) -> None:
        kind = type(effect)
        self.dropped["traces" if kind is Trace else "replies" if kind is Reply else "messages"] += 1
        if kind is Trace:
            self._lost_lines[op] = self._lost_lines.get(op, 0) + 1
