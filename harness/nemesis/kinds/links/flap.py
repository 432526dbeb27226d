"""`flap`: links go down and up again, half of each period down.

Resolved: `{"edges": …, "period_ns"}`: cut for the first half of each period.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ...agent_client.agents import Json
from ...catalog.kind import NO_PACKETS, Sort
from ...catalog.random_forms import PERIODS, on_links
from ...faults.fault import Observation, Resolved
from ...specs.links import Repeated
from ...topology.link_effects import AMOUNTS
from ...topology.partitions import Edge
from ..base import Ground, Probe
from . import bursts, link_quality
from .link_kind import LinkKind
from .shaped import Shaped, edges_of, holds, listed

LOOKS = 48
"""Packets over one and a half periods of a flap."""
FLAP_LOOKS = 24
"""Probes of the simulator over one and a half periods: some in each half."""


class FlapSpec(Repeated):
    """The links go down and up again, half of each `period` down."""

    kind: ClassVar[str] = "flap"


class OnHosts(Shaped):
    kinds = ("flap",)
    abilities: ClassVar[Mapping[str, Probe]] = {"flap": holds}

    def visible(self, fault: Resolved, ground: Ground) -> list[Edge]:
        """Return the links on which it can be seen: nothing but amounts (loss, delay, …) and other flaps may act there too."""
        force = ground.force
        return [
            edge
            for edge in edges_of(fault)
            if edge not in force.edges
            and not {*edge} & force.off
            and force.links.get(edge, {}).keys() <= {*AMOUNTS, "flaps_ns"}
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


class Simulated:
    """A `Family` of the simulator. `_active` maps a fault to the edges it holds down at the moment; a beat of a fault that has ended does nothing."""

    def __init__(self, ground: Any) -> None:
        self._ground = ground
        self._active: dict[str, list[Edge]] = {}

    def inject(self, fault: Resolved, then: Any) -> None:
        if (error := self._ground.unknown_edge(fault)) is not None:
            self._ground.soon(then, error)
            return
        self._active[fault.intent.id] = []
        self._flap(fault)
        every_ns = fault.what["period_ns"] * 3 // (2 * FLAP_LOOKS)
        edges = edges_of(fault)
        before, since_ns = self._held_by_others(fault), self._ground.cluster.now_ns

        def hidden(targets: list[Edge]) -> dict[str, list[str]]:
            found: dict[str, list[str]] = self._ground.hidden_by(fault, targets, since_ns)
            return found

        self._ground.probes.quality(
            edges,
            FLAP_LOOKS,
            lambda seen: then(_judge_flap(seen, before | self._held_by_others(fault), hidden)),
            every_ns,
        )

    def heal(self, fault: Resolved, then: Any) -> None:
        self._ground.cluster.heal(self._active.pop(fault.intent.id, []))
        edges = edges_of(fault)
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
        """Return edges of this fault over which something else lets nothing through now: they cannot be seen to flap."""
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


def _judge_flap(
    seen: dict[Edge, list[tuple[int, int]]],
    held: set[Edge],
    hidden_by: Callable[[list[Edge]], dict[str, list[str]]],
) -> Observation:
    """An edge that another fault met during the probes is no evidence."""
    came = {edge: len({number for number, _ in arrivals}) for edge, arrivals in seen.items()}
    still = [edge for edge, count in came.items() if count in (0, FLAP_LOOKS)]
    flapping = [edge for edge in seen if edge not in still]
    unprobed = [edge for edge in still if edge in held or hidden_by([edge])]
    steady = [edge for edge in still if edge not in unprobed]
    facts = {"edges": sorted(map(list, flapping)), "steady": sorted(map(list, steady))}
    more = {"unprobed": sorted(map(list, unprobed))} if unprobed else {}
    hidden = {} if flapping or steady else hidden_by(unprobed)
    return Observation(bool(flapping) and not steady, {**facts, **more, **hidden})


class Flap(LinkKind):
    name, spec = "flap", FlapSpec
    amounts = ("period_ns",)
    shapes_links = True
    hidden_by = NO_PACKETS | {"flap", "link"}
    sorts: ClassVar[Mapping[str, Sort]] = {"flap": on_links("flap", {"period": PERIODS})}

    def shape(self, what: Mapping[str, Any]) -> Json:
        return {"flaps_ns": [int(what["period_ns"])]}

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> Simulated:
        return Simulated(ground)


KIND = Flap()
