"""`corrupt`: bits of the traffic on links flip, and no checksum of the network detects it: the application receives other bytes than were sent.

A `link` with `corrupt` damages packets so that the receiver's kernel drops them, which is loss; here the kernel passes them on. On hosts the
receiver's queue flips a bit of the data and adjusts the checksum (`agent/network/shaping.py`); it is verified by packets of our own that arrive as
other packets. In the simulator the bytes of messages between nodes change, and the reference node's own decoder reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pydantic import Field

from ....user_files.measured import Chance
from ...agent_client.agents import Json, ask, require
from ...catalog.kind import LEAVES_RUNNING, MAY_DAMAGE, NO_PACKETS, Sort, Stream
from ...faults.fault import CLIENTS, Intent, Observation, Resolved, Situation
from ...specs.links import Shaped as ShapedSpec
from ...topology.partitions import Edge
from ..base import Ground, Probe
from . import bursts, link_quality
from .link_kind import LinkKind
from .shaped import EVERY_NS, Shaped, edges_of, holds, listed

FLIP = "flip_ppm"
_TRIED = b"what a node might say, as long as a short message"
_WITNESSES = 16
_LOOK_NS = 200_000


class CorruptSpec(ShapedSpec):
    """Bits of the traffic on the links flip, and no checksum of the network detects it: applications receive wrong bytes."""

    kind: ClassVar[str] = "corrupt"

    chance: Chance = Field(description="share of packets with data in which a bit flips")

    def parameters(self) -> dict[str, Any]:
        found = super().parameters()
        del found["chance"]
        return {**found, FLIP: self.chance}


class OnHosts(Shaped):
    kinds = ("corrupt",)
    abilities: ClassVar[Mapping[str, Probe]] = {"corrupt": holds}

    def visible(self, fault: Resolved, ground: Ground) -> list[Edge]:
        """Return the links over which nothing else keeps all packets away; loss and delay do not hide damage."""
        force = ground.force
        return [
            edge
            for edge in edges_of(fault)
            if edge not in force.edges
            and not {*edge} & force.off
            and not any(force.links.get(edge, {}).get(name) for name in ("clogged", "flaps_ns"))
        ]

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        edges, shapes = self.visible(fault, ground), ground.force.links
        if not on:
            edges = [edge for edge in edges if not shapes.get(edge, {}).get(FLIP)]
        count = link_quality.count_for([{"corrupt_ppm": fault.what[FLIP]}], len(edges))
        late_ns = max((sum(shapes.get(e, {}).get(n, 0) for n in ("delay_ns", "jitter_ns")) for e in edges), default=0)
        before = _damaged(ground, edges)
        seen = bursts.burst(ground.cluster, edges, count, EVERY_NS, late_ns) if edges else {}
        damaged = {edge: number - before[edge] for edge, number in _damaged(ground, edges).items()}
        hit = [edge for edge in edges if damaged[edge]]
        facts = {
            "edges": listed(hit),
            "sent": count * len(edges),
            "damaged": sum(damaged.values()),
            "unlike_any": count * len(edges) - sum(one["came"] for one in seen.values() if one is not None),
        }
        if missed := [edge for edge in edges if edge not in hit]:
            facts |= {"undamaged": listed(missed)} if on else {}
        if unprobed := [edge for edge in edges_of(fault) if edge not in edges]:
            facts["unprobed"] = listed(unprobed)
        return Observation(bool(hit) and not missed if on else not hit, facts)


def _damaged(ground: Ground, edges: Iterable[Edge]) -> dict[Edge, int]:
    """Return how many packets came over each link to the probes' port that no prober had sent."""
    edges = list(edges)
    request = {"do": "arrived", "number": 0}
    answers = require(ask(ground.cluster.agents, {sink: request for _, sink in edges}), "counting what came damaged")
    return {(source, sink): int(answers[sink]["damaged"].get(source, 0)) for source, sink in edges}


class Simulated:
    """A `Family` of the simulator. Only messages between nodes have bytes there: edges of clients are reported as `unprobed`."""

    def __init__(self, ground: Any) -> None:
        self._ground = ground
        self._refused: dict[str, int] = {}
        self._on: dict[str, list[Edge]] = {}

    def inject(self, fault: Resolved, then: Any) -> None:
        if (error := self._ground.unknown_edge(fault)) is not None:
            self._ground.soon(then, error)
            return
        edges = [edge for edge in edges_of(fault) if CLIENTS not in edge]
        ppm, cluster = int(fault.what[FLIP]), self._ground.cluster

        def flip(bits: int, data: bytes) -> bytes:
            if bits % 1_000_000 >= ppm:
                return data
            at = (bits // 1_000_000) % (len(data) * 8)
            return data[: at // 8] + bytes((data[at // 8] ^ 1 << at % 8,)) + data[at // 8 + 1 :]

        self._refused[fault.intent.id] = self._count(edges)
        self._on[fault.intent.id] = edges
        cluster.tamper(edges, fault.intent.id, flip)
        self._probe(fault, edges, then)

    def heal(self, fault: Resolved, then: Any) -> None:
        edges, cluster = self._on.pop(fault.intent.id, []), self._ground.cluster
        cluster.tamper(edges, fault.intent.id, None)
        links = cluster.network.links
        left = [list(edge) for edge in edges_of(fault) if fault.intent.id in links[edge].tampers]
        refused = self._count(edges) - self._refused.pop(fault.intent.id, 0)
        self._ground.soon(then, Observation(not left, {"edges": left, "refused": refused}))

    def forget(self) -> None:
        self._on.clear()
        self._refused.clear()

    def _count(self, edges: Iterable[Edge]) -> int:
        return sum(self._ground.cluster.network.links[edge].damaged for edge in edges)

    def _probe(self, fault: Resolved, edges: list[Edge], then: Any) -> None:
        """Send frames of our own over every edge, under the rules that messages meet."""
        cluster, since_ns = self._ground.cluster, self._ground.cluster.now_ns
        network = cluster.network
        rounds = max(64, _WITNESSES * 1_000_000 // int(fault.what[FLIP]))
        came: dict[Edge, list[bytes]] = {edge: [] for edge in edges}

        def send() -> None:
            for edge in edges:
                link = network.links[edge]
                network.probe(link, came[edge].append, network.tampered(link, _TRIED), shaped=True)

        def judge() -> Observation:
            hit = [edge for edge in edges if any(data != _TRIED for data in came[edge])]
            missed = [edge for edge in edges if edge not in hit]
            unprobed = [edge for edge in edges_of(fault) if not came.get(edge)]
            facts = {
                "edges": listed(hit),
                "sent": rounds * len(edges),
                "damaged": sum(data != _TRIED for data in (d for datas in came.values() for d in datas)),
                **({"undamaged": listed(e for e in missed if e not in unprobed)} if missed else {}),
                **({"unprobed": listed(unprobed)} if unprobed else {}),
            }
            hidden = self._ground.hidden_by(fault, missed, since_ns) if missed else {}
            return Observation(bool(hit) and not missed, {**facts, **hidden})

        for number in range(rounds):
            cluster.schedule(cluster.now_ns + number * _LOOK_NS, send)
        late_ns = max((s.delay_ns + s.jitter_ns for edge in edges if (s := network.links[edge].shaping)), default=0)
        self._ground.later(rounds * _LOOK_NS + late_ns + 50_000_000, then, judge)


class Corrupt(LinkKind):
    name, spec = "corrupt", CorruptSpec
    amounts = (FLIP,)
    shapes_links = True
    hidden_by = NO_PACKETS | {"flap", "link"}
    hides = frozenset({"link", "flap"})
    sorts: ClassVar[Mapping[str, Sort]] = {
        "flipped-bits": Sort(
            "corrupt",
            "links",
            lambda knobs: {
                "shape": knobs.choose("shape", ("random-halves", "isolate-one", "one-way", "every-link")),
                "chance": knobs.choose("chance", ("2%", "10%", "30%")),
            },
        )
    }

    def resolve(self, intent: Intent, situation: Situation, stream: Stream) -> Json:
        return {**super().resolve(intent, situation, stream), **LEAVES_RUNNING, **MAY_DAMAGE}

    def shape(self, what: Mapping[str, Any]) -> Json:
        return {FLIP: int(what[FLIP])}

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> Simulated:
        return Simulated(ground)


KIND = Corrupt()
