"""Quorums of successive configurations always share a voter: proven by trying them all."""

from __future__ import annotations

from itertools import combinations, product

from tribulation.node.core.raft.state.configuration import (
    is_quorum,
    is_single_step,
    quorum_value,
    step_towards,
    weights_from_parity,
)

NAMES = ("n1", "n2", "n3", "n4", "n5")
ALL = [dict(zip(NAMES, weights, strict=True)) for weights in product((0, 1, 2), repeat=5) if any(weights)]


def quorums(voters: dict[str, int]) -> list[frozenset[str]]:
    subsets = [frozenset(names) for size in range(6) for names in combinations(NAMES, size)]
    return [names for names in subsets if is_quorum(voters, sorted(names))]


def test_quorums_intersect_across_every_single_step() -> None:
    known = {tuple(voters.values()): quorums(voters) for voters in ALL}
    pairs = 0
    for before in ALL:
        for name in NAMES:
            after = {**before, name: before[name] + 1}
            if after[name] <= 2:
                pairs += 1
                for one in known[tuple(before.values())]:
                    assert all(one & other for other in known[tuple(after.values())]), (before, after)
    assert pairs == 3**4 * 2 * 5 - 5


def test_weights_from_parity_lets_quorums_miss_each_other() -> None:
    four, five = (
        weights_from_parity(dict.fromkeys(NAMES[:4], 1), "n1"),
        weights_from_parity(dict.fromkeys(NAMES, 1), "n1"),
    )
    assert four["n1"] == 2 and five["n1"] == 1
    assert any(not one & other for one in quorums(four) for other in quorums(five))


def test_the_walk_arrives_by_single_steps_and_never_empties() -> None:
    for start in ALL[::7]:
        for target in ALL[::11]:
            at = {name: weight for name, weight in start.items() if weight}
            for _ in range(30):
                following = step_towards(at, target)
                if following is None:
                    break
                assert is_single_step(at, following) and sum(following.values()) > 0
                at = following
            assert at == {name: weight for name, weight in target.items() if weight}


def test_quorum_value_is_what_more_than_half_has_reached() -> None:
    assert quorum_value({"n1": 1, "n2": 1, "n3": 1}, {"n1": 9, "n2": 5, "n3": 1}) == 5
    assert quorum_value({"n1": 2, "n2": 1, "n3": 1}, {"n1": 9, "n2": 5, "n3": 1}) == 5
    assert quorum_value({"n1": 2, "n2": 1}, {"n1": 9}) == 9
    assert quorum_value({"n1": 1, "n2": 1}, {"n1": 9, "n2": 4, "learner": 99}) == 4
