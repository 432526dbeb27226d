"""`reset`: the connections between the nodes at both ends of links break at once, and again every period.

Resolved: `{"edges": [["n1", "n2"], …], "period_ns"}`: connections of these pairs break, now and each period.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from ....errors import FaultError
from ....hosts.base import Host
from ...agent_client.agents import Json, ask, require
from ...agent_client.desired_state import Want
from ...catalog.kind import NO_PACKETS, NO_PROCESS, Sort, Stream
from ...catalog.random_forms import PERIODS, on_links
from ...faults.fault import CLIENTS, Intent, Observation, Resolved, Situation
from ...specs.links import Repeated
from ...topology.partitions import Edge
from ..base import Ground, Package, Probe
from . import link_ways
from .link_kind import LinkKind
from .shaped import can, edges_of, listed

NO_RESETS = "the kernel needs INET_DIAG_DESTROY, and the host `ss`: apt install iproute2"
RECONNECT_NS = 5 * 1_000_000_000


class ResetSpec(Repeated):
    """The connections between the nodes at both ends of the links break at once, and again every `period`."""

    kind: ClassVar[str] = "reset"


def _breaks(host: Host) -> str:
    able: dict[str, Any] = can(host)
    if not able["resets"]:
        raise FaultError(f"{host.name}: `ss -K` does not break a connection", NO_RESETS)
    return "ss -K"


class OnHosts(Package):
    """Both ends destroy their sockets. Notes for each fault the connections that existed at its beginning, by pair."""

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
        """Verify by the kernel's table of connections; a pair without connections had nothing to break."""
        if not on:
            seen = ground.links()
            unconnected = [pair for pair, now in _connections(fault, ground).items() if not now]
            return Observation(seen.verified, {**seen.observed, "unconnected": listed(unconnected)})
        before = {pair: old for pair, old in ground.notes[fault.intent.id]["connections"].items() if old}
        now = _connections(fault, ground)
        broken = [pair for pair, old in before.items() if not old & now.get(pair, set())]
        unbroken = [pair for pair in before if pair not in broken]
        facts = {"edges": listed(broken), "unbroken": listed(unbroken)}
        return Observation(bool(broken) and not unbroken, facts)


def _connections(fault: Resolved, ground: Ground) -> dict[Edge, set[int]]:
    """Return for each pair the sockets at its first end that are connected with the second."""
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


class Simulated:
    """A `Family` of the simulator: `_active` are the faults that are on."""

    def __init__(self, ground: Any) -> None:
        self._ground = ground
        self._active: set[str] = set()

    def inject(self, fault: Resolved, then: Any) -> None:
        if (error := self._ground.unknown_edge(fault)) is not None:
            self._ground.soon(then, error)
            return
        self._active.add(fault.intent.id)
        self._reset(fault, then)

    def heal(self, fault: Resolved, then: Any) -> None:
        self._active.discard(fault.intent.id)
        self._await_connections(edges_of(fault), self._ground.cluster.now_ns + RECONNECT_NS, then)

    def forget(self) -> None:
        self._active.clear()

    def _reset(self, fault: Resolved, then: Any = None) -> None:
        if fault.intent.id not in self._active:
            return
        cluster, pairs = self._ground.cluster, edges_of(fault)
        before = [pair for pair in pairs if cluster.peers.connected(*pair)]
        for pair in pairs:
            cluster.reset_connection(*pair)
        if then is not None:
            broken = [pair for pair in before if not cluster.peers.connected(*pair)]
            facts = {"edges": sorted(map(list, broken)), "unbroken": sorted(list(p) for p in before if p not in broken)}
            # A pair without a connection cannot break; a connection may take that long to come back after what broke it before.
            hidden = {} if before else self._ground.hidden_by(fault, pairs, cluster.now_ns - RECONNECT_NS)
            self._ground.soon(then, Observation(bool(broken) and broken == before, {**facts, **hidden}))
        cluster.schedule(cluster.now_ns + fault.what["period_ns"], self._reset, fault)

    def _await_connections(self, pairs: list[Edge], until_ns: int, then: Any) -> None:
        """Wait until all pairs that can be are connected again, `until_ns` at the latest."""
        cluster = self._ground.cluster
        missing = [pair for pair in pairs if self._can_connect(pair) and not cluster.peers.connected(*pair)]
        if missing and cluster.now_ns < until_ns:
            cluster.schedule(cluster.now_ns + 50_000_000, self._await_connections, pairs, until_ns, then)
        else:
            self._ground.soon(then, Observation(not missing, {"edges": sorted(map(list, missing))}))

    def _can_connect(self, pair: Edge) -> bool:
        links, up = self._ground.cluster.network.links, self._ground.cluster.up
        ways = (links[pair], links[pair[1], pair[0]])
        return all(node in up and not self._ground.is_held(node) for node in pair) and not any(
            way.cuts or way.clogs or way.shapings for way in ways
        )


class Reset(LinkKind):
    name, spec = "reset", ResetSpec
    amounts = ("period_ns",)
    hidden_by = NO_PACKETS | NO_PROCESS | {"flap", "link", "pause", "reset", "cpu"}
    both_ways = True
    sorts: ClassVar[Mapping[str, Sort]] = {"reset": on_links("reset", {"period": PERIODS})}

    def resolve(self, intent: Intent, situation: Situation, stream: Stream) -> Json:
        """Return each pair of nodes once, since a connection has two directions. Clients' connections are left out."""
        what = super().resolve(intent, situation, stream)
        pairs = sorted({(min(edge), max(edge)) for edge in what["edges"] if CLIENTS not in edge})
        return {**what, "edges": [list(pair) for pair in pairs]}

    def pinned(self, what: Mapping[str, Any]) -> list[Json]:
        both = [*what["edges"], *([sink, source] for source, sink in what["edges"])]
        return super().pinned({**what, "edges": both})

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> Simulated:
        return Simulated(ground)


KIND = Reset()
