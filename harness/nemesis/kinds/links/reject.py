"""`reject`: a host refuses connections of other nodes, as behind a firewall that answers; clients still reach it. In the simulator only.

Resolved: `{"nodes": ["n2"]}`. To its peers such a node looks like a process that was killed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ....errors import FaultError
from ...agent_client.agents import Json
from ...catalog.kind import NO_PACKETS, NO_PROCESS, FaultKind, Stream
from ...catalog.timing import Aimed
from ...faults.fault import Intent, Observation, Resolved, Situation
from ...faults.targets import resolve_target
from ..base import Ground, Package

NEED = "rejection"


class RejectSpec(Aimed):
    """Hosts of the target reset the connections with other nodes and refuse new ones; clients still reach them. Simulator only."""

    kind: ClassVar[str] = "reject"

    def needs(self) -> frozenset[str]:
        return frozenset({NEED})


class OnHosts(Package):
    kinds = ("reject",)

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        raise FaultError(f"reject {fault.intent.id}: hosts do not support it", Reject.instead[NEED])


class Simulated:
    """A `Family` of the simulator: `_active` are the nodes of the faults that are on."""

    def __init__(self, ground: Any) -> None:
        self._ground = ground
        self._active: dict[str, list[str]] = {}

    def inject(self, fault: Resolved, then: Any) -> None:
        cluster, nodes = self._ground.cluster, list(fault.what["nodes"])
        links = [(node, peer) for node in nodes for peer in cluster.nodes if peer != node]
        before = {node for node, peer in links if cluster.peers.connected(node, peer)}
        self._active[fault.intent.id] = nodes
        for node in nodes:
            cluster.reject(node, True)
        left = sorted({node for node, peer in links if cluster.peers.connected(node, peer)})
        # A node without a connection shows nothing.
        unseen = [node for node in nodes if node not in before]
        hidden = self._ground.hidden_by(fault, unseen, cluster.now_ns) if unseen else {}
        seen = [node for node in nodes if node in before and node not in left]
        self._ground.soon(then, Observation(seen == nodes, {"nodes": seen, "connected": left, **hidden}))

    def heal(self, fault: Resolved, then: Any) -> None:
        self._active.pop(fault.intent.id, None)
        rejecting = {node for nodes in self._active.values() for node in nodes}
        for node in fault.what["nodes"]:
            if node not in rejecting:
                self._ground.cluster.reject(node, False)
        still = [node for node in fault.what["nodes"] if node in self._ground.cluster.peers.rejecting]
        self._ground.soon(then, Observation(set(still) <= rejecting, {"nodes": still}))

    def forget(self) -> None:
        for node in {node for nodes in self._active.values() for node in nodes}:
            self._ground.cluster.reject(node, False)
        self._active.clear()


class Reject(FaultKind):
    name, spec = "reject", RejectSpec
    masks_as = NO_PACKETS
    hidden_by = NO_PACKETS | NO_PROCESS | {"reject", "reset"}
    instead: ClassVar[Mapping[str, str]] = {NEED: "use `reset`, which breaks connections repeatedly, or --hosts sim"}

    def resolve(self, intent: Intent, situation: Situation, stream: Stream) -> Json:
        return {"nodes": resolve_target(intent.parameters["target"], situation, stream("target"))}

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> Simulated:
        return Simulated(ground)


KIND = Reject()
