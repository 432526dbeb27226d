"""Partitions as directed cut edges over the network's vertices: the nodes, and `clients`, which stands for all clients.

Each shape is a graph of the links that stay, over the nodes; all other links are cut. An edge `(a, b)` means that
packets from a to b are dropped when they arrive at b. Clients keep reaching every node unless a shape is asked to cut them.

    halves           first half | second half, in the order of the nodes        random-halves   the same, nodes drawn
    isolate-one      one node | the rest                                        minority-third  under a third (at least one node) | the rest
    bridge           two halves that see each other only through one node       one-way         from one side to the other only
    leader-minority  the leader in the largest side that is no quorum           leader-majority the leader in the smallest side that is one
    majorities-ring  every node sees a majority, and no two see the same        clients-cut     clients | some or all nodes
    every-link       every node alone

A **majorities ring** is exact for every number of nodes. Call a node and those it has links with its *view*. (1) Each view holds more than
half of the nodes and more than half of the weight. (2) With equal weights and three nodes or more no two views are equal, and no graph with
fewer links gives every node its majority: it is a Harary graph. (3) With unequal weights a view that lacks weight gains links to the heaviest
nodes it does not see, and no more than it needs; from three nodes on something is always cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any

from ..faults.fault import CLIENTS, Situation
from ..faults.targets import majority, minority, resolve_target, total_weight, weight
from ..specs.links import Shape

if TYPE_CHECKING:
    # Two shapes alone need it, and a command takes a quarter of a second more to start with it.
    import networkx as nx

Edge = tuple[str, str]
Parameters = Mapping[str, Any]


def cut_edges(parameters: Parameters, situation: Situation, random: Random) -> list[Edge]:
    """The edges that a partition with these parameters cuts, sorted. Without a leader, one is drawn to stand in for it."""
    shape = Shape(parameters["shape"])
    if shape is Shape.GRUDGE:
        edges = {(source, sink) for source, sink in parameters["edges"]}
    elif shape is Shape.EVERY_LINK:
        edges = {(source, sink) for source in situation.nodes for sink in situation.nodes if source != sink}
    elif shape is Shape.CLIENTS_CUT:
        nodes = resolve_target(parameters.get("target", "all"), situation, random)
        edges = _between(nodes, [CLIENTS], parameters.get("direction") or "both")
    elif shape is Shape.ONE_WAY:
        target = parameters.get("target")
        side = resolve_target(target, situation, random) if target else _drawn_half(situation, random)
        edges = _between(side, _others(side, situation), parameters.get("direction") or "out")
    elif shape in _SIDES:
        side = _SIDES[shape](parameters, situation, random)
        edges = _between(side, _others(side, situation), "both")
        edges |= _clients_of(side, str(parameters.get("clients", "all")), situation)
    else:
        links = bridge(situation, random) if shape is Shape.BRIDGE else majorities_ring(situation, random)
        edges = missing(links)
    return sorted(edges)


def majorities_ring(situation: Situation, random: Random) -> nx.Graph:
    """The links that stay. The Harary graph of minimum degree n // 2 gives each view n // 2 + 1 nodes with the fewest links there can be."""
    import networkx as nx

    order = random.sample(list(situation.nodes), len(situation.nodes))
    if len(order) < 3:
        return nx.complete_graph(order)
    if len(order) == 3:
        # The graph is a path, and the heaviest node is its middle: else an end might need a link to it and nothing would be cut.
        heaviest = max(order, key=lambda node: weight(node, situation))
        order = [*(rest := [node for node in order if node != heaviest])[:1], heaviest, *rest[1:]]
    ring = nx.relabel_nodes(nx.hkn_harary_graph(len(order) // 2, len(order)), dict(enumerate(order)))
    _add_missing_weight(ring, situation)
    return ring


def _add_missing_weight(links: nx.Graph, situation: Situation) -> None:
    whole = total_weight(situation.nodes, situation)
    for node in list(links):
        heaviest_first = sorted(situation.nodes, key=lambda other: -weight(other, situation))
        for other in heaviest_first:
            if 2 * total_weight(view(links, node), situation) > whole:
                break
            if other != node:
                links.add_edge(node, other)


def view(links: nx.Graph, node: str) -> frozenset[str]:
    """A node and those it has links with."""
    return frozenset((node, *links.adj[node]))


def bridge(situation: Situation, random: Random) -> nx.Graph:
    """Two cliques of equal size, or nearly, that share one drawn node."""
    import networkx as nx

    middle, *others = random.sample(list(situation.nodes), len(situation.nodes))
    half = len(others) // 2
    sides = [[middle, *others[:half]], [middle, *others[half:]]]
    return nx.compose_all([nx.complete_graph(side) for side in sides])


def _halves(parameters: Parameters, situation: Situation, random: Random) -> list[str]:
    return list(situation.nodes)[: len(situation.nodes) // 2]


def _drawn_half(situation: Situation, random: Random) -> list[str]:
    return random.sample(list(situation.nodes), len(situation.nodes) // 2)


def _isolate_one(parameters: Parameters, situation: Situation, random: Random) -> list[str]:
    return resolve_target(parameters.get("target", "one"), situation, random)


def _minority_third(parameters: Parameters, situation: Situation, random: Random) -> list[str]:
    size = max(1, (len(situation.nodes) - 1) // 3)
    return random.sample(list(situation.nodes), size)


def _leader_first(situation: Situation, random: Random) -> list[str]:
    """Return the nodes in their order, from the leader on, cyclically: no random number decides which nodes go with a known leader."""
    nodes = list(situation.nodes)
    leader = resolve_target("leader", situation, random)[0]
    at = nodes.index(leader)
    return nodes[at:] + nodes[:at]


def _leader_minority(parameters: Parameters, situation: Situation, random: Random) -> list[str]:
    order = _leader_first(situation, random)
    side = minority(order, situation)
    # A leader that is a quorum by itself is in no minority; alone it is as close to one as possible.
    return side if order[0] in side else order[:1]


def _leader_majority(parameters: Parameters, situation: Situation, random: Random) -> list[str]:
    order = _leader_first(situation, random)
    side = majority(order, situation)
    return side if order[0] in side else [order[0], *side]


_SIDES: Mapping[Shape, Callable[[Parameters, Situation, Random], list[str]]] = {
    Shape.HALVES: _halves,
    Shape.RANDOM_HALVES: lambda _, situation, random: _drawn_half(situation, random),
    Shape.ISOLATE_ONE: _isolate_one,
    Shape.MINORITY_THIRD: _minority_third,
    Shape.LEADER_MINORITY: _leader_minority,
    Shape.LEADER_MAJORITY: _leader_majority,
}


def _others(side: Iterable[str], situation: Situation) -> list[str]:
    chosen = set(side)
    return [node for node in situation.nodes if node not in chosen]


def _between(side: Iterable[str], others: Iterable[str], direction: str) -> set[Edge]:
    """Return the edges between two sides; `out` are packets from the side to the others."""
    out = {(a, b) for a in side for b in others}
    into = {(b, a) for a, b in out}
    return {"out": out, "in": into, "both": out | into}[direction]


def _clients_of(side: list[str], keep: str, situation: Situation) -> set[Edge]:
    """Cut the clients from the side that they must not reach. The side of more weight is the majority; of two equal ones, the second."""
    if keep == "all":
        return set()
    others = _others(side, situation)
    sides = sorted((side, others), key=lambda nodes: total_weight(nodes, situation))
    # `sorted` is stable: of two equal sides the one that was drawn comes first and counts as the minority.
    lost = sides[0] if keep == "majority" else sides[1]
    return _between(lost, [CLIENTS], "both")


def missing(links: nx.Graph) -> set[Edge]:
    """Return the edges that are cut, given the links that stay: both directions of every missing link."""
    import networkx as nx

    return set(nx.complement(links).to_directed().edges)
