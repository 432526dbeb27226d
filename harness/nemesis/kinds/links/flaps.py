"""What happens again and again while it lasts: links that go down and up, connections that break."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from ....errors import FaultError
from ....hosts.base import Host
from ...agent_client.agents import Json, ask, require
from ...agent_client.desired_state import Want
from ...faults.fault import Observation, Resolved
from ...topology.topology import Edge
from ..base import Ground, Package, Probe
from . import bursts, link_quality, link_ways
from .links import Shaped, can, edges_of, holds, listed

LOOKS = 48
"""Packets over one and a half periods of a flap."""
NO_RESETS = "the kernel needs INET_DIAG_DESTROY, and the host `ss`: apt install iproute2"


class Flap(Shaped):
    kinds = ("flap",)
    abilities: ClassVar[Mapping[str, Probe]] = {"flap": holds}

    def visible(self, fault: Resolved, ground: Ground) -> list[Edge]:
        """What else clogs the link hides it; another flap does not."""
        force = ground.force
        return [
            edge
            for edge in edges_of(fault)
            if edge not in force.edges and not {*edge} & force.off and not force.links.get(edge, {}).get("clogged")
        ]

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        edges, period_ns = self.visible(fault, ground), int(fault.what["period_ns"])
        shapes = {edge: ground.force.links.get(edge, {}) for edge in edges}
        late_ns = max((shape.get("delay_ns", 0) + shape.get("jitter_ns", 0) for shape in shapes.values()), default=0)
        seen = bursts.burst(ground.cluster, edges, LOOKS, period_ns * 3 // (2 * LOOKS), late_ns)
        came = {edge: 0 if found is None else int(found["came"]) for edge, found in seen.items()}
        flapping = [edge for edge in edges if 0 < came[edge] < LOOKS]
        unprobed = sorted(set(edges_of(fault)) - set(edges))
        more = {"unprobed": listed(unprobed)} if unprobed else {}
        if on:
            steady = [edge for edge in edges if edge not in flapping]
            return Observation(
                bool(flapping) and not steady, {"edges": listed(flapping), "steady": listed(steady), **more}
            )
        still = [e for e in edges if not shapes[e] and not link_quality.is_whole({}, seen[e], LOOKS)]
        closed = [edge for edge in edges if not came[edge]]
        return Observation(not still and not closed, {"edges": listed({*still, *closed}), **more})


def _breaks(host: Host) -> str:
    able: dict[str, Any] = can(host)
    if not able["resets"]:
        raise FaultError(f"{host.name}: `ss -K` does not break a connection", NO_RESETS)
    return "ss -K"


class Reset(Package):
    """Both ends destroy their sockets. Noted of each are the connections that there were when it began, by pair."""

    kinds = ("reset",)
    abilities: ClassVar[Mapping[str, Probe]] = {"reset": _breaks}

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        for a, b in edges_of(fault):
            for own, other in ((a, b), (b, a)):
                reset = {"period_ns": int(fault.what["period_ns"]), "addresses": _addresses(ground, other)}
                yield own, link_ways.PART, {"resets": {f"{other} {fault.intent.id}": reset}}

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        known = link_ways.learn(ground.cluster, edges_of(fault), ground.force)
        unable = sorted({v for pair in edges_of(fault) for v in pair if v in known and not known[v]["resets"]})
        if unable:
            raise FaultError(f"reset {fault.intent.id}: `ss -K` breaks no connection on {', '.join(unable)}", NO_RESETS)
        ground.notes[fault.intent.id] = {"connections": _connections(fault, ground)}
        return {"backend": ["ss -K"]}

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        """By the kernel's table of connections; a pair that had none had nothing to break."""
        if not on:
            seen = ground.links()
            unconnected = [pair for pair, now in _connections(fault, ground).items() if not now]
            return Observation(seen.verified, {**seen.observed, "unconnected": listed(unconnected)})
        before = {pair: old for pair, old in ground.notes[fault.intent.id]["connections"].items() if old}
        now = _connections(fault, ground)
        broken = [pair for pair, old in before.items() if not old & now.get(pair, set())]
        unbroken = [pair for pair in before if pair not in broken]
        told = {"edges": listed(broken), "unbroken": listed(unbroken)}
        return Observation(bool(broken) and not unbroken, told)


def _connections(fault: Resolved, ground: Ground) -> dict[Edge, set[int]]:
    """Of each pair, the sockets at its first end that are connected with the second."""
    found: dict[Edge, set[int]] = {}
    for a, b in edges_of(fault):
        if a in ground.force.off or a not in ground.cluster.agents:
            continue
        request = {"do": "look", "part": link_ways.PART, "what": "connections", "addresses": _addresses(ground, b)}
        answer = require(ask(ground.cluster.agents, {a: request}), "looking at connections")[a]
        found[a, b] = {inode for *_, inode in answer["connections"]}
    return found


def _addresses(ground: Ground, vertex: str) -> list[str]:
    return sorted(ground.cluster.agents[vertex].addresses)
