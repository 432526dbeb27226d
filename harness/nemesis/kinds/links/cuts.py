"""Packets between vertices are dropped where they arrive."""

from __future__ import annotations

from collections.abc import Iterable

from ...agent_client.agents import Json
from ...agent_client.desired_state import Want
from ...faults.fault import Observation, Resolved
from ...topology.topology import Edge
from ..base import Ground, Package


class Cut(Package):
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
    """Packets are dropped by their receiver; by the sender only where the receiver has no firewall of ours."""
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
