"""Common parts of faults that shape links: what hosts must be able to do, what is wanted of them, and whether it lasted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from ....errors import FaultError
from ....hosts.base import Host
from ...agent_client.agents import Json, ask
from ...agent_client.desired_state import Want
from ...agent_client.one_question import ask_part
from ...faults.fault import Resolved
from ...topology.link_effects import AMOUNTS, shape_of
from ...topology.partitions import Edge
from ..base import Ground, Package
from . import link_ways

EVERY_NS = 1_000_000
"""Time between two packets of a burst."""

COUNTERS: Json = {"do": "look", "part": link_ways.PART, "what": "counters"}
_able: WeakKeyDictionary[Host, dict[str, Any]] = WeakKeyDictionary()
"""What was tried on a host, once for all kinds."""


def edges_of(fault: Resolved) -> list[Edge]:
    return [(source, sink) for source, sink in fault.what["edges"]]


def can(host: Host, *names: str) -> dict[str, Any]:
    """Check that the host can do these for links; raises `FaultError` when one is missing."""
    if host not in _able:
        _able[host] = ask_part(host, {"part": link_ways.PART, "what": "abilities"})["abilities"]
    able = _able[host]
    for name in names:
        if not able[name]:
            raise FaultError(f"{host.name} lacks a requirement of shaped links: {name}", link_ways.NO_QUEUE)
    return able


def holds(host: Host) -> str:
    return link_ways.QUEUES[can(host, "queue")["queue"]]


class Shaped(Package):
    """Faults that shape links: the hosts' part, and whether it lasted."""

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        return link_ways.wants(ground.cluster, edges_of(fault), ground.force)

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        shapes = {edge: shape_of(fault) for edge in edges_of(fault)}
        return link_ways.require_ways(ground.cluster, shapes, ground.force, f"{fault.intent.kind} {fault.intent.id}")

    def end(self, fault: Resolved, ground: Ground) -> Json:
        """End the fault. If another program ended a helper, all packets passed, and the fault did not last."""
        known, off = link_ways.known(ground.cluster), ground.force.off | ground.cluster.off
        queued = {
            sink
            for source, sink in edges_of(fault)
            if sink in known and sink not in off and not _elsewhere(known, source, fault)
        }
        # A host that does not answer is no evidence; whether the links are whole is verified next.
        seen, _ = ask(ground.cluster.agents, dict.fromkeys(queued, COUNTERS))
        return {"lapsed": True} if any(answer["counters"] is None for answer in seen.values()) else {}

    def visible(self, fault: Resolved, ground: Ground) -> list[Edge]:
        """Links of the fault over which nothing else keeps packets away."""
        force, agents = ground.force, ground.cluster.agents
        return [
            edge
            for edge in edges_of(fault)
            if edge not in force.edges
            and not {*edge} & force.off
            and {*edge} <= set(agents)
            and not _blocked(ground, edge)
        ]


def _elsewhere(known: Mapping[str, Json], source: str, fault: Resolved) -> bool:
    shape = {name: value for name, value in shape_of(fault).items() if name != link_ways.COPIES}
    return not shape or link_ways.by_netem(known, source, shape)


def _blocked(ground: Ground, edge: Edge) -> bool:
    shape = ground.force.links.get(edge, {})
    return any(shape.get(name) for name in shape.keys() - AMOUNTS)


def listed(edges: Iterable[Edge]) -> list[list[str]]:
    return [list(edge) for edge in sorted(edges)]
