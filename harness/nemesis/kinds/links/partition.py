"""`partition`, in ledgers `cut`: packets between vertices are dropped where they arrive.

Resolved: `{"edges": [["n1", "n2"], …]}`: packets from the first to the second vertex are dropped at the receiver.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from ...agent_client.agents import Json
from ...agent_client.desired_state import Want
from ...catalog.kind import NO_PACKETS, Fields, Sort
from ...catalog.knobs import Knobs
from ...catalog.random_forms import LINKS, SPLITS, TARGETS
from ...faults.fault import Observation, Resolved
from ...faults.force import Force
from ...specs.links import Shaped
from ...topology.partitions import Edge
from ..base import Ground, Package
from .link_kind import LinkKind


class PartitionSpec(Shaped):
    """Packets between vertices are dropped at the receiver. A list of shapes is used in turn, one per start."""

    kind: ClassVar[str] = "cut"


class OnHosts(Package):
    kinds = ("cut",)

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        return drops([(source, sink) for source, sink in fault.what["edges"]], ground)

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        seen = ground.links()
        mine = {(source, sink) for source, sink in fault.what["edges"]}
        down = [edge for edge in seen.observed["edges"] if not on or tuple(edge) in mine]
        # In a small cluster a shape may yield no edges; it is reported as a no-op fault.
        return Observation(seen.verified and bool(mine), {**seen.observed, "edges": down})


def drops(edges: Iterable[Edge], ground: Ground, part: str = "cut", more: Json | None = None) -> Iterable[Want]:
    """Yield the desired states: the receiver drops the packets, or the sender where the receiver has no firewall of ours."""
    agents, firewalled = ground.cluster.agents, ground.cluster.firewalled
    for source, sink in edges:
        if sink in firewalled:
            yield sink, part, {"from": _addresses(ground, source, sink), **(more or {})}
        elif source in agents:
            yield source, part, {"to": _addresses(ground, sink, source), **(more or {})}


def _addresses(ground: Ground, vertex: str, own: str) -> list[str]:
    """Return every address of the vertex, IPv4 and IPv6, except those that the host also uses for itself."""
    agents = ground.cluster.agents
    return sorted({*agents[vertex].addresses} - {*agents[own].addresses})


def _any_shapes(knobs: Knobs) -> Fields:
    shapes = [shape for shape in (*SPLITS, "leader-majority", "one-way", "clients-cut") if knobs.on(shape)]
    return {"shape": shapes or ["halves"]}


def _one_way(knobs: Knobs) -> Fields:
    target, direction = knobs.choose("target", TARGETS), knobs.choose("direction", ("in", "out"))
    return {"shape": "one-way", "target": target, "direction": direction}


class Partition(LinkKind):
    name, word, spec = "cut", "partition", PartitionSpec
    masks_as = NO_PACKETS
    end_hidden_by = NO_PACKETS | {"flap", "link"}
    of_the_provider = frozenset({"cut"})
    sorts: ClassVar[Mapping[str, Sort]] = {
        "partition": Sort("partition", LINKS, _any_shapes),
        "one-way": Sort("partition", LINKS, _one_way),
    }

    def add_to(self, force: Force, what: Mapping[str, Any], ident: str) -> None:
        force.edges.update((source, sink) for source, sink in what["edges"])

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> Any:
        from ....simulator.faults.links import Cuts

        return Cuts(ground)


KIND = Partition()
