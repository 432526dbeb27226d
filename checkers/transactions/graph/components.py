"""Strongly connected components of edge arrays, by scipy; and the part of a graph that contains the cycles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...linearizability.sparse import connected_components, csr_matrix
from ..table.table import OPEN, Bool, Int32, Int64
from .dependencies import Edges, Graph


def labels(nodes: int, source: Int32, target: Int32) -> Int32:
    """Return the component of each node."""
    # int32 ones: repeated edges are summed, and smaller types might wrap round to zero.
    matrix = csr_matrix((np.ones(len(source), np.int32), (source, target)), shape=(nodes, nodes))
    found: Int32 = connected_components(matrix, directed=True, connection="strong")[1]
    return found


def inside(nodes: int, source: Int32, target: Int32) -> tuple[Int32, Bool]:
    """Return the component of each node, and which edges stay in theirs: exactly those lie on cycles, since no edge is a loop."""
    component = labels(nodes, source, target)
    return component, component[source] == component[target]


@dataclass(frozen=True, slots=True)
class Core:
    """Nodes of a graph that lie on cycles, renumbered 0 .. n-1, with the edges among them.

    `node` leads back. `invoke` and `complete` are the positions of transactions; helpers have none (-1, OPEN), and an operation of
    unknown outcome has no completion.
    """

    node: Int64
    edges: Edges
    invoke: Int64
    complete: Int64

    def __len__(self) -> int:
        return len(self.node)

    def part(self, chosen: Bool | Int64) -> Core:
        """Return the core with only the chosen edges, and the nodes that they touch."""
        edges = self.edges.where(chosen)
        node, ends = np.unique(np.concatenate([edges.source, edges.target]), return_inverse=True)
        ends32: Int32 = ends.astype(np.int32)
        count = len(edges)
        return Core(
            self.node[node],
            Edges(ends32[:count], ends32[count:], edges.kind, edges.basis, edges.key),
            self.invoke[node],
            self.complete[node],
        )


def core_of(graph: Graph) -> Core | None:
    """Return the part of the graph that lies on cycles; None if it has no cycle."""
    _, on_cycle = inside(graph.nodes, graph.edges.source, graph.edges.target)
    if not on_cycle.any():
        return None
    table, node = graph.table, np.arange(graph.nodes, dtype=np.int64)
    is_txn = node < graph.transactions
    at = np.where(is_txn, node, 0)
    whole = Core(
        node=node,
        edges=graph.edges,
        invoke=np.where(is_txn, table.invoke[at], -1),
        complete=np.where(is_txn & table.committed[at], table.complete[at], OPEN),
    )
    return whole.part(np.flatnonzero(on_cycle))


def parts(core: Core, basis: int) -> Iterator[Core]:
    """Yield the components with cycles of the edges that rest on `basis` or less, by their first node."""
    chosen = np.flatnonzero(core.edges.basis <= basis)
    source, target = core.edges.source[chosen], core.edges.target[chosen]
    component, on_cycle = inside(len(core), source, target)
    chosen = chosen[on_cycle]
    of = component[core.edges.source[chosen]]
    first = np.full(len(core), len(core), np.int64)
    np.minimum.at(first, of, core.edges.source[chosen])
    order = np.argsort(first[of], kind="stable")
    cuts = np.flatnonzero(np.diff(first[of[order]])) + 1
    for some in np.split(chosen[order], cuts):
        if len(some):
            yield core.part(some)
