"""Nodes in doubt of their own log because a write of it was torn, and whether another one may be."""

from __future__ import annotations

from collections.abc import Mapping

from tribulation.node.core.core import Core

from ...nemesis.faults.damageable import may_be_damaged
from .node import SimNode


class Doubts:
    """Nodes in doubt of their log. With `spares`, no more of them are allowed than a quorum can spare; otherwise any number."""

    def __init__(self, nodes: Mapping[str, SimNode], spares: bool) -> None:
        self._nodes, self._spares = nodes, spares
        self._torn_writes: dict[str, int] = {}
        self._torn: dict[str, None] = {}
        """Nodes that are down and whose last loss tore a write."""

    def may_tear(self, node: str) -> bool:
        if not self._spares:
            return True
        doubtful = [name for name in self._nodes if name != node and self._is_doubtful(name)]
        return may_be_damaged(self._voters(), doubtful, [node]) == [node]

    def lost(self, node: str) -> None:
        """Record that the node has just lost what it had not synced."""
        torn = self._nodes[node].disk.torn_writes
        if torn > self._torn_writes.get(node, 0):
            self._torn[node] = None
        self._torn_writes[node] = torn

    def _is_doubtful(self, name: str) -> bool:
        node = self._nodes[name]
        if node.disk.decays:
            return True
        if node.alive and isinstance(node.core, Core):
            doubtful = bool(node.core.status().get("torn"))
            if not doubtful:
                self._torn.pop(name, None)
            return doubtful
        return name in self._torn

    def _voters(self) -> Mapping[str, int]:
        """Return the voters as known to the running node that has committed most."""
        statuses = [node.core.status() for node in self._nodes.values() if node.alive and isinstance(node.core, Core)]
        known = [status for status in statuses if "commit" in status]
        if not known:
            return dict(next(iter(self._nodes.values())).config.voters)
        furthest = max(known, key=lambda status: int(status["commit"]))
        return dict(furthest["voters"])
