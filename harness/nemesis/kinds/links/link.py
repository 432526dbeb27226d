"""`link`: links that lose, duplicate, reorder, damage and delay packets, or limit their rate.

Resolved: `{"edges": …, "loss_ppm", "duplicate_ppm", "reorder_ppm", "corrupt_ppm", "delay_ns", "jitter_ns", "rate_bps"}`, as far as requested.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pydantic import Field, model_validator

from ....hosts.base import Host
from ....user_files.measured import Chance, PositiveDuration, Rate
from ....user_files.quantities import format_ns
from ...agent_client.agents import Json, ask, require
from ...catalog.kind import NO_PACKETS, Fields, Sort
from ...catalog.knobs import Knobs
from ...catalog.random_forms import LINKS, SPLITS, on_links
from ...catalog.timing import Timing
from ...faults.fault import Observation, Resolved
from ...specs.links import MILLISECOND_NS, SECOND_NS
from ...specs.links import Shaped as ShapedSpec
from ...topology.link_effects import AMOUNTS, Shape, shape_of
from ...topology.partitions import Edge
from ..base import Ground, Probe
from . import bursts, link_quality, link_ways
from .bursts import Seen
from .link_kind import LinkKind
from .shaped import COUNTERS, EVERY_NS, Shaped, can, edges_of, listed

OVERTAKEN_NS = 50_000_000
BEFORE, BEFORE_EVERY_NS = 32, 8_000_000
"""Packets that measure the normal latency of a link: their number, and the time between two."""


class LinkSpec(ShapedSpec):
    """The links lose, duplicate, reorder, damage or delay packets, or limit their rate. At least one of the seven amounts must be given."""

    kind: ClassVar[str] = "link"

    loss: Chance | None = Field(default=None, description="share of packets that are lost")
    duplicate: Chance | None = Field(default=None, description="share of packets that arrive twice")
    reorder: Chance | None = Field(default=None, description="share of packets that later packets overtake")
    corrupt: Chance | None = Field(
        default=None, description="share of packets in which a bit flips, so that their checksum fails"
    )
    delay: PositiveDuration | None = Field(default=None, description="delay of every packet")
    jitter: PositiveDuration | None = Field(default=None, description="a further random delay, up to this value")
    rate: Rate | None = Field(default=None, description="bandwidth in bits per second")

    @model_validator(mode="after")
    def _says_how(self) -> LinkSpec:
        words = ("loss", "duplicate", "reorder", "corrupt", "delay", "jitter", "rate")
        if all(getattr(self, word) is None for word in words):
            raise ValueError(f"a link fault needs at least one of {', '.join(f'`{word}`' for word in words)}")
        for word, amount in (("delay", self.delay), ("jitter", self.jitter)):
            if amount is not None and not MILLISECOND_NS <= amount <= 10 * SECOND_NS:
                raise ValueError(f"`{word}: {format_ns(amount)}` is not between 1ms and 10s")
        return self

    def parameters(self) -> dict[str, Any]:
        found = {
            "loss_ppm": self.loss,
            "duplicate_ppm": self.duplicate,
            "reorder_ppm": self.reorder,
            "corrupt_ppm": self.corrupt,
            "delay_ns": self.delay,
            "jitter_ns": self.jitter,
            "rate_bps": self.rate,
        }
        shaped = self.model_dump(mode="json", include=set(ShapedSpec.model_fields) - set(Timing.model_fields))
        return {name: value for name, value in {**shaped, **found}.items() if value is not None}


def _shapes(host: Host) -> str:
    able = can(host, "copies")
    if not able["netem"] and not able["queue"]:
        can(host, "queue")
    return "netem and nft dup" if able["netem"] else f"{link_ways.QUEUES[able['queue']]} and nft dup"


def _looks(ground: Ground, names: Iterable[str]) -> dict[str, Json]:
    return require(ask(ground.cluster.agents, dict.fromkeys(names, COUNTERS)), "looking at shaped links")


class OnHosts(Shaped):
    kinds = ("link",)
    abilities: ClassVar[Mapping[str, Probe]] = {"link": _shapes}

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        """Begin the fault. For one that delays, record the least time that a packet took over each of its links before."""
        facts = super().begin(fault, ground)
        if fault.what.get("delay_ns"):
            edges = self.visible(fault, ground)
            late_ns = _latest_ns([ground.force.links.get(edge, {}) for edge in edges], BEFORE)
            seen = bursts.burst(ground.cluster, edges, BEFORE, BEFORE_EVERY_NS, late_ns) if edges else {}
            before_ns = {edge: one["least_ns"] - one["error_ns"] for edge, one in seen.items() if one}
            ground.notes[fault.intent.id] = {"before_ns": before_ns}
        return facts

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
        facts = {
            "edges": listed(good if on else [edge for edge in edges if wrong[edge] or shapes[edge]]),
            **(
                {"not_shaped": {f"{a} {b}": wrong[a, b] for a, b in edges if wrong[a, b]}}
                if len(good) < len(edges)
                else {}
            ),
            **_facts(fault, seen, edges, count),
            **({"refused_by_checksum": sum(refused.values())} if fault.what.get("corrupt_ppm") else {}),
            **({"rate_bps": spans} if spans else {}),
        }
        # A fault that cannot be verified counts as not injected and not left over: the final heal verifies all links.
        return Observation(len(good) == len(edges) and (bool(edges) or not on), facts)

    def _rates(
        self, ground: Ground, edges: list[Edge], shapes: Mapping[Edge, Shape], wrong: dict[Edge, list[str]]
    ) -> list[int]:
        """Return the least and the greatest rate that was seen, in bits per second; add links that were faster than their limit to `wrong`."""
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
    """Add to `wrong` the effects that are too rare to judge on one link.

    They are judged on all links of the same shape to the same receiver, or for duplicates from the same sender.
    """
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
    """Return how late the last packet of a burst of so many may be; at a rate, other traffic has its share."""
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


def _facts(fault: Resolved, seen: Mapping[Edge, Seen | None], edges: list[Edge], count: int) -> Json:
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


def _any(knobs: Knobs) -> Fields:
    chances = {
        word: f"{knobs.choose(word, (1, 5, 20))}%" for word in ("loss", "duplicate", "reorder") if knobs.on(word)
    }
    times = {word: f"{knobs.choose(word, (1, 5, 50))}ms" for word in ("delay", "jitter") if knobs.on(word)}
    shape = knobs.choose("shape", (*SPLITS, "one-way", "every-link"))
    return {"shape": shape, **(chances or {"loss": "5%"}), **times}


class Link(LinkKind):
    name, spec = "link", LinkSpec
    amounts = ("loss_ppm", "duplicate_ppm", "reorder_ppm", "delay_ns", "jitter_ns", "corrupt_ppm", "rate_bps")
    shapes_links = True
    hidden_by = NO_PACKETS | {"flap", "link"}
    sorts: ClassVar[Mapping[str, Sort]] = {
        "link": Sort("link", LINKS, _any, coarse=True),
        "loss": on_links("link", {"loss": ("5%", "10%", "30%")}, plain=True),
        "duplicate": on_links("link", {"duplicate": ("5%", "20%", "50%")}, plain=True),
        "reorder": on_links("link", {"reorder": ("5%", "20%", "50%"), "delay": ("5ms", "20ms")}, plain=True),
        "delay": on_links("link", {"delay": ("5ms", "50ms", "200ms")}, plain=True),
        "jitter": on_links("link", {"delay": ("5ms",), "jitter": ("5ms", "50ms")}, plain=True),
        "corrupt": on_links("link", {"corrupt": ("5%", "20%")}),
        "rate": on_links("link", {"rate": ("1mbit", "10mbit")}, plain=True),
    }

    def shape(self, what: Mapping[str, Any]) -> Json:
        return {name: int(what[name]) for name in AMOUNTS if name in what}

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> Any:
        from ....simulator.faults.links import ShapedLinks

        return ShapedLinks(ground)


KIND = Link()
