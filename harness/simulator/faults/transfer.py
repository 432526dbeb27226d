"""The leadership, handed over by request: the leader is asked, whoever that is, until another node leads or the fault is over."""

from __future__ import annotations

from collections.abc import Callable

from ...nemesis.faults.fault import Observation, Resolved, Situation
from ..network.clients import Answer
from ..options import MILLISECOND, SECOND
from .ground import Ground, Then

AGAIN_NS = 100 * MILLISECOND
DEADLINE_MS = 2_000
MOST_NS = 2 * SECOND


class TransferFaults:
    """`_on` are the faults that ask yet, for `MOST_NS` at most. What became of one is seen by who leads, not by what was answered."""

    def __init__(self, ground: Ground, situation: Callable[[], Situation]) -> None:
        self._ground, self._situation = ground, situation
        self._on: dict[str, Then] = {}
        self._asked = 0

    def inject(self, fault: Resolved, then: Then) -> None:
        ground, ident = self._ground, fault.intent.id
        self._on[ident] = then
        lasts_ns = min(fault.intent.for_ns or MOST_NS, MOST_NS)
        ground.cluster.schedule(ground.cluster.now_ns + lasts_ns, self._give_up, ident)
        self._ask(fault, self._situation().leader)

    def heal(self, fault: Resolved, then: Then) -> None:
        self._give_up(fault.intent.id)
        self._ground.soon(then, Observation(True, {}))

    def forget(self) -> None:
        for ident in list(self._on):
            self._give_up(ident)

    def _ask(self, fault: Resolved, before: str | None) -> None:
        cluster, ident = self._ground.cluster, fault.intent.id
        if ident not in self._on:
            return
        leader, to = self._situation().leader, fault.what["to"]
        if leader == to or (leader is not None and before not in (None, leader)):
            self._ground.soon(self._on.pop(ident), Observation(True, {"to": leader}))
            return
        if leader is not None:
            self._asked += 1
            body = {"id": self._asked, "admin": "transfer", "to": to, "deadline_ms": DEADLINE_MS}
            cluster.request(f"transfer-{ident}", leader, body, _heed_not)
        cluster.schedule(cluster.now_ns + AGAIN_NS, self._ask, fault, before or leader)

    def _give_up(self, ident: str) -> None:
        then = self._on.pop(ident, None)
        if then is not None:
            self._ground.soon(then, Observation(False, {}))


def _heed_not(answer: Answer) -> None:
    """Who leads is seen in the traces."""
