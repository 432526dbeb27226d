"""Links that lose, duplicate, reorder, corrupt and delay packets, limit their rate, or hold all of them back."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from ....errors import FaultError
from ....hosts.base import Host
from ...agent_client.agents import Json, ask, require
from ...agent_client.desired_state import Want
from ...agent_client.one_question import ask_part
from ...faults.fault import Observation, Resolved
from ...topology.link_shapes import AMOUNTS, Shape, shape_of
from ...topology.topology import Edge
from ..base import Ground, Package, Probe
from . import bursts, link_quality, link_ways
from .bursts import Seen

OVERTAKEN_NS = 50_000_000
EVERY_NS = 1_000_000
STUCK, STUCK_EVERY_NS = 20, 5_000_000
FREED_S = 1.0
BEFORE, BEFORE_EVERY_NS = 32, 8_000_000
"""Packets that show how long a link takes of its own."""


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
            raise FaultError(f"{host.name} cannot do what shaped links need: {name}", link_ways.NO_QUEUE)
    return able


def _shapes(host: Host) -> str:
    able = can(host, "copies")
    if not able["netem"] and not able["queue"]:
        can(host, "queue")
    return "netem and nft dup" if able["netem"] else f"{link_ways.QUEUES[able['queue']]} and nft dup"


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
        """A helper that someone ended let everything through, and the fault did not last."""
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


def _looks(ground: Ground, names: Iterable[str]) -> dict[str, Json]:
    return require(ask(ground.cluster.agents, dict.fromkeys(names, COUNTERS)), "looking at shaped links")


class Link(Shaped):
    kinds = ("link",)
    abilities: ClassVar[Mapping[str, Probe]] = {"link": _shapes}

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        """For one that delays, record how long the fastest packet took over its links before, at the least."""
        told = super().begin(fault, ground)
        if fault.what.get("delay_ns"):
            edges = self.visible(fault, ground)
            late_ns = _latest_ns([ground.force.links.get(edge, {}) for edge in edges], BEFORE)
            seen = bursts.burst(ground.cluster, edges, BEFORE, BEFORE_EVERY_NS, late_ns) if edges else {}
            before_ns = {edge: one["least_ns"] - one["error_ns"] for edge, one in seen.items() if one}
            ground.notes[fault.intent.id] = {"before_ns": before_ns}
        return told

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        edges = self.visible(fault, ground)
        force = ground.force.links
        shapes = {edge: force.get(edge, {}) for edge in edges}
        count = link_quality.count_for([*shapes.values(), shape_of(fault)], len(edges))
        receivers = sorted({sink for _, sink in edges if sink in ground.cluster.firewalled})
        before = _looks(ground, receivers)
        seen = bursts.burst(ground.cluster, edges, count, EVERY_NS, _latest_ns(shapes.values(), count)) if edges else {}
        after = _looks(ground, receivers)
        before_ns = ground.notes.get(fault.intent.id, {}).get("before_ns", {})
        wrong = {edge: _wrong(shapes[edge], fault, seen[edge], count, before_ns.get(edge, 0)) for edge in edges}
        _judge_together(shapes, seen, count, wrong)
        if on:
            for edge in _not_later(fault, seen, before_ns):
                wrong[edge].append("delay")
        limited = [edge for edge in edges if shapes[edge].get("rate_bps")]
        spans = self._rates(ground, limited, shapes, wrong)
        refused = {name: after[name]["refused"] - before[name]["refused"] for name in receivers}
        for edge in edges:
            if shapes[edge].get("corrupt_ppm") and edge[1] in refused and not refused[edge[1]]:
                wrong[edge].append("corrupt")
        good = [edge for edge in edges if not wrong[edge]]
        told = {
            "edges": listed(good if on else [edge for edge in edges if wrong[edge] or shapes[edge]]),
            **(
                {"not_shaped": {f"{a} {b}": wrong[a, b] for a, b in edges if wrong[a, b]}}
                if len(good) < len(edges)
                else {}
            ),
            **_told(fault, seen, edges, count),
            **({"refused_by_checksum": sum(refused.values())} if fault.what.get("corrupt_ppm") else {}),
            **({"rate_bps": spans} if spans else {}),
        }
        # A fault that cannot be verified is neither counted as injected nor as left over: the final heal verifies all links.
        return Observation(len(good) == len(edges) and (bool(edges) or not on), told)

    def _rates(
        self, ground: Ground, edges: list[Edge], shapes: Mapping[Edge, Shape], wrong: dict[Edge, list[str]]
    ) -> list[int]:
        """The least and greatest rate that was seen; links that were faster than theirs are `wrong`."""
        measured = []
        for rate_bps in sorted({shapes[edge]["rate_bps"] for edge in edges}):
            count, size = link_quality.rate_burst(rate_bps)
            same = [edge for edge in edges if shapes[edge]["rate_bps"] == rate_bps]
            seen = bursts.burst(
                ground.cluster, same, count, 0, _latest_ns([shapes[edge] for edge in same], count, size), size
            )
            for edge in same:
                found = seen[edge]
                if not link_quality.keeps_to_rate(rate_bps, found, size):
                    wrong[edge].append("rate")
                if found is not None and found["span_ns"]:
                    measured.append(int((found["came"] - 1) * (size + 28) * 8e9 / found["span_ns"]))
        return [min(measured), max(measured)] if measured else []


def _wrong(shape: Shape, fault: Resolved, seen: Seen | None, count: int, before_ns: int) -> list[str]:
    if shape:
        return link_quality.faults_of(shape, seen, count)
    return [] if link_quality.is_whole(shape_of(fault), seen, count, before_ns) else ["not whole"]


def _judge_together(
    shapes: Mapping[Edge, Shape], seen: Mapping[Edge, Seen | None], count: int, wrong: dict[Edge, list[str]]
) -> None:
    """An effect too rare for one link to show is shown by those that one host shapes alike: its receivers', and for duplicates its senders'."""
    for end in (0, 1):
        groups: dict[tuple[str, str], list[Edge]] = {}
        for edge, shape in shapes.items():
            if shape and seen[edge] is not None:
                groups.setdefault((edge[end], repr(sorted(shape.items()))), []).append(edge)
        for group in groups.values():
            came = link_quality.together([one for edge in group if (one := seen[edge]) is not None])
            for word in link_quality.odds_against(shapes[group[0]], came, count * len(group)):
                if (word == "duplicate") == (end == 0):
                    for edge in group:
                        wrong[edge] = sorted({*wrong[edge], word})


def _not_later(fault: Resolved, seen: Mapping[Edge, Seen | None], before_ns: Mapping[Edge, int]) -> list[Edge]:
    delay_ns = fault.what.get("delay_ns", 0)
    return [
        edge
        for edge, one in seen.items()
        if one is not None and edge in before_ns and not link_quality.is_later(delay_ns, one, before_ns[edge])
    ]


def _latest_ns(shapes: Iterable[Shape], count: int, size: int = 0) -> int:
    """How late the last packet of a burst of so many may be; at a rate, other traffic has its share."""
    return max(
        (
            shape.get("delay_ns", 0)
            + shape.get("jitter_ns", 0)
            + (OVERTAKEN_NS if shape.get("reorder_ppm") else 0)
            + link_quality.queued_ns(shape.get("rate_bps"), count, size)
            for shape in shapes
        ),
        default=0,
    )


def _told(fault: Resolved, seen: Mapping[Edge, Seen | None], edges: list[Edge], count: int) -> Json:
    heard = [one for one in seen.values() if one is not None]
    unprobed = sorted(set(edges_of(fault)) - set(edges))
    return {
        "sent": count * len(edges),
        "lost": count * len(edges) - sum(one["came"] for one in heard),
        "doubled": sum(one["twice"] for one in heard),
        "overtaken": sum(one["overtaken"] for one in heard),
        "latency_ms": [
            round(min(one["least_ns"] for one in heard) / 1e6, 3),
            round(max(one["most_ns"] for one in heard) / 1e6, 3),
        ]
        if heard
        else None,
        **({"unprobed": listed(unprobed)} if unprobed else {}),
    }


class Clog(Shaped):
    """Notes for each fault the links over which packets of ours are stuck."""

    kinds = ("clog",)
    abilities: ClassVar[Mapping[str, Probe]] = {"clog": holds}

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        """A host that loses its power loses what is stuck there, so none of it is waited for."""
        if noted := ground.notes.get(fault.intent.id):
            noted["stuck"] = [edge for edge in noted["stuck"] if not {*edge} & ground.force.off]
        return super().wants(fault, ground)

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        """Verify that numbered packets do not arrive while it is on, and that all of these do, in order, when it is over."""
        number = zlib.crc32(fault.intent.id.encode())
        return self._look_on(fault, ground, number) if on else self._look_off(fault, ground, number)

    def _look_on(self, fault: Resolved, ground: Ground, number: int) -> Observation:
        force = ground.force
        free = [edge for edge in edges_of(fault) if edge not in force.edges and not {*edge} & force.off]
        # A link that never carried a packet proves nothing by silence.
        edges = [edge for edge in free if edge in ground.reachability.links]
        seen = bursts.burst(ground.cluster, edges, STUCK, STUCK_EVERY_NS, number=number) if edges else {}
        leaking = [edge for edge in edges if seen[edge] is not None]
        stuck, dark = [edge for edge in edges if seen[edge] is None], [edge for edge in free if edge not in edges]
        ground.notes[fault.intent.id] = {"stuck": stuck}
        more = {name: listed(found) for name, found in (("leaking", leaking), ("unprobed", dark)) if found}
        return Observation(bool(stuck) and not leaking and not dark, {"edges": listed(stuck), **more})

    def _look_off(self, fault: Resolved, ground: Ground, number: int) -> Observation:
        links, force = ground.links(), ground.force
        stuck = ground.notes.get(fault.intent.id, {}).get("stuck", [])
        freed = [edge for edge in stuck if edge not in force.edges and not force.links.get(edge)]
        came = _come(ground, freed, number) if freed else {}
        late = sum(found["came"] for found in came.values() if found is not None)
        whole = all(found is not None and found["came"] == STUCK and not found["overtaken"] for found in came.values())
        still = [edge for edge in edges_of(fault) if force.links.get(edge, {}).get("clogged")]
        return Observation(links.verified and whole, {**links.observed, "edges": listed(still), "late": late})


def _come(ground: Ground, edges: list[Edge], number: int) -> Mapping[Edge, Seen | None]:
    """Return what arrived of the packets that were stuck, once all have or time is up."""
    deadline_s = time.monotonic() + FREED_S
    while True:
        seen = bursts.arrived(ground.cluster, edges, number)
        if time.monotonic() > deadline_s or all(found and found["came"] == STUCK for found in seen.values()):
            return seen
        time.sleep(FREED_S / 20)


def listed(edges: Iterable[Edge]) -> list[list[str]]:
    return [list(edge) for edge in sorted(edges)]
