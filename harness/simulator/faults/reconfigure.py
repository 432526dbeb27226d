"""Changes of the voters' weights on a simulated cluster, requested from the leader as by an operator: over the clients' network, until done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...errors import FaultError
from ...systems.reference import requests
from ..cluster.cluster import SimCluster
from ..network.clients import Answer
from ..options import MILLISECOND, SECOND

ATTEMPT_NS = 6 * SECOND
ASKED_MS = 5000
DEADLINE_NS = 30 * SECOND


class Reconfiguration:
    """Change of weights by requests to the current leader (`leader()`), until one is ok or `deadline_ns` has passed; then `then(error)` is called, once.

    `voters()` are all weights to move to. It is called again for each request: other changes may have been made meanwhile.
    """

    def __init__(
        self,
        cluster: SimCluster,
        ident: str,
        voters: Callable[[], Mapping[str, int]],
        deadline_ns: int,
        leader: Callable[[], str | None],
        then: Callable[[FaultError | None], None],
    ) -> None:
        self._cluster, self._ident, self._voters = cluster, ident, voters
        self._deadline_ns, self._leader, self._then = deadline_ns, leader, then
        self._attempt = 0

    def ask(self) -> None:
        cluster = self._cluster
        self._attempt += 1
        attempt = self._attempt
        names = list(cluster.nodes)
        node = self._leader() or names[attempt % len(names)]
        body = {"id": attempt, **requests.set_voters(self._voters(), ASKED_MS)}
        cluster.request(f"voters-{self._ident}", node, body, lambda answer: self._ended(attempt, answer))
        cluster.schedule(cluster.now_ns + ATTEMPT_NS, self._ended, attempt, None)

    def _ended(self, attempt: int, answer: Answer | None) -> None:
        if attempt != self._attempt:
            return
        self._attempt += 1
        body: Mapping[str, Any] = answer.body if answer is not None and answer.body is not None else {}
        if requests.is_ok(body):
            self._then(None)
        elif self._cluster.now_ns >= self._deadline_ns:
            why = dict(body) or (answer.reason if answer is not None else "no answer")
            self._then(
                FaultError(
                    f"voters {self._ident}: {dict(self._voters())} was not taken in time: {why}", "is there a quorum?"
                )
            )
        else:
            self._cluster.schedule(self._cluster.now_ns + 200 * MILLISECOND, self.ask)
