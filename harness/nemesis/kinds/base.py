"""A fault as a package: what it wants of the hosts, what it does beyond them, and how to see that it is there and that it has gone.

The injector (`..injector`) does the rest for all of them alike: the ledger, the order, the leases, and the sum of what is in force.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from ...hosts.base import Host
from ..agent_client.agents import Json
from ..agent_client.desired_state import Want
from ..cluster.cluster import Cluster
from ..cluster.reachability import Reachability
from ..faults.fault import Observation, Resolved
from ..topology.resolve import Force

Probe = Callable[[Host], str]
"""Tries it on a host, undoes the trial, and says what it found ("netem", "nft and NFQUEUE"); raises `HostError` or `FaultError` with a hint when it is not to be had."""


@dataclass(slots=True)
class Ground:
    """What packages stand on. `force` is what all active faults together have in force, renewed at every change."""

    cluster: Cluster
    reachability: Reachability
    seed: int | str
    force: Force = field(default_factory=Force)
    notes: dict[str, Json] = field(default_factory=dict)
    """What a package has to remember of a fault, by the fault's id."""
    moving: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever changes the voters' weights: two at a time would each undo the other's."""

    @property
    def on(self) -> list[str]:
        """Hosts that have power: the others answer nothing."""
        return [name for name in self.cluster.nodes if name not in self.force.off]

    def links(self) -> Observation:
        """Whether exactly those links are down that shall be, by probes."""
        return self.reachability.verify(self.force.edges, self.force.loose)


class Package(ABC):
    """One kind of fault, or several that are done alike. Methods raise `FaultError` for what the hosts would not do."""

    kinds: ClassVar[tuple[str, ...]]
    heals: ClassVar[bool] = True
    """Whether it is taken back. What is not (a change of voters) is over when it is done."""
    abilities: ClassVar[Mapping[str, Probe]] = {}
    """What hosts must be able to do for it, by the names that specs use in `needs()`, and how to find out."""

    waits: ClassVar[bool] = False
    """Whether it has a `prepare` and a `finish`: they may wait for what only another fault's heal brings back, such as a quorum."""

    def prepare(self, fault: Resolved, ground: Ground) -> Json:
        """Done first, while other faults may begin and end; what it returns stands in the ledger."""
        return {}

    def finish(self, fault: Resolved, ground: Ground) -> Json:
        """Done last, when nothing of it is wanted any more and others may begin and end; again at the final heal, should it fail."""
        return {}

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        """What the hosts shall be like while it is on; told to their agents, and leased there."""
        return ()

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        """Done at its start, before the agents are told; what it returns stands in the ledger."""
        return {}

    def end(self, fault: Resolved, ground: Ground) -> Json:
        """Done at its heal, before the agents are told."""
        return {}

    @abstractmethod
    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        """By a probe that is no part of the injection: whether it is there (`on`), or whether it has gone."""

    def unheld(self, fault: Resolved, ground: Ground) -> Mapping[str, list[str]]:
        """Nodes where it was seen and is no longer, just before its heal, and what shows that: somebody else ended it."""
        return {}
