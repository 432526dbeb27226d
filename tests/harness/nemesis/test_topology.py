"""Partitions, for every number of nodes up to 32 and any weights: each shape keeps the promise in its name."""

from __future__ import annotations

import re
from random import Random
from typing import Any

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.nemesis.faults.fault import CLIENTS, Situation
from tribulation.harness.nemesis.faults.targets import WORDS, resolve_target, total_weight
from tribulation.harness.nemesis.specs.links import TWO_SIDED, Shape
from tribulation.harness.nemesis.topology.partitions import cut_edges, majorities_ring, view


def cluster(*weights: int, leader: str | None = "n1", up: list[str] | None = None) -> Situation:
    nodes = [f"n{i}" for i in range(1, len(weights) + 1)]
    return Situation(nodes, dict(zip(nodes, weights, strict=True)), leader, nodes if up is None else up)


@st.composite
def situations(draw: st.DrawFn, least: int = 1) -> Situation:
    weights = draw(st.lists(st.integers(1, 9), min_size=least, max_size=32))
    return cluster(*weights, leader=draw(st.sampled_from([f"n{i}" for i in range(1, len(weights) + 1)])))


def cut(situation: Situation, seed: int = 0, **parameters: Any) -> set[tuple[str, str]]:
    return set(cut_edges(parameters, situation, Random(seed)))


def components(situation: Situation, edges: set[tuple[str, str]]) -> list[set[str]]:
    """Nodes that can still talk to each other in both directions, however far round."""
    links = nx.complete_graph(list(situation.nodes))
    links.remove_edges_from([edge for edge in edges if CLIENTS not in edge])
    return [set(component) for component in nx.connected_components(links)]


def test_halves_of_four_split_two_and_two() -> None:
    edges = cut(cluster(1, 1, 1, 1), shape="halves")
    assert edges == {(a, b) for a in ("n1", "n2") for b in ("n3", "n4")} | {
        (b, a) for a in ("n1", "n2") for b in ("n3", "n4")
    }


def test_a_grudge_is_cut_as_it_is_written() -> None:
    assert cut(cluster(1, 1), shape="grudge", edges=[["n2", "n1"], ["clients", "n2"]]) == {
        ("n2", "n1"),
        (CLIENTS, "n2"),
    }


@given(situations(least=2), st.sampled_from(sorted(TWO_SIDED - {Shape.LEADER_MAJORITY})), st.integers())
def test_two_sided_shapes_leave_two_whole_sides_and_the_clients_alone(
    situation: Situation, shape: Shape, seed: int
) -> None:
    edges = cut(situation, seed, shape=shape.value)
    first, second = components(situation, edges)
    assert edges == {(a, b) for a in first for b in second} | {(b, a) for a in first for b in second}
    sizes = sorted((len(first), len(second)))
    n = len(situation.nodes)
    if shape in (Shape.HALVES, Shape.RANDOM_HALVES):
        assert sizes == [n // 2, n - n // 2]
    elif shape is Shape.ISOLATE_ONE:
        assert sizes[0] == 1
    elif shape is Shape.MINORITY_THIRD:
        assert sizes[0] == max(1, (n - 1) // 3) and (n < 4 or 3 * sizes[0] < n)


@given(situations(), st.integers())
def test_bridge_halves_meet_only_in_one_node(situation: Situation, seed: int) -> None:
    edges = cut(situation, seed, shape="bridge")
    assert len(components(situation, edges)) == 1
    if len(situation.nodes) < 3:
        assert edges == set()
        return
    (middle,) = [node for node in situation.nodes if not any(node in edge for edge in edges)]
    without = {(a, b) for a, b in edges} | {(middle, node) for node in situation.nodes if node != middle}
    sizes = sorted(len(side) for side in components(situation, without) if side != {middle}) or [1, 1]
    assert sum(sizes) == len(situation.nodes) - 1 and sizes[-1] - sizes[0] <= 1


@pytest.mark.parametrize("n", range(1, 33))
def test_majorities_ring_is_exact_for_every_n(n: int) -> None:
    """Equal weights: each view a majority, no two equal, and not one link more than any such graph needs."""
    for seed in range(5):
        links = majorities_ring(cluster(*[1] * n), Random(seed))
        views = [view(links, node) for node in links]
        assert len(views) == n and min(map(len, views)) == n // 2 + 1
        assert links.number_of_edges() == -(-n * (n // 2) // 2)
        assert n < 3 or len(set(views)) == n


@given(situations(), st.integers())
def test_majorities_ring_gives_every_node_more_than_half_of_the_weight(situation: Situation, seed: int) -> None:
    links = majorities_ring(situation, Random(seed))
    whole = total_weight(situation.nodes, situation)
    n = len(situation.nodes)
    for node in situation.nodes:
        assert 2 * total_weight(view(links, node), situation) > whole and 2 * len(view(links, node)) > n
    edges = cut(situation, seed, shape="majorities-ring")
    assert edges == {(b, a) for a, b in edges} and (n < 3 or edges)


@given(situations(), st.sampled_from(["out", "in"]), st.integers())
def test_one_way_cuts_one_direction_only(situation: Situation, direction: str, seed: int) -> None:
    edges = cut(situation, seed, shape="one-way", direction=direction, target="leader")
    others = [node for node in situation.nodes if node != situation.leader]
    pairs = [(situation.leader, other) if direction == "out" else (other, situation.leader) for other in others]
    assert edges == set(pairs)
    drawn = cut(situation, seed, shape="one-way")
    assert not drawn & {(b, a) for a, b in drawn} and (len(situation.nodes) < 2 or drawn)


@given(situations(least=2), st.integers(), st.integers())
def test_the_leader_in_the_minority_leaves_a_quorum_to_the_others(situation: Situation, seed: int, other: int) -> None:
    edges = cut(situation, seed, shape="leader-minority")
    assert edges == cut(situation, other, shape="leader-minority"), "who goes with a known leader is not drawn"
    (side,) = [side for side in components(situation, edges) if situation.leader in side]
    whole, weight = total_weight(situation.nodes, situation), total_weight(side, situation)
    assert 2 * weight < whole or side == {situation.leader}


@given(situations(), st.integers(), st.integers())
def test_the_leader_in_the_majority_has_the_smallest_quorum(situation: Situation, seed: int, other: int) -> None:
    edges = cut(situation, seed, shape="leader-majority")
    assert edges == cut(situation, other, shape="leader-majority"), "who goes with a known leader is not drawn"
    (side,) = [side for side in components(situation, edges) if situation.leader in side]
    whole = total_weight(situation.nodes, situation)
    assert 2 * total_weight(side, situation) > whole
    last = [node for node in [*situation.nodes, *situation.nodes] if node in side][-1:]
    assert last and (
        side == {situation.leader} or min(2 * total_weight(side - {node}, situation) for node in side) <= whole
    )


def test_clients_can_be_cut_from_some_nodes_in_one_direction() -> None:
    three = cluster(1, 1, 1)
    assert cut(three, shape="clients-cut", target=["n2"], direction="in") == {(CLIENTS, "n2")}
    assert cut(three, shape="clients-cut", target=["n2"]) == {(CLIENTS, "n2"), ("n2", CLIENTS)}
    assert len(cut(three, shape="clients-cut")) == 6


@given(situations(least=3), st.sampled_from(["majority", "minority"]), st.integers())
def test_clients_on_one_side_reach_no_node_of_the_other(situation: Situation, keep: str, seed: int) -> None:
    edges = cut(situation, seed, shape="random-halves", clients=keep)
    lost = {node for node, vertex in edges if vertex == CLIENTS}
    assert lost == {node for vertex, node in edges if vertex == CLIENTS}
    kept = set(situation.nodes) - lost
    assert {frozenset(lost), frozenset(kept)} == {frozenset(side) for side in components(situation, edges)}
    heavy, light = (kept, lost) if keep == "majority" else (lost, kept)
    assert total_weight(heavy, situation) >= total_weight(light, situation)


SHAPES = st.sampled_from(sorted(shape.value for shape in Shape if shape is not Shape.GRUDGE))


@given(situations(), SHAPES, st.integers())
def test_every_cut_is_repeatable_sorted_and_between_vertices(situation: Situation, shape: str, seed: int) -> None:
    edges = cut_edges({"shape": shape}, situation, Random(seed))
    assert edges == cut_edges({"shape": shape}, situation, Random(seed)) == sorted(set(edges))
    vertices = {*situation.nodes, CLIENTS}
    assert all(a != b and {a, b} <= vertices for a, b in edges)
    assert shape == "clients-cut" or not any(CLIENTS in edge for edge in edges), "clients keep reaching all nodes"


TARGETS = st.one_of(st.sampled_from(WORDS), st.integers(1, 40).map(lambda k: f"random({k})"))


@given(situations(), TARGETS, st.integers())
def test_targets_mean_what_they_say(situation: Situation, target: str, seed: int) -> None:
    nodes = resolve_target(target, situation, Random(seed))
    assert nodes == [node for node in situation.nodes if node in nodes], "in the order of the nodes, none twice"
    whole, weight = total_weight(situation.nodes, situation), total_weight(nodes, situation)
    if target == "leader":
        assert nodes == [situation.leader]
    elif target == "follower":
        assert len(nodes) == 1 and (nodes != [situation.leader] or len(situation.nodes) == 1)
    elif target == "minority":
        assert 2 * (whole - weight) > whole or not nodes
    elif target == "majority":
        assert 2 * weight > whole
    elif target == "all":
        assert nodes == list(situation.nodes)
    elif match := re.fullmatch(r"random\((\d+)\)", target):
        assert len(nodes) == min(int(match[1]), len(situation.nodes))


def test_a_minority_of_equal_votes_is_the_largest_that_leaves_a_quorum() -> None:
    assert [len(resolve_target("minority", cluster(*[1] * n), Random(0))) for n in range(1, 8)] == [0, 0, 1, 1, 2, 2, 3]


def test_without_a_leader_one_is_drawn_among_the_nodes_that_are_up() -> None:
    situation = cluster(1, 1, 1, leader=None, up=["n3"])
    assert resolve_target("leader", situation, Random(0)) == resolve_target("follower", situation, Random(0)) == ["n3"]
    with_leader = cluster(1, 1, 1, leader="n1", up=["n1", "n3"])
    assert {resolve_target("follower", with_leader, Random(seed))[0] for seed in range(20)} == {"n3"}
