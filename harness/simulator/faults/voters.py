"""Changes of the voters' weights: requested from the leader, never healed."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import FaultError
from ...nemesis.faults.fault import Observation, Resolved
from .ground import Ground, Then
from .reconfigure import DEADLINE_NS, Reconfiguration


class VoterChanges:
    """Changes of voters: requested from the leader, never healed."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._asked_last: dict[str, str] = {}
        """By node, the last change that names it. An earlier one that is still under way releases it: each would undo the other's steps."""

    def inject(self, fault: Resolved, then: Then) -> None:
        """Request the weights. Other nodes keep theirs, or the ones that they will have when another fault stops keeping them from voting."""
        wanted: Mapping[str, int] = fault.what["voters"]
        self._asked_last |= dict.fromkeys(wanted, fault.intent.id)

        def asked() -> dict[str, int]:
            return {node: held for node, held in wanted.items() if self._asked_last[node] == fault.intent.id}

        def ended(error: FaultError | None) -> None:
            now = self._ground.situation().voters
            done = all(now.get(node, 0) == weight for node, weight in asked().items())
            then(error if error is not None else Observation(done, {"voters": dict(now)}))

        Reconfiguration(
            self._ground.cluster,
            fault.intent.id,
            lambda: {**self._ground.situation().voters, **self._kept_away(), **asked()},
            self._ground.cluster.now_ns + DEADLINE_NS,
            lambda: self._ground.situation().leader,
            ended,
        ).ask()

    def _kept_away(self) -> dict[str, int]:
        """Return the nodes that another fault keeps from voting, with weight 0, whatever is requested."""
        return {node: 0 for weights in self._ground.away.values() for node in weights}

    def heal(self, fault: Resolved, then: Then) -> None:
        self._ground.soon(then, Observation(True, {}))

    def forget(self) -> None:
        pass
