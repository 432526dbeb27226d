"""A fault as a package: its desired state of hosts, its further actions, and the probe of its presence and its end.

The injector (`..inject.injector`) does the rest for all of them alike: the ledger, the order, the leases, and the sum of what is active.
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
from ..faults.force import Force

Probe = Callable[[Host], str]
"""Tries it on a host, undoes the trial, and returns what it found ("netem", "nft and NFQUEUE"); raises `HostError` or `FaultError` with a hint when it
is not available.
"""


@dataclass(slots=True)
class Ground:
    """Environment of packages. `force` is the combined state of all active faults, updated at every change."""

    cluster: Cluster
    reachability: Reachability
    seed: int | str
    force: Force = field(default_factory=Force)
    notes: dict[str, Json] = field(default_factory=dict)
    """Notes of a package about a fault, by the fault's id."""
    missed: set[str] = field(default_factory=set)
    """Nodes whose process did not come back in the time for a restart, and that nothing has started since. Later checks wait less for them."""
    moving: threading.Lock = field(default_factory=threading.Lock)
    """Held during a change of the voters' weights: two at a time would each undo the other's."""

    @property
    def on(self) -> list[str]:
        """Hosts that have power; the others do not answer."""
        return [name for name in self.cluster.nodes if name not in self.force.off]

    def links(self) -> Observation:
        """Return whether exactly the expected links are down, by probes."""
        return self.reachability.verify(self.force.edges, self.force.loose)


class Package(ABC):
    """One kind of fault, or several that are done alike. Methods raise `FaultError` when hosts refuse."""

    kinds: ClassVar[tuple[str, ...]]
    heals: ClassVar[bool] = True
    """Whether it is healed later. A kind that is not (a change of voters) ends at once."""
    abilities: ClassVar[Mapping[str, Probe]] = {}
    """The host abilities that it needs, by the names that specs use in `needs()`, and how to test them."""

    waits: ClassVar[bool] = False
    """Whether it has a `prepare` and a `finish`: they may wait for what only another fault's heal brings back, such as a quorum."""

    def prepare(self, fault: Resolved, ground: Ground) -> Json:
        """First step, while other faults may begin and end; its result goes into the ledger."""
        return {}

    def finish(self, fault: Resolved, ground: Ground) -> Json:
        """Last step, when nothing of it is wanted any more and others may begin and end. If it fails, the final heal repeats it."""
        return {}

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        """Desired state of the hosts while it is active; sent to their agents, and leased there."""
        return ()

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        """Action at its start, before the agents receive the state; its result goes into the ledger."""
        return {}

    def end(self, fault: Resolved, ground: Ground) -> Json:
        """Action at its heal, before the agents receive the state."""
        return {}

    @abstractmethod
    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        """Verify by an independent probe: whether it is there (`on`), or whether it has ended."""

    def unheld(self, fault: Resolved, ground: Ground) -> Mapping[str, list[str]]:
        """Return nodes where it was observed and is no longer, just before its heal, with the evidence: another program ended it."""
        return {}
