"""Ground that the families of faults share: the cluster, its probes, and the record of which faults hold which node down or stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, runtime_checkable

from tribulation.node.core.interface.events import Event, Received
from tribulation.node.core.interface.messages import TimeoutNow

from ...errors import FaultError
from ...nemesis.faults.fault import Observation, Resolved, Situation
from ...nemesis.topology.masking import Covering
from ..cluster.clocks import EPOCH_NS
from ..cluster.cluster import Edge, SimCluster
from ..cluster.node import WHOLE, Process
from ..cluster.probes import Probes
from ..options import MILLISECOND

Then = Callable[["Observation | FaultError"], None]

BOOT_NS = 200 * MILLISECOND
"""By then a process that was started has read its disk, and has stopped itself if it refuses it."""


AGAIN_NS = 50 * MILLISECOND
"""Time between two checks of whether a fault would show now."""


class Family(Protocol):
    """Family of kinds of fault. It knows each fault by its intent's id. `then` is never called within a call."""

    def inject(self, fault: Resolved, then: Then) -> None: ...

    def heal(self, fault: Resolved, then: Then) -> None:
        """Heal and observe. Healing an inactive fault changes nothing and is observed even so."""
        ...

    def forget(self) -> None:
        """Forget everything: it was undone at once (`restore`), and nothing is active any more."""
        ...


@runtime_checkable
class Patient(Protocol):
    """A family whose faults may wait for a moment at which they would show."""

    def may_show(self, fault: Resolved) -> bool: ...


@runtime_checkable
class BringsBack(Protocol):
    """A family whose changes are undone through the cluster's log, at the end and when everything else is healed."""

    def bring_back(self, then: Callable[[FaultError | None], None]) -> None: ...


class Ground:
    """Shared state of the families. `down` and `stopped` map a fault to the nodes that it holds so; `covering` knows which faults were seen, and when
    they were active.

    `wiped` are nodes whose disks lost what was promised; no heal restores that, so it lasts for the whole run. `away` maps a fault to the voters that
    it keeps away, with the weights that they must have again.

    `hold_most_ns` is how long a fault may wait for a moment at which it can show; 0: it happens at its time, with or without effect.
    """

    def __init__(self, cluster: SimCluster, situation: Callable[[], Situation], hold_most_ns: int = 0) -> None:
        self.cluster, self.situation = cluster, situation
        self._hold_most_ns = hold_most_ns
        self._until_ns: dict[str, int] = {}
        self.probes = Probes(cluster)
        self.down: dict[str, list[str]] = {}
        self.stopped: dict[str, list[str]] = {}
        self.covering = Covering()
        self.wiped: set[str] = set()
        self.away: dict[str, Mapping[str, int]] = {}

    def unknown_edge(self, fault: Resolved) -> FaultError | None:
        unknown = [edge for edge in edges_of(fault) if edge not in self.cluster.network.links]
        if not unknown:
            return None
        return FaultError(
            f"{fault.intent.kind} {fault.intent.id}: no edge {unknown[0]}", "name nodes of the cluster, or `clients`"
        )

    def on_request_to_stand(self, notify: Callable[[str], None]) -> None:
        """Report each node that a leader's request to stand at once reaches."""

        def hear(node: str, event: Event) -> None:
            if type(event) is Received and type(event.message) is TimeoutNow:
                notify(node)

        self.cluster.event_watchers.append(hear)

    def soon(self, then: Then, result: Observation | FaultError) -> None:
        """Call `then` later, never within the call: a caller that schedules its next step must have returned first."""
        self.later(MILLISECOND, then, lambda: result)

    def later(self, delay_ns: int, then: Then, look: Callable[[], Observation | FaultError]) -> None:
        self.cluster.schedule(self.cluster.now_ns + delay_ns, lambda: then(look()))

    def waits(self, fault: Resolved) -> bool:
        """Return whether a fault that would not show now may wait longer; the time counts from the first call."""
        now_ns = self.cluster.now_ns
        return now_ns < self._until_ns.setdefault(fault.intent.id, now_ns + self._hold_most_ns)

    def hidden_by(self, fault: Resolved, targets: Iterable[str | Edge], since_ns: int) -> dict[str, list[str]]:
        """Return the faults that mask all these targets, if any; reported with an observation that saw nothing."""
        found = self.covering.hidden(fault, targets, since_ns)
        return {"hidden_by": sorted(found)} if found else {}

    def is_held(self, node: str) -> bool:
        return any(node in nodes for group in (self.down, self.stopped) for nodes in group.values())

    def start(self, nodes: Iterable[str]) -> None:
        """Start nodes that no fault holds down; one that a fault stops comes back stopped."""
        for node in nodes:
            if not any(node in held for held in self.down.values()):
                self.cluster.start(node)
                if self.is_held(node):
                    self.cluster.pause(node)

    def resume(self, nodes: Iterable[str]) -> None:
        for node in nodes:
            if not any(node in held for held in self.stopped.values()):
                self.cluster.resume(node)

    def processes(self, nodes: Iterable[str], *wanted: Process) -> Observation:
        states = {node: self.cluster.process(node) for node in nodes}
        verified = all(state in wanted for state in states.values())
        return Observation(verified, {"processes": {node: state.value for node, state in states.items()}})

    def running(self, nodes: Iterable[str], fault: Resolved) -> Observation:
        """Observe whether nodes run again after this fault, except those that another fault holds, or keeps from running (a node with a failing disk stops
        itself).
        """
        now_ns = self.cluster.now_ns
        free = [node for node in nodes if not self.is_held(node)]
        down = {node for node in free if self.cluster.process(node) is not Process.RUNNING}
        return self.processes(
            [node for node in free if node not in down or not self.covering.hidden(fault, [node], now_ns, ending=True)],
            Process.RUNNING,
        )

    def wall_offset_ns(self, node: str) -> int:
        """Return this host's wall clock minus the harness's, both read now."""
        return self.cluster.nodes[node].wall_ns() - EPOCH_NS - self.cluster.now_ns


def restore(cluster: SimCluster, nodes: Iterable[str] | None = None) -> None:
    """Undo everything that may be active, known or not, on the network and on these nodes (all by default)."""
    cluster.heal_network()
    for name in list(cluster.nodes) if nodes is None else nodes:
        node = cluster.nodes[name]
        node.disk.trouble.end()
        if node.clock.wall_offset_ns:
            cluster.shift_wall(name, -node.clock.wall_offset_ns)
        for drift in list(node.clock.wall_drifts):
            cluster.drift_wall(name, drift, 0)
        if node.clock.drift_ppm != node.clock.own_drift_ppm:
            cluster.drift(name, node.clock.own_drift_ppm - node.clock.drift_ppm)
        if node.disk.decays:
            cluster.repair(name)
        if node.share_ppm < WHOLE:
            cluster.starve(name, WHOLE)
        if name in cluster.exhausted:
            cluster.exhaust(name, False)
        cluster.resume(name)
        cluster.start(name)


def still_on(cluster: SimCluster) -> dict[str, list[str]]:
    """Return by kind the nodes on which a fault of it is active: the simulator knows it exactly, while a measurement during other faults may be off."""
    clocks = {name: node.clock for name, node in cluster.nodes.items()}
    return {
        "clock": [
            name
            for name, clock in clocks.items()
            if clock.wall_offset_ns or clock.wall_drifts or clock.drift_ppm != clock.own_drift_ppm
        ],
        "cpu": [name for name, node in cluster.nodes.items() if node.share_ppm < WHOLE],
    }


def edges_of(fault: Resolved) -> list[Edge]:
    return [(source, target) for source, target in fault.what["edges"]]
