"""Which nodes could reach each other: components from the faults that were certainly on."""

from __future__ import annotations

import random

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from tribulation.checkers import Fault
from tribulation.checkers.base.quorum_weights import disjoint_quorums, is_quorum, weights_of
from tribulation.checkers.faults.connectivity import Epoch, epochs
from tribulation.checkers.traces.traces import FOREVER_NS, NEVER_NS

from .trace_book import MS, Book, both_ways

NODES = ["n1", "n2", "n3", "n4", "n5"]
FIVE = weights_of(dict.fromkeys(NODES, 1))


def _parts(epoch: Epoch) -> list[str]:
    return [" ".join(sorted(part)) for part in epoch.components(NODES)]


def test_halves() -> None:
    book = Book()
    book.fault("cut", 10, 20, edges=both_ways(*[(a, b) for a in ("n1", "n2") for b in ("n3", "n4", "n5")]))
    history = epochs(book.faults)
    assert [(e.start_ns, e.end_ns) for e in history.epochs] == [
        (NEVER_NS, 10 * MS),
        (10 * MS, 20 * MS),
        (20 * MS, FOREVER_NS),
    ]
    assert [_parts(e) for e in history.epochs] == [["n1 n2 n3 n4 n5"], ["n3 n4 n5", "n1 n2"], ["n1 n2 n3 n4 n5"]]
    assert history.epochs[1].heaviest(FIVE) == (3, frozenset({"n3", "n4", "n5"}))
    assert history.epochs[1].heaviest(weights_of({"n1": 3, "n3": 1})) == (3, frozenset({"n1"}))


def test_a_pair_is_connected_only_when_both_directions_work() -> None:
    book = Book()
    book.fault("cut", 10, 20, edges=[["n1", "n2"]])
    epoch = epochs(book.faults).epochs[1]
    assert epoch.components(["n1", "n2"]) == [frozenset({"n1"}), frozenset({"n2"})]
    assert epoch.components(["n1", "n2", "n3"]) == [frozenset({"n1", "n2", "n3"})], "n3 still talks to both"


def test_killed_and_paused_nodes_are_connected_to_nobody_until_healed() -> None:
    """n2 is started at 30 and stopped only then: what it did in between is unknown."""
    book = Book()
    book.fault("kill", 10, 30, nodes=["n1", "n2"])
    book.fault("pause", 20, 40, nodes=["n2", "n3"])
    history = epochs(book.faults)
    assert [sorted(e.down) for e in history.epochs] == [[], ["n1", "n2"], ["n1", "n2", "n3"], ["n3"], []]
    assert history.epochs[2].heaviest(FIVE)[0] == 2
    assert history.epochs[2].faults == ("kill-0", "pause-1")


def test_two_cuts_of_one_edge_hold_until_the_last_is_healed() -> None:
    book = Book()
    book.fault("cut", 10, 30, edges=[["n1", "n2"]])
    book.fault("cut", 20, 40, edges=[["n1", "n2"]])
    assert [sorted(e.cut) for e in epochs(book.faults).epochs] == [[], *[[("n1", "n2")]] * 3, []]


def test_only_what_is_certain_counts() -> None:
    """Not verified; never injected; never healed; healed before it was on. Each is named, none splits the run."""
    certain = {"verified": True, "start_ns": 0, "injected_ns": 10, "heal_ns": 20, "healed_ns": 25, "observed": None}
    what = {"intended": {"nodes": ["n1"]}, "kind": "kill"}
    doubtful = [
        Fault(id="a", **{**what, **certain, "verified": False}),
        Fault(id="b", **{**what, **certain, "injected_ns": None}),
        Fault(id="c", **{**what, **certain, "heal_ns": None}),
        Fault(id="d", **{**what, **certain, "heal_ns": 5}),
    ]
    history = epochs(doubtful)
    assert len(history.epochs) == 1 and len(history.notes) == 4
    assert len(epochs([Fault(id="e", **{**what, **certain})]).epochs) == 3


def test_nodes_of_a_symbolic_intent_are_taken_from_what_was_observed() -> None:
    fault = Fault("k", "kill", {"target": "leader"}, {"nodes": ["n2"]}, True, 0, 10, 20, 21)
    assert epochs([fault]).epochs[1].down == frozenset({"n2"})


def test_a_probe_that_got_through_takes_the_cut_away() -> None:
    """The first sample still reports the time before the cut, the last one of that after it."""
    book = Book()
    book.fault("cut", 10_000, 20_000, edges=[["n1", "n2"], ["n1", "n3"]])
    through, not_through = {("n1", "n2"): True, ("n1", "n3"): False}, {("n1", "n3"): True}
    history = epochs(book.faults, [(10_900 * MS, not_through), (15_000 * MS, through), (20_500 * MS, not_through)])
    assert history.epochs[1].cut == frozenset({("n1", "n3")})
    assert len(history.notes) == 1 and "a probe got from n1 to n2" in history.notes[0]


def test_within_finds_the_epoch_that_holds_a_whole_stretch() -> None:
    book = Book()
    book.fault("kill", 10, 20, nodes=["n1"])
    history = epochs(book.faults)
    assert history.within(10 * MS, 20 * MS) is history.epochs[1]
    assert history.within(9 * MS, 12 * MS) is None
    assert history.within(15 * MS, 21 * MS) is None
    assert history.within(25 * MS, 99 * MS) is history.epochs[2]


def test_a_fault_that_was_healed_when_it_was_injected_was_never_on() -> None:
    book = Book()
    book.fault("kill", 10, 10, nodes=["n1"])
    found = epochs(book.faults)
    assert len(found.epochs) == 1 and len(found.notes) == 1 and not found.epochs[0].down


def test_a_probe_takes_away_the_edge_that_it_got_through_and_no_other() -> None:
    book = Book()
    book.fault("cut", 0, 9_000, edges=both_ways(("n1", "n2")))
    for at_ms, matrix, left in (
        (2_000, {("n1", "n2"): True}, 1),
        (1_999, {("n1", "n2"): True}, 2),
        (9_000, {("n1", "n2"): True}, 1),
        (9_001, {("n1", "n2"): True}, 2),
        (5_000, {("n1", "n2"): False, ("n3", "n1"): True}, 2),
        (5_000, {}, 2),
    ):
        found = epochs(book.faults, [(at_ms * MS, matrix)])
        assert len(found.epochs[1].cut) == left, (at_ms, matrix)
        assert len(found.notes) == 2 - left


@given(st.integers(0, 10**6))
def test_components_are_those_of_the_undirected_graph(seed: int) -> None:
    draw = random.Random(seed)
    cut = frozenset((a, b) for a in NODES for b in NODES if a != b and draw.random() < 0.4)
    down = frozenset(node for node in NODES if draw.random() < 0.2)
    graph = nx.Graph()
    graph.add_nodes_from(set(NODES) - down)
    graph.add_edges_from((a, b) for a in graph for b in graph if a < b and (a, b) not in cut and (b, a) not in cut)
    found = Epoch(0, 1, down, cut, ()).components(NODES)
    assert set(found) == {frozenset(part) for part in nx.connected_components(graph)}


_VOTERS = st.dictionaries(st.sampled_from(NODES), st.integers(0, 3), min_size=1).filter(lambda w: any(w.values()))


@given(_VOTERS, _VOTERS)
def test_disjoint_quorums_agree_with_all_subsets(first: dict[str, int], second: dict[str, int]) -> None:
    old, new = weights_of(first), weights_of(second)
    subsets = [{NODES[i] for i in range(5) if bits >> i & 1} for bits in range(32)]
    possible = any(is_quorum(old, side) and is_quorum(new, set(NODES) - side) for side in subsets)
    found = disjoint_quorums(old, new)
    assert (found is not None) == possible
    if found is not None:
        assert is_quorum(old, found[0]) and is_quorum(new, found[1]) and not set(found[0]) & set(found[1])


@given(_VOTERS, st.sampled_from(NODES), st.sampled_from([-1, 1]))
def test_quorums_one_weight_step_apart_always_meet(weights: dict[str, int], node: str, step: int) -> None:
    changed = {**weights, node: max(0, weights.get(node, 0) + step)}
    if any(changed.values()):
        assert disjoint_quorums(weights_of(weights), weights_of(changed)) is None


@given(st.data())
def test_an_exchange_over_epochs_is_what_messages_step_by_step_can_do(data: st.DataObject) -> None:
    """Against a walk over (epoch, node) in which every hop takes a moment of one epoch."""
    edges = [[a, b] for a in NODES for b in NODES if a != b]
    book = Book()
    for start in range(0, 40, 10):
        book.fault(
            "cut", start, start + 10, edges=data.draw(st.lists(st.sampled_from(edges), max_size=18, unique_by=tuple))
        )
        down = data.draw(st.lists(st.sampled_from(NODES), max_size=3, unique=True))
        if down:
            book.fault("kill", start, start + 10, nodes=down)
    history = epochs(book.faults)
    start_ns, end_ns = 5 * MS, data.draw(st.sampled_from([8, 15, 25, 35])) * MS
    parts = history.during(start_ns, end_ns)
    walks = nx.DiGraph()
    for number, epoch in enumerate(parts):
        up = [name for name in NODES if name not in epoch.down]
        walks.add_edges_from(((number, a), (number, b)) for a in up for b in up if a != b and (a, b) not in epoch.cut)
        walks.add_edges_from(((number, name), (number + 1, name)) for name in NODES)
    reported = nx.descendants(walks, (0, "n1")) | {(0, "n1")}
    expected = {
        name
        for number, name in reported
        if (len(parts), "n1") in nx.descendants(walks, (number, name)) | {(number, name)}
    }
    assert history.exchange("n1", NODES, start_ns, end_ns) == expected
    if len(parts) == 1:
        assert parts[0].exchange("n1", NODES) == expected
