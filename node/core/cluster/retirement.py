"""Voters that leave: the leader removes the weight of a leaving member through the log, step by step.

Only a member that asked to leave is touched, never one that is believed to have failed: the belief of a failure detector must not change a majority.
The last voter keeps its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...config.node import MS, NodeConfig
from ..interface.machine import Member
from ..interface.outbox import Outbox
from ..interface.rng import Chance
from ..interface.signals import Changed, LeaderChanged, SetVoters, VotersChanged
from ..records.lifecycle import LEAVING

TIMER = "retirement/again"
AGAIN_NS = 2000 * MS
"""Retry delay: a leader may refuse for a while, or an operator may have asked for other weights meanwhile."""


class Retirement(Member):
    name = "retirement"

    def __init__(self, config: NodeConfig, out: Outbox, incarnation: int, chance: Chance) -> None:
        self._out = out
        self._leading = False
        self._voters: Mapping[str, int] = {}
        self._leaving: dict[str, None] = {}
        self._waits = False
        self._token = 0
        self.signals: Mapping[type[Any], Callable[[int, Any], None]] = {
            VotersChanged: self._on_voters,
            Changed: self._on_changed,
            LeaderChanged: self._on_leader,
        }

    def on_timer(self, now_ns: int, key: str) -> None:
        self._waits = False

    def flush(self, now_ns: int) -> None:
        """Remove, as leader, the weight of members that leave."""
        kept = {name: weight for name, weight in self._voters.items() if name not in self._leaving}
        if not self._leading or self._waits or not kept or len(kept) == len(self._voters):
            return
        self._waits = True
        self._out.set_timer(TIMER, now_ns + AGAIN_NS)
        self._token -= 1
        # Tokens of clients are positive: no client waits for this answer.
        self._out.emit(SetVoters(self._token, kept))

    def status(self) -> dict[str, Any]:
        return {}

    def check(self) -> None:
        assert all(weight > 0 for weight in self._voters.values()), self._voters

    def fingerprint(self) -> Any:
        return [self._leading, dict(self._voters), list(self._leaving), self._waits]

    def _on_voters(self, now_ns: int, signal: VotersChanged) -> None:
        self._voters = {name: weight for name, weight in signal.voters.items() if weight > 0}

    def _on_leader(self, now_ns: int, signal: LeaderChanged) -> None:
        self._leading = signal.here

    def _on_changed(self, now_ns: int, signal: Changed) -> None:
        if signal.app == "members":
            for name in signal.ids:
                record = signal.view.get(name)
                if record is not None and record["state"] == LEAVING:
                    self._leaving[name] = None
                elif record is not None:
                    # The member came back. One that is gone keeps its request until its weight is gone.
                    self._leaving.pop(name, None)
