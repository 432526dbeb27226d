"""What happens again and again while a fault lasts: links that flap, connections that break."""

from __future__ import annotations

from collections.abc import Callable

from ...nemesis.faults.fault import Observation, Resolved
from ..cluster.cluster import Edge
from ..options import MILLISECOND, SECOND
from .ground import Ground, Then, edges_of
from .links import unknown_edge

FLAP_LOOKS = 24
"""Probes over one and a half periods of a flap: some in each half."""

RECONNECT_NS = 5 * SECOND


class RepeatedFaults:
    """`_active` maps a fault to the edges it holds down at the moment; a beat of a fault that is no longer there does nothing."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._active: dict[str, list[Edge]] = {}

    def inject(self, fault: Resolved, then: Then) -> None:
        if (error := unknown_edge(self._ground, fault)) is not None:
            self._ground.soon(then, error)
            return
        self._active[fault.intent.id] = []
        if fault.intent.kind == "flap":
            self._flap(fault)
            every_ns = fault.what["period_ns"] * 3 // (2 * FLAP_LOOKS)
            edges = edges_of(fault)
            before, since_ns = self._held_by_others(fault), self._ground.cluster.now_ns

            def hidden(targets: list[Edge]) -> dict[str, list[str]]:
                return self._ground.hidden_by(fault, targets, since_ns)

            self._ground.probes.quality(
                edges,
                FLAP_LOOKS,
                lambda seen: then(_judge_flap(seen, before | self._held_by_others(fault), hidden)),
                every_ns,
            )
        else:
            self._reset(fault, then)

    def heal(self, fault: Resolved, then: Then) -> None:
        self._ground.cluster.heal(self._active.pop(fault.intent.id, []))
        edges = edges_of(fault)
        if fault.intent.kind == "reset":
            self._await_connections(edges, self._ground.cluster.now_ns + RECONNECT_NS, then)
            return
        links, cover = self._ground.cluster.network.links, self._ground.covering
        now_ns = self._ground.cluster.now_ns

        def probed(matrix: dict[Edge, bool]) -> None:
            shut = [edge for edge in edges if not matrix[edge] and not (links[edge].cuts or links[edge].clogs)]
            closed = [edge for edge in shut if not cover.hidden(fault, [edge], now_ns, ending=True)]
            then(Observation(not closed, {"edges": sorted(map(list, closed))}))

        self._ground.probes.reachability(probed)

    def forget(self) -> None:
        self._active.clear()

    def _held_by_others(self, fault: Resolved) -> set[Edge]:
        """Edges of this fault over which something else lets nothing through now: they cannot be seen to flap."""
        network, own = self._ground.cluster.network, self._active.get(fault.intent.id, [])
        found = set()
        for edge in edges_of(fault):
            link, off = network.links[edge], network.off_since_ns
            if link.cuts > (edge in own) or link.clogs or edge[0] in off or edge[1] in off:
                found.add(edge)
        return found

    def _flap(self, fault: Resolved) -> None:
        down = self._active.get(fault.intent.id)
        if down is None:
            return
        cluster = self._ground.cluster
        if down:
            cluster.heal(down)
        else:
            cluster.cut(edges_of(fault))
        self._active[fault.intent.id] = [] if down else edges_of(fault)
        cluster.schedule(cluster.now_ns + fault.what["period_ns"] // 2, self._flap, fault)

    def _reset(self, fault: Resolved, then: Then | None = None) -> None:
        if fault.intent.id not in self._active:
            return
        cluster, pairs = self._ground.cluster, edges_of(fault)
        before = [pair for pair in pairs if cluster.peers.connected(*pair)]
        for pair in pairs:
            cluster.reset_connection(*pair)
        if then is not None:
            broken = [pair for pair in before if not cluster.peers.connected(*pair)]
            told = {"edges": sorted(map(list, broken)), "unbroken": sorted(list(p) for p in before if p not in broken)}
            # What is not connected cannot break; a connection may take that long to come back after what broke it before.
            hidden = {} if before else self._ground.hidden_by(fault, pairs, cluster.now_ns - RECONNECT_NS)
            self._ground.soon(then, Observation(bool(broken) and broken == before, {**told, **hidden}))
        cluster.schedule(cluster.now_ns + fault.what["period_ns"], self._reset, fault)

    def _await_connections(self, pairs: list[Edge], until_ns: int, then: Then) -> None:
        """Until all pairs that can be are connected again, with a bound."""
        cluster = self._ground.cluster
        missing = [pair for pair in pairs if self._can_connect(pair) and not cluster.peers.connected(*pair)]
        if missing and cluster.now_ns < until_ns:
            cluster.schedule(cluster.now_ns + 50 * MILLISECOND, self._await_connections, pairs, until_ns, then)
        else:
            self._ground.soon(then, Observation(not missing, {"edges": sorted(map(list, missing))}))

    def _can_connect(self, pair: Edge) -> bool:
        links, up = self._ground.cluster.network.links, self._ground.cluster.up
        ways = (links[pair], links[pair[1], pair[0]])
        return all(node in up and not self._ground.is_held(node) for node in pair) and not any(
            way.cuts or way.clogs or way.shapings for way in ways
        )


def _judge_flap(
    seen: dict[Edge, list[tuple[int, int]]],
    held: set[Edge],
    hidden_by: Callable[[list[Edge]], dict[str, list[str]]],
) -> Observation:
    """An edge that another fault met while the probes were under way tells nothing."""
    came = {edge: len({number for number, _ in arrivals}) for edge, arrivals in seen.items()}
    still = [edge for edge, count in came.items() if count in (0, FLAP_LOOKS)]
    flapping = [edge for edge in seen if edge not in still]
    unprobed = [edge for edge in still if edge in held or hidden_by([edge])]
    steady = [edge for edge in still if edge not in unprobed]
    told = {"edges": sorted(map(list, flapping)), "steady": sorted(map(list, steady))}
    more = {"unprobed": sorted(map(list, unprobed))} if unprobed else {}
    hidden = {} if flapping or steady else hidden_by(unprobed)
    return Observation(bool(flapping) and not steady, {**told, **more, **hidden})
