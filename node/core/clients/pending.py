"""Table of the requests under way at this node, from arrival to their single answer."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ..interface.entry import Command
from ..interface.value import frozen
from .request import ClientRequest


class Stage(Enum):
    """State of a request. `WAITING`: for a leader. `READING`: for a read index. `CATCHING_UP`: for the state to reach an index. `AWAITING`: its command
    was applied, but its effect has not come yet.
    """

    WAITING = "waiting"
    PROPOSED = "proposed"
    FORWARDED = "forwarded"
    READING = "reading"
    CATCHING_UP = "catching-up"
    ADMIN = "admin"
    AWAITING = "awaiting"


@frozen
class Origin:
    """Origin of a forwarded request: the node whose client sent it, and the number under which that node expects the answer. Valid in `term` only."""

    peer: str
    incarnation: int
    id: int
    term: int


@dataclass(slots=True)
class Pending:
    """A request under way. `doubt`: an earlier attempt may have been appended on some node, so a refusal no longer proves that the command had no
    effect.

    `index` is the log index of its command, or the index that must be applied before the request is answered. `term` is the term in which the command
    was proposed or forwarded.
    """

    token: int
    deadline_ns: int
    client: str | None
    request: ClientRequest | None
    origin: Origin | None
    command: Command | None = None
    work: dict[str, Any] | None = None
    stage: Stage = Stage.WAITING
    index: int = 0
    term: int = 0
    doubt: bool = False
    answer: dict[str, Any] | None = None
    """Result of a command whose effect is awaited."""


GONE_AT_ONCE = 4
"""Deadlines of finished requests that are dropped with each new request."""
GONE_KEPT = 1024
"""Below this number no deadlines are dropped."""


@dataclass(slots=True)
class Table:
    """Requests by token, by deadline (a heap, the next one first), and by index. The heaps may still name finished requests, which are removed later."""

    by_token: dict[int, Pending] = field(default_factory=dict)
    proposed: dict[int, int] = field(default_factory=dict)
    origins: dict[Origin, int] = field(default_factory=dict)
    deadlines: list[tuple[int, int]] = field(default_factory=list)
    _catching_up: list[tuple[int, int]] = field(default_factory=list)

    def add(self, pending: Pending) -> None:
        self.by_token[pending.token] = pending
        if pending.origin is not None:
            self.origins[pending.origin] = pending.token
        heapq.heappush(self.deadlines, (pending.deadline_ns, pending.token))
        # Most requests end long before their deadlines. Their leftovers are removed a few at a time, not all when the first deadline comes.
        for _ in range(GONE_AT_ONCE):
            if len(self.deadlines) < GONE_KEPT or self.deadlines[0][1] in self.by_token:
                break
            heapq.heappop(self.deadlines)

    def remove(self, pending: Pending) -> None:
        del self.by_token[pending.token]
        if pending.origin is not None:
            del self.origins[pending.origin]
        if pending.stage is Stage.PROPOSED:
            self.no_more_proposed(pending)

    def no_more_proposed(self, pending: Pending) -> None:
        if self.proposed.get(pending.index) == pending.token:
            del self.proposed[pending.index]

    def catch_up(self, pending: Pending, index: int) -> None:
        pending.stage, pending.index = Stage.CATCHING_UP, index
        heapq.heappush(self._catching_up, (index, pending.token))

    def caught_up(self, applied: int) -> Iterator[Pending]:
        """Return the requests whose index is applied now."""
        heap = self._catching_up
        while heap and (heap[0][0] <= applied or heap[0][1] not in self.by_token):
            pending = self.by_token.get(heapq.heappop(heap)[1])
            if pending is not None and pending.index <= applied:
                yield pending
        if len(heap) > 2 * len(self.by_token) + 1024:
            self._catching_up = [item for item in heap if item[1] in self.by_token]
            heapq.heapify(self._catching_up)

    def expired(self, now_ns: int) -> Iterator[Pending]:
        heap = self.deadlines
        while heap and (heap[0][0] <= now_ns or heap[0][1] not in self.by_token):
            pending = self.by_token.get(heapq.heappop(heap)[1])
            if pending is not None:
                yield pending
        if len(heap) > 2 * len(self.by_token) + 1024:
            self.deadlines = [item for item in heap if item[1] in self.by_token]
            heapq.heapify(self.deadlines)

    def at(self, *stages: Stage) -> list[Pending]:
        """Return the requests in any of these stages, the oldest first."""
        return [pending for pending in self.by_token.values() if pending.stage in stages]
