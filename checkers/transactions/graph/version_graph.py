"""Constraints on the order of versions, and the cycles in them: the method of checkers that require an order of each key by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..table.table import Int64
from .components import inside


@dataclass(frozen=True, slots=True)
class Constraints:
    """`before[i]` came before `after[i]`, because of the micro-operations `first[i]` and `second[i]` (-1: none is needed).

    `via[i]`: a third one, through which the second knew of the first.
    """

    before: Int64
    after: Int64
    first: Int64
    second: Int64
    via: Int64

    def __len__(self) -> int:
        return len(self.before)


def constraints(
    before: Int64, after: Int64, first: Int64 | int = -1, second: Int64 | int = -1, via: Int64 | int = -1
) -> Constraints:
    def filled(value: Int64 | int) -> Int64:
        return np.full(len(before), value, np.int64) if isinstance(value, int) else value

    differ = before != after
    return Constraints(
        before[differ], after[differ], filled(first)[differ], filled(second)[differ], filled(via)[differ]
    )


def together(*parts: Constraints) -> Constraints:
    return Constraints(*(np.concatenate([getattr(part, name) for part in parts]) for name in Constraints.__slots__))


def circles(nodes: int, edges: Constraints, at_issue_from: int) -> Iterator[list[int]]:
    """Yield a shortest cycle (places of edges) of each component that has an edge from place `at_issue_from` on: cycles of earlier edges alone do not
    count.
    """
    if not len(edges):
        return
    component, on_cycle = inside(nodes, edges.before.astype(np.int32), edges.after.astype(np.int32))
    hit = np.flatnonzero(on_cycle)
    at_issue = hit[hit >= at_issue_from]
    order = np.argsort(component[edges.before[hit]], kind="stable")
    hit = hit[order]
    of = component[edges.before[hit]]
    for one in np.unique(component[edges.before[at_issue]]):
        low, high = np.searchsorted(of, one, "left"), np.searchsorted(of, one, "right")
        yield _shortest(edges, hit[low:high].tolist(), at_issue_from)


_TRIES = 64


def _shortest(edges: Constraints, members: list[int], at_issue_from: int) -> list[int]:
    following: dict[int, list[int]] = {}
    for edge in members:
        following.setdefault(int(edges.before[edge]), []).append(edge)
    best: list[int] = []
    for start in [edge for edge in members if edge >= at_issue_from][:_TRIES]:
        found = _path(edges, following, int(edges.after[start]), int(edges.before[start]))
        if not best or len(found) + 1 < len(best):
            best = [start, *found]
    return best


def _path(edges: Constraints, following: dict[int, list[int]], start: int, goal: int) -> list[int]:
    """Return a shortest path, breadth first. There is one, since both ends are in one component."""
    came: dict[int, int] = {start: -1}
    queue = [start]
    for node in queue:
        if node == goal:
            break
        for edge in following.get(node, []):
            target = int(edges.after[edge])
            if target not in came:
                came[target] = edge
                queue.append(target)
    path: list[int] = []
    node = goal
    while came[node] >= 0:
        path.append(came[node])
        node = int(edges.before[came[node]])
    return path[::-1]
