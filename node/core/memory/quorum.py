"""Changes and reads at level `quorum`: pending until nodes with more than half of the voters' weight have answered.

A change is pushed to every voter, a read fetches from every voter. Both are repeated to those that have not answered, until their deadline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...config.node import MS
from ...flaws.switch import Flaws
from .records.store import Key

RETRY_NS = 400 * MS


@dataclass(slots=True)
class Waiting:
    """One pending request. `message` goes to each node that has not answered. `gate` is the operation that makes the change durable here; None once
    it is durable, or for a request that writes nothing.
    """

    number: int
    client: str
    id: Any
    deadline_ns: int
    key: Key
    message: Any
    gate: int | None = None
    answer: dict[str, Any] | None = None
    """Answer for a complete change. It was made here, so it can no longer be reported as failed. None: it is a read."""
    answered: dict[str, None] = field(default_factory=dict)
    sent_ns: int = 0

    def enough(self, me: str, voters: Mapping[str, int]) -> bool:
        have = sum(weight for name, weight in voters.items() if name in self.answered or (name == me and not self.gate))
        return 2 * have > sum(voters.values())


class Quorums:
    def __init__(self, me: str, flaws: Flaws) -> None:
        self._me = me
        self._flaws = flaws
        self.voters: Mapping[str, int] = {}
        self.waiting: dict[int, Waiting] = {}

    def answered(self, peer: str, number: int) -> Waiting | None:
        """Record an answer. Returns the request that it completes."""
        waiting = self.waiting.get(number)
        if waiting is None:
            return None
        waiting.answered[peer] = None
        return self._take_if_enough(waiting)

    def durable(self, op: int) -> list[Waiting]:
        """Return the requests that are complete now that `op` is done."""
        done = []
        for waiting in list(self.waiting.values()):
            if waiting.gate == op:
                waiting.gate = None
                taken = self._take_if_enough(waiting)
                if taken is not None:
                    done.append(taken)
        return done

    def begin(self, waiting: Waiting) -> Waiting | None:
        """Begin a request. Returns it when it is complete at once: this node alone is a quorum."""
        self.waiting[waiting.number] = waiting
        return self._take_if_enough(waiting)

    def expired(self, now_ns: int) -> list[Waiting]:
        late = [waiting for waiting in self.waiting.values() if waiting.deadline_ns <= now_ns]
        for waiting in late:
            del self.waiting[waiting.number]
        return late

    def to_send(self, now_ns: int) -> list[tuple[str, Any]]:
        """Return (peer, message) for each message that is due: it was not sent yet, or was not answered in time."""
        out = []
        for waiting in self.waiting.values():
            if now_ns - waiting.sent_ns >= RETRY_NS or not waiting.sent_ns:
                waiting.sent_ns = now_ns
                silent = [name for name in self.voters if name != self._me and name not in waiting.answered]
                out += [(name, waiting.message) for name in silent if self.voters[name] > 0]
        return out

    def _take_if_enough(self, waiting: Waiting) -> Waiting | None:
        enough = self._flaws.quorum_of_one_answer and waiting.answered
        if not enough and not waiting.enough(self._me, self.voters):
            return None
        return self.waiting.pop(waiting.number)
