"""Ways to shape a link, and the host that does it: by the sender's kernel where it has netem, else by a queue at the receiver; duplicates always by
the sender.

Each agent tries once what its host can do (`agent/faults/links.py`); the result is kept here for the life of the cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from ....errors import FaultError
from ...agent_client.agents import Json, ask, require
from ...agent_client.desired_state import Want
from ...cluster.cluster import Cluster
from ...faults.force import Force
from ...topology.link_effects import AMOUNTS, Shape
from ...topology.partitions import Edge

PART = "links"
COPIES = "duplicate_ppm"
NO_QUEUE = (
    "apt install iptables there (the kernel needs nft_queue or xt_NFQUEUE), or use hosts whose kernel has sch_netem"
)
QUEUES = {"nft": "nft queue", "iptables": "iptables NFQUEUE"}

_known: WeakKeyDictionary[Cluster, dict[str, Json]] = WeakKeyDictionary()


def known(cluster: Cluster) -> Mapping[str, Json]:
    """Return the results of the tests, by vertex."""
    return _known.get(cluster, {})


def learn(cluster: Cluster, edges: Iterable[Edge], force: Force) -> Mapping[str, Json]:
    """Query once what the vertices of these links support, if we may change them and they have power."""
    found = _known.setdefault(cluster, {})
    ends = {vertex for edge in edges for vertex in edge} & set(cluster.firewalled) - force.off - set(found)
    request = {"do": "look", "part": PART, "what": "abilities"}
    answers = require(ask(cluster.agents, dict.fromkeys(ends, request)), "asking how links can be shaped")
    found.update({name: answer["abilities"] for name, answer in answers.items()})
    return found


def wants(cluster: Cluster, edges: Iterable[Edge], force: Force) -> Iterator[Want]:
    """Yield the hosts' desired state for these links, with all that is active there."""
    able = known(cluster)
    for source, sink in edges:
        shape = dict(force.links.get((source, sink), {}))
        if copies := shape.pop(COPIES, 0):
            yield source, PART, {"copies": {sink: {COPIES: copies, **_addresses(cluster, sink, source)}}}
        if not shape:
            continue
        if by_netem(able, source, shape):
            yield source, PART, {"netem": {sink: {**shape, **_addresses(cluster, sink, source)}}}
        else:
            # It was tried already, and need not be again when the host has booted.
            how = {"how": {"queue": way}} if (way := able.get(sink, {}).get("queue")) else {}
            yield sink, PART, {"queue": {source: {**shape, **_addresses(cluster, source, sink)}}, **how}


def by_netem(able: Mapping[str, Json], source: str, shape: Mapping[str, Any]) -> bool:
    """Return whether the sender's netem does it: netem only has amounts (no clogs, no flaps), and its `reorder` sends at once what it does not delay."""
    late = shape.get("delay_ns") or shape.get("jitter_ns")
    awkward = any(shape[name] for name in shape.keys() - AMOUNTS) or (shape.get("reorder_ppm") and late)
    return bool(able.get(source, {}).get("netem")) and not awkward


def require_ways(cluster: Cluster, shapes: Mapping[Edge, Shape], force: Force, what: str) -> Json:
    """Return by which means each is shaped. Raises one `FaultError` for all that no host can shape."""
    able = learn(cluster, shapes, force)
    means: set[str] = set()
    missing: list[str] = []
    for (source, sink), asked in shapes.items():
        if {source, sink} & force.off:
            continue
        shape = {**force.links.get((source, sink), {}), **asked}
        if shape.pop(COPIES, 0):
            means.add("nft dup")
            if not able.get(source, {}).get("copies"):
                missing.append(f"{source} cannot send packets to {sink} in duplicate (nft `dup`)")
        if by_netem(able, source, shape):
            means.add("netem")
        elif shape:
            way = able.get(sink, {}).get("queue")
            means.add(QUEUES.get(str(way), "none"))
            if way is None:
                missing.append(f"{sink} cannot queue packets from {source}, and {source} has no netem")
    if missing:
        raise FaultError(f"{what}: " + "; ".join(missing), NO_QUEUE)
    return {"backend": sorted(means)}


def _addresses(cluster: Cluster, vertex: str, own: str) -> Json:
    """Every address of the vertex, except what the host also calls its own."""
    agents = cluster.agents
    return {"addresses": sorted({*agents[vertex].addresses} - {*agents[own].addresses})}
