"""Shortest paths inside a component: breadth first, level by level in arrays, with real time taken from the positions.

A step is an edge between transactions. Passing through helpers costs nothing (they hold the inside of one step). A step of real time leads to every
transaction that was invoked after the earliest completion of the level, so no barrier is walked. Ties go to the lower number: the same history gives
the same path.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..table.arrays import first_of_each, ragged
from ..table.table import OPEN, Bool, Int64
from .components import Core
from .dependencies import PASS, RT, Edges

BY_REALTIME = -2
_UNSEEN, _ROOT = -1, -3


@dataclass(frozen=True, slots=True)
class Walk:
    """`nodes` n0 .. nm and, between them, `edges`: places in the core's edges, or BY_REALTIME."""

    nodes: tuple[int, ...]
    edges: tuple[int, ...]


class Walker:
    """Search for shortest walks in a core along chosen edges, optionally by real time too.

    With `layered`, no two rw steps may follow each other: a state is a node and whether the step into it was rw; states n .. 2n-1 are those after rw.
    """

    def __init__(self, core: Core, chosen: Bool, realtime: bool, layered: Bool | None = None) -> None:
        edges = core.edges
        barrier = (edges.kind == RT) | ((edges.kind == PASS) & (edges.key < 0))
        place = np.flatnonzero(chosen & ~barrier)
        source, target = edges.source[place].astype(np.int64), edges.target[place].astype(np.int64)
        self._nodes = len(core)
        self._states = self._nodes
        if layered is not None:
            source, target, place = _two_layers(edges, source, target, place, layered, self._nodes)
            self._states *= 2
        order = np.argsort(source, kind="stable")
        self._target, self._edge = target[order], place[order]
        self._free = edges.kind[self._edge] == PASS
        self._begin = np.searchsorted(source[order], np.arange(self._states + 1))
        self._complete = core.complete
        by_invoke = np.argsort(core.invoke, kind="stable") if realtime else np.zeros(0, np.int64)
        self._invoked = by_invoke[core.invoke[by_invoke] >= 0]
        self._invokes = core.invoke[self._invoked]

    @property
    def size(self) -> int:
        """Return roughly what one search may cost."""
        return len(self._target) + self._states

    def shortest(self, start: int, goal: int, limit: int) -> Walk | None:
        """Return the shortest walk of at most `limit` steps from state `start` to state `goal`; None if there is none."""
        parent = np.full(self._states, _UNSEEN, np.int64)
        via = np.full(self._states, _UNSEEN, np.int64)
        parent[start] = _ROOT
        level = np.array([start], np.int64)
        reached = len(self._invoked)  # transactions of `_invoked` from here on were reached by real time
        for _ in range(limit + 1):
            level = self._closure(level, parent, via)
            if parent[goal] != _UNSEEN:
                return self._trace(start, goal, parent, via)
            nearest = self._expand(level, parent, via, free=False)
            reached, later = self._by_realtime(level, reached, parent, via)
            level = np.concatenate([nearest, later])
            if not len(level):
                return None
        return None

    def _closure(self, level: Int64, parent: Int64, via: Int64) -> Int64:
        """Return the level with everything that its helpers lead to."""
        found = [level]
        while len(level):
            level = self._expand(level, parent, via, free=True)
            found.append(level)
        return np.concatenate(found)

    def _expand(self, level: Int64, parent: Int64, via: Int64, free: bool) -> Int64:
        begin, size = self._begin[level], self._begin[level + 1] - self._begin[level]
        out = ragged(begin, size)
        if not len(out):
            return out
        keep = (self._free[out] == free) & (parent[self._target[out]] == _UNSEEN)
        out, origin = out[keep], np.repeat(level, size)[keep]
        target, first = first_of_each(self._target[out])
        parent[target], via[target] = origin[first], self._edge[out[first]]
        return target

    def _by_realtime(self, level: Int64, reached: int, parent: Int64, via: Int64) -> tuple[int, Int64]:
        none = np.zeros(0, np.int64)
        if not reached or not len(level):
            return reached, none
        ends = self._complete[level % self._nodes]
        earliest = int(np.argmin(ends))
        if ends[earliest] == OPEN:
            return reached, none
        low = int(np.searchsorted(self._invokes, ends[earliest], "right"))
        if low >= reached:
            return reached, none
        target = self._invoked[low:reached]
        target = target[parent[target] == _UNSEEN]
        parent[target], via[target] = level[earliest], BY_REALTIME
        return low, target

    def _trace(self, start: int, goal: int, parent: Int64, via: Int64) -> Walk:
        nodes, edges = [goal], []
        while nodes[-1] != start:
            edges.append(int(via[nodes[-1]]))
            nodes.append(int(parent[nodes[-1]]))
        return Walk(tuple(node % self._nodes for node in reversed(nodes)), tuple(reversed(edges)))


def _two_layers(
    edges: Edges, source: Int64, target: Int64, place: Int64, is_rw: Bool, nodes: int
) -> tuple[Int64, Int64, Int64]:
    rw = is_rw[place]
    through = edges.kind[place] == PASS
    plain = ~rw
    # A step that is not rw leads from both layers to the lower one; helpers stay in their layer; rw leads up.
    return (
        np.concatenate([source[plain], source[plain] + nodes, source[rw]]),
        np.concatenate([target[plain], target[plain] + nodes * through[plain], target[rw] + nodes]),
        np.concatenate([place[plain], place[plain], place[rw]]),
    )


def layered_edges(core: Core, chosen: Bool) -> tuple[Int64, Int64, Int64]:
    """Return sources, targets and places of the two-layer graph over all chosen edges, barriers included."""
    edges = core.edges
    place = np.flatnonzero(chosen)
    source, target = edges.source[place].astype(np.int64), edges.target[place].astype(np.int64)
    return _two_layers(edges, source, target, place, edges.kind == 4, len(core))
