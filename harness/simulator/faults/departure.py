"""Members that leave a simulated cluster at an operator's request to the leader: over the clients' network, until they are gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ...errors import FaultError
from ...systems.reference import requests
from ..cluster.cluster import SimCluster
from ..network.clients import Answer
from ..options import MILLISECOND

AGAIN_NS = 200 * MILLISECOND
ATTEMPT_MS = 2000


def members_seen(cluster: SimCluster, leader: str | None) -> Mapping[str, int]:
    """Return by member its incarnation, from the leader's last view in its present life; empty when it had none."""
    line = cluster.latest[leader].get("view") if leader is not None else None
    if leader is None or line is None or line["incarnation"] != cluster.nodes[leader].incarnation:
        return {}
    return dict(line["members"])


class Departure:
    """Removal of `nodes` by requests to the current leader (`leader()`), until they are gone or `deadline_ns` has passed; then `then(error)` is called,
    once.

    A node is gone when it is in no view and votes no more (`voters()`). One that only failed is missing in the views alone, and may come back.
    """

    def __init__(
        self,
        cluster: SimCluster,
        ident: str,
        nodes: Sequence[str],
        deadline_ns: int,
        leader: Callable[[], str | None],
        voters: Callable[[], Mapping[str, int]],
        then: Callable[[FaultError | None], None],
    ) -> None:
        self._cluster, self._ident, self._nodes = cluster, ident, list(nodes)
        self._deadline_ns, self._leader, self._voters, self._then = deadline_ns, leader, voters, then
        self._asked = 0

    def ask(self) -> None:
        """Ask for the removals. A member that is already leaving may be asked again: it leaves once."""
        cluster, leader = self._cluster, self._leader()
        here = members_seen(cluster, leader)
        voters = self._voters()
        left = [node for node in self._nodes if node in here or voters.get(node, 0)]
        if here and not left:
            self._then(None)
        elif cluster.now_ns >= self._deadline_ns:
            error = FaultError(
                f"{', '.join(left or self._nodes)} did not leave in time",
                "is there a quorum, and room for their agents?",
            )
            self._then(error)
        else:
            for node in left:
                self._asked += 1
                body = {"id": self._asked, **requests.leave(node, ATTEMPT_MS)}
                cluster.request(f"leave-{self._ident}", leader or node, body, _hear)
            cluster.schedule(cluster.now_ns + AGAIN_NS, self.ask)


class Return:
    """Wait until `nodes` are members in their present life, or `deadline_ns` has passed; then `then(error)` is called, once. `revive(node)` is called for
    each that is not.
    """

    def __init__(
        self,
        cluster: SimCluster,
        nodes: Sequence[str],
        deadline_ns: int,
        leader: Callable[[], str | None],
        revive: Callable[[str], None],
        then: Callable[[FaultError | None], None],
    ) -> None:
        self._cluster, self._nodes = cluster, list(nodes)
        self._deadline_ns, self._leader, self._revive, self._then = deadline_ns, leader, revive, then

    def look(self) -> None:
        cluster = self._cluster
        here = members_seen(cluster, self._leader())
        missing = [node for node in self._nodes if here.get(node) != cluster.nodes[node].incarnation]
        if not missing:
            self._then(None)
        elif cluster.now_ns >= self._deadline_ns:
            self._then(FaultError(f"{', '.join(missing)} did not join again in time", "is there a quorum?"))
        else:
            for node in missing:
                self._revive(node)
            cluster.schedule(cluster.now_ns + AGAIN_NS, self.look)


def _hear(answer: Answer) -> None:
    """Ignore an answer: the views show whether it is done."""
