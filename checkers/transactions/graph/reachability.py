"""Edges that close a cycle through other edges: reachability for many pairs at once, exact.

For each rw edge (u, v): does a path without rw lead from v to u? In general that is as hard as multiplying matrices of bits. Here one Python integer,
thousands of bits wide, travels along the condensation in topological order, one bit per edge. Edges in one component need no travel.
"""

from __future__ import annotations

import numpy as np

from ..table.table import Bool, Int64
from .components import Core, labels

_WIDTH = 8192
_ENOUGH = 1_000_000


def closing(part: Core, along: Bool, candidates: Int64) -> Int64:
    """Return those of the candidates (places of edges) from whose target a path along the chosen edges leads to their source.

    The answer may be incomplete on a large graph, but it is empty only if there are none.
    """
    if not len(candidates):
        return candidates
    edges = part.edges
    place = np.flatnonzero(along)
    component = labels(len(part), edges.source[place], edges.target[place])
    begins, ends = component[edges.target[candidates]], component[edges.source[candidates]]
    at_once = candidates[begins == ends]
    if len(at_once) and len(place) * (1 + len(candidates) // _WIDTH) > _ENOUGH:
        return np.asarray(at_once)  # some are known, and the others would cost more than they could add
    source, target = component[edges.source[place]], component[edges.target[place]]
    apart = source != target
    order, following = topological(int(component.max()) + 1, source[apart].tolist(), target[apart].tolist())
    found: list[int] = []
    for low in range(0, len(candidates), _WIDTH):
        some = slice(low, low + _WIDTH)
        reached = _travel(order, following, begins[some].tolist(), ends[some].tolist())
        found.extend(int(candidates[low + bit]) for bit in reached)
    return np.array(found, np.int64)


def topological(count: int, source: list[int], target: list[int]) -> tuple[list[int], list[list[int]]]:
    following: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for before, after in zip(source, target, strict=True):
        following[before].append(after)
        waiting[after] += 1
    order = [node for node in range(count) if not waiting[node]]
    for node in order:
        for after in following[node]:
            waiting[after] -= 1
            if not waiting[after]:
                order.append(after)
    return order, following


def _travel(order: list[int], following: list[list[int]], begins: list[int], ends: list[int]) -> list[int]:
    """Return the bits that reach their end from their begin."""
    carried = [0] * len(following)
    wanted: dict[int, int] = {}
    for bit, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        carried[begin] |= 1 << bit
        wanted[end] = wanted.get(end, 0) | 1 << bit
    arrived: list[int] = []
    for node in order:
        mask = carried[node]
        if not mask:
            continue
        hit = mask & wanted.get(node, 0)
        while hit:
            lowest = hit & -hit
            arrived.append(lowest.bit_length() - 1)
            hit ^= lowest
        for after in following[node]:
            carried[after] |= mask
        carried[node] = 0  # its bits have moved on
    return sorted(arrived)
