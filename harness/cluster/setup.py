"""The configuration of a deployed cluster. Scenarios that need the same setup share one deployment.

Hosts are taken in the lab's order: first the voters, then the learners; the last `late` of these are not started until a scenario does so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..systems.reference.options import ReferenceOptions

CLUSTER = "reference"


@dataclass(frozen=True, slots=True)
class Setup:
    """`membership`, `agents` and `memory` are sections of the nodes' configuration. `timing` is Raft's."""

    name: str
    voters: int
    learners: int = 0
    late: int = 0
    timing: str = "default"
    membership: Mapping[str, Any] = field(default_factory=dict)
    agents: Mapping[str, Any] = field(default_factory=dict)
    memory: Mapping[str, Any] | None = None

    @property
    def hosts(self) -> int:
        return self.voters + self.learners

    def options(self, names: list[str]) -> ReferenceOptions:
        """The options of the reference system on these hosts, in their order. Each node is given only itself: it must discover the others."""
        return ReferenceOptions(
            cluster=CLUSTER,
            timing=self.timing,
            voters=dict.fromkeys(names[: self.voters], 1),
            learners=names[self.voters : self.hosts],
            membership=dict(self.membership),
            agents=dict(self.agents),
            memory=None if self.memory is None else dict(self.memory),
            peer_discovery=True,
        )
