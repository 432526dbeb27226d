"""Classes of cycles of a dependency graph, and the shortest cycle of each; exact for every class.

Adya's taxonomy: G0 (only ww), G1c (ww and wr), G-single (exactly one rw), G-nonadjacent (several rw, no two in a row), G2-item (the rest); with
`-process` or `-realtime` when the cycle needs such an edge. Every component is searched from the most severe class on. A class is searched only where
no more severe one was found on weaker grounds: a cycle of rw edges through a G1c proves nothing new.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ...base.budget import Meter
from ..table.table import Bool, Int64
from ..table.versions import DATA, REALTIME, SUFFIX
from .components import Core, inside, parts
from .dependencies import PASS, RT, RW, SESSION, WR, WW
from .paths import Walk, Walker, layered_edges
from .reachability import closing

CLASSES = ("G0", "G1c", "G-single", "G-nonadjacent", "G2-item")
"""By severity; every isolation level that forbids one forbids those before it."""

G0, G1C, G_SINGLE, G_NONADJACENT, G2 = range(5)
_ORDER = SESSION | RT | PASS
_NEVER = len(CLASSES)
_TRIES = 2048
_TIES = 512
_WORK = 20_000_000
_KEEP = 5
_RESERVE_S = 5.0


@dataclass(frozen=True, slots=True)
class Cycle:
    """A closed walk in `part`; its nodes may be helpers. `severity` indexes CLASSES, `basis` SUFFIX.

    `others` are walks as short, one of which may rest on less.
    """

    part: Core
    walk: Walk
    others: tuple[Walk, ...]
    severity: int
    basis: int

    @property
    def name(self) -> str:
        return CLASSES[self.severity] + SUFFIX[self.basis]


@dataclass(slots=True)
class Survey:
    """Shortest cycles, few of each class; how many components have each class; how many were not classified because the budget ended."""

    cycles: list[Cycle] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    unclassified: int = 0


def survey(core: Core, bases: Iterable[int], meter: Meter) -> Survey:
    """Find every class that the core's cycles have, on each of the bases (in growing order)."""
    found = Survey()
    severity = np.full(int(core.node.max()) + 1, _NEVER, np.int64)
    for basis in bases:
        for part in parts(core, basis):
            known = int(severity[part.node].min())
            if meter.left_s < _RESERVE_S and found.cycles:
                found.unclassified += 1
                continue
            classes = _classes(part, known)
            for kind in classes:
                _note(found, part, kind, basis)
            # A cycle by real time is reported even where one by processes is known: it is usually the shorter one.
            if classes and not SUFFIX[basis]:
                severity[part.node] = min(known, *(kind.severity for kind in classes))
    return found


@dataclass(frozen=True, slots=True)
class _Class:
    """A class found in a part: edges that a cycle of it may start with, and those that it may go on with."""

    severity: int
    starts: Int64
    along: Bool
    layered: bool = False


def _note(found: Survey, part: Core, kind: _Class, basis: int) -> None:
    name = CLASSES[kind.severity] + SUFFIX[basis]
    found.counts[name] = found.counts.get(name, 0) + 1
    if found.counts[name] <= _KEEP:
        walks = _shortest(part, kind, basis == REALTIME)
        if walks:
            found.cycles.append(Cycle(part, walks[0], tuple(walks[1:]), kind.severity, basis))


def _classes(part: Core, known: int) -> list[_Class]:
    """Return the classes more severe than `known` in one component, the most severe first."""
    edges = part.edges
    data = (edges.kind & (WW | WR | RW)) != 0
    firm = ~data | (edges.basis == DATA)
    found: list[_Class] = []

    def cyclic(along: Bool, start: Bool) -> Int64:
        place = np.flatnonzero(along)
        _, on_cycle = inside(len(part), edges.source[place], edges.target[place])
        place = place[on_cycle]
        return place[start[place]]

    if known > G0:
        along = firm & ((edges.kind & (WW | _ORDER)) != 0)
        starts = cyclic(along, edges.kind == WW)
        if len(starts):
            found.append(_Class(G0, starts, along))
    if known > G1C:
        along = firm & ((edges.kind & (WW | WR | _ORDER)) != 0)
        starts = cyclic(along, edges.kind == WR)
        if len(starts):
            found.append(_Class(G1C, starts, along))
    layered = _layered_starts(part) if known > G_SINGLE else np.zeros(0, np.int64)
    if len(layered):
        along = edges.kind != RW
        starts = closing(part, along, layered)
        if len(starts):
            found.append(_Class(G_SINGLE, starts, along))
    if not found and known > G_SINGLE:
        # Inferred orders in a cycle: were one of them otherwise, a transaction would have missed a write.
        along = edges.kind != RW
        starts = cyclic(along, (edges.kind == WW) & (edges.basis > DATA))
        if len(starts):
            found.append(_Class(G_SINGLE, starts, along))
    if found or known <= G_NONADJACENT:
        return found
    if len(layered):
        return [_Class(G_NONADJACENT, layered, np.ones(len(edges), bool), layered=True)]
    if known > G2:
        return [_Class(G2, np.flatnonzero(edges.kind == RW), np.ones(len(edges), bool))]
    return []


def _layered_starts(part: Core) -> Int64:
    """Return the rw edges on closed walks in which no two rw follow each other."""
    source, target, place = layered_edges(part, np.ones(len(part.edges), bool))
    _, on_cycle = inside(2 * len(part), source.astype(np.int32), target.astype(np.int32))
    place = place[on_cycle]
    return np.unique(place[part.edges.kind[place] == RW])


def _shortest(part: Core, kind: _Class, realtime: bool) -> list[Walk]:
    """Return a few of the shortest cycles that start with one of the edges; of very many edges, some are tried."""
    edges = part.edges
    walker = Walker(part, kind.along, realtime, edges.kind == RW if kind.layered else None)
    tries = max(1, min(_TRIES, len(kind.starts), _WORK // walker.size))
    chosen = kind.starts[np.linspace(0, len(kind.starts) - 1, tries).astype(np.int64)]
    best: list[Walk] = []
    for place in chosen:
        source, target = int(edges.source[place]), int(edges.target[place])
        start = target + len(part) * (kind.layered and int(edges.kind[place]) == RW)
        limit = _steps(part, best[0]) - 1 if best else 2 * len(part)
        walk = walker.shortest(start, source, limit)
        if walk is None:
            continue
        closed = Walk((source, *walk.nodes), (int(place), *walk.edges))
        if not best or _steps(part, closed) < _steps(part, best[0]):
            best = []
        best.append(closed)
    return [best[place] for place in np.unique(np.linspace(0, len(best) - 1, _TIES).astype(np.int64))] if best else []


def _steps(part: Core, walk: Walk) -> int:
    return sum(edge < 0 or int(part.edges.kind[edge]) != PASS for edge in walk.edges)


__all__ = ["CLASSES", "Cycle", "Survey", "survey"]
