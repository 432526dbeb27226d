"""Links that drop, lose, repeat, delay or hold back packets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from ...nemesis.faults.fault import Observation, Resolved
from ..cluster.cluster import Edge
from ..cluster.probes import LOOK_NS, Arrivals, Matrix, unreachable
from ..network.network import PACKET_BITS, Shaping
from ..options import SECOND
from .ground import Ground, Then, edges_of

Seen = dict[Edge, list[tuple[int, int]]]
"""The probes that came over each edge, in the order of arrival, as (number, time under way in ns)."""

WITNESSES = 16
"""So many probes are sent that on average this many meet each chance: for one link in nine million, none does."""


class _LinkFaults(ABC):
    """Base of the faults of links. `_active` maps a fault to its edges."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._active: dict[str, list[Edge]] = {}

    def inject(self, fault: Resolved, then: Then) -> None:
        if (error := self._ground.unknown_edge(fault)) is not None:
            self._ground.soon(then, error)
        else:
            self._begin(fault, then)

    def heal(self, fault: Resolved, then: Then) -> None:
        cluster = self._ground.cluster
        facts = self._end(fault, self._active.pop(fault.intent.id, []))
        edges = edges_of(fault)
        cover, now_ns = self._ground.covering, cluster.now_ns

        def probed(matrix: Matrix) -> None:
            links = cluster.network.links
            held = [
                edge
                for edge in edges
                if links[edge].cuts or links[edge].clogs or cover.hidden(fault, [edge], now_ns, ending=True)
            ]
            closed = [edge for edge in edges if not matrix[edge] and edge not in held]
            then(Observation(not closed, {"edges": sorted(map(list, closed)), **facts}))

        self._ground.probes.reachability(probed)

    def forget(self) -> None:
        self._active.clear()

    @abstractmethod
    def _begin(self, fault: Resolved, then: Then) -> None: ...

    @abstractmethod
    def _end(self, fault: Resolved, edges: list[Edge]) -> dict[str, Any]:
        """Undo it on these edges; return what is observed in addition to the links that stay closed."""


class Cuts(_LinkFaults):
    def _begin(self, fault: Resolved, then: Then) -> None:
        edges = self._active[fault.intent.id] = edges_of(fault)
        self._ground.cluster.cut(edges)
        self._ground.probes.reachability(lambda matrix: then(_judge_cut(matrix, edges)))

    def _end(self, fault: Resolved, edges: list[Edge]) -> dict[str, Any]:
        self._ground.cluster.heal(edges)
        return {}


class Clogs(_LinkFaults):
    """Clogged links. `_stuck` maps a fault to the probes that it holds back."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self._stuck: dict[str, Arrivals] = {}

    def forget(self) -> None:
        super().forget()
        self._stuck.clear()

    def _begin(self, fault: Resolved, then: Then) -> None:
        edges = self._active[fault.intent.id] = edges_of(fault)
        for edge in edges:
            self._ground.cluster.clog(*edge)
        self._stuck[fault.intent.id] = self._ground.probes.reachability(lambda matrix: then(_judge_cut(matrix, edges)))

    def _end(self, fault: Resolved, edges: list[Edge]) -> dict[str, Any]:
        stuck = self._stuck.pop(fault.intent.id, {})
        for edge in edges:
            self._ground.cluster.unclog(*edge)
        return {"late": sum(len(stuck[edge]) for edge in edges)} if edges else {}


class ShapedLinks(_LinkFaults):
    def _end(self, fault: Resolved, edges: list[Edge]) -> dict[str, Any]:
        self._ground.cluster.shape(edges, fault.intent.id, None)
        return {}

    def _begin(self, fault: Resolved, then: Then) -> None:
        edges, what = edges_of(fault), fault.what
        shaping = Shaping(
            what.get("loss_ppm", 0),
            what.get("duplicate_ppm", 0),
            what.get("reorder_ppm", 0),
            what.get("delay_ns", 0),
            what.get("jitter_ns", 0),
            what.get("corrupt_ppm", 0),
            what.get("rate_bps", 0),
        )
        self._active[fault.intent.id] = edges
        self._ground.cluster.shape(edges, fault.intent.id, shaping)
        chances = (shaping.loss_ppm, shaping.duplicate_ppm, shaping.reorder_ppm, shaping.corrupt_ppm)
        rounds = max([64, *(WITNESSES * 1_000_000 // ppm for ppm in chances if ppm)])
        links = self._ground.cluster.network.links
        before = {edge: links[edge].refused for edge in edges}

        since_ns = self._ground.cluster.now_ns

        def hidden_by(targets: list[Edge]) -> dict[str, list[str]]:
            return self._ground.hidden_by(fault, targets, since_ns)

        def seen_by_probes(seen: Seen) -> None:
            refused = {edge: links[edge].refused - before[edge] for edge in edges}
            then(_judge_shape(seen, rounds, shaping, refused, hidden_by))

        self._ground.probes.quality(edges, rounds, seen_by_probes, every_ns(shaping))


def every_ns(shaping: Shaping) -> int:
    """Return the time between two probes: twice as many are sent as the rate lets through."""
    return min(LOOK_NS, PACKET_BITS * SECOND // shaping.rate_bps // 2) if shaping.rate_bps else LOOK_NS


def _judge_cut(matrix: Matrix, edges: list[Edge]) -> Observation:
    leaking = [edge for edge in edges if matrix[edge]]
    return Observation(not leaking, {"edges": unreachable(matrix), "leaking": sorted(map(list, leaking))})


def _judge_shape(
    seen: Seen,
    rounds: int,
    asked: Shaping,
    refused: dict[Edge, int],
    hidden_by: Callable[[list[Edge]], dict[str, list[str]]],
) -> Observation:
    """Compare what was seen with the requested shaping. An edge that is also cut shows nothing, and neither does one that another fault met during
    the probes.
    """
    heard = {edge: arrivals for edge, arrivals in seen.items() if arrivals}
    odd = [edge for edge, arrivals in heard.items() if not _is_shaped(arrivals, rounds, asked, refused[edge])]
    unlike = [edge for edge in odd if not hidden_by([edge])]
    right = [edge for edge in heard if edge not in odd]
    sent = rounds * len(heard)
    came = sum(len({number for number, _ in arrivals}) for arrivals in heard.values())
    twice = sum(len(arrivals) for arrivals in heard.values()) - came
    took = [took_ns for arrivals in heard.values() for _, took_ns in arrivals]
    observed = {
        "edges": sorted(map(list, right)),
        "not_shaped": sorted(map(list, unlike)),
        "unprobed": sorted(list(edge) for edge in seen if edge not in right and edge not in unlike),
        "sent": sent,
        "lost": sent - came,
        "doubled": twice,
        "latency_ms": [round(min(took) / 1e6, 3), round(max(took) / 1e6, 3)] if took else None,
        **({"refused_by_checksum": sum(refused.values())} if asked.corrupt_ppm else {}),
    }
    hidden = {} if right or unlike else hidden_by(list(seen))
    return Observation(bool(right) and not unlike, {**observed, **hidden})


def _is_shaped(arrivals: list[tuple[int, int]], rounds: int, asked: Shaping, refused: int) -> bool:
    numbers, took_ns = [number for number, _ in arrivals], [took for _, took in arrivals]
    different = len(set(numbers))
    return (
        (not asked.loss_ppm or different < rounds)
        and (not asked.duplicate_ppm or len(numbers) > different)
        and (not asked.reorder_ppm or numbers != sorted(numbers))
        and min(took_ns) >= asked.delay_ns
        and max(took_ns) - min(took_ns) >= asked.jitter_ns // 2
        and (not asked.corrupt_ppm or refused > 0)
        and (not asked.rate_bps or _kept_to_rate(arrivals, asked))
    )


def _kept_to_rate(arrivals: list[tuple[int, int]], asked: Shaping) -> bool:
    """Return whether the rate held. Probes are sent faster than it allows, so they waited for each other, or found the buffer full."""
    sent_ns = [number * every_ns(asked) for number, _ in arrivals]
    came_ns = [sent + took for sent, (_, took) in zip(sent_ns, arrivals, strict=True)]
    least_ns = (len(arrivals) - 1) * PACKET_BITS * SECOND // asked.rate_bps - asked.jitter_ns
    return max(came_ns) - min(came_ns) >= least_ns * 9 // 10
