"""Weighted quorums: more than half of the voters' weight, and whether the quorums of two configurations must meet."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

Weights = tuple[tuple[str, int], ...]
"""A configuration: the voters with a weight above 0, sorted by name. Hashable, so that configurations can be compared."""


def weights_of(voters: Mapping[str, Any]) -> Weights:
    return _weights_of(tuple(voters.items()))


@lru_cache(1024)
def _weights_of(voters: tuple[tuple[str, Any], ...]) -> Weights:
    """A run has few configurations and counts by them again and again."""
    return tuple(sorted((name, int(weight)) for name, weight in voters if weight))


def weight(weights: Weights, members: Collection[str]) -> int:
    found = 0
    for name, share in weights:
        if name in members:
            found += share
    return found


def total(weights: Weights) -> int:
    return sum(share for _, share in weights)


def is_quorum(weights: Weights, members: Collection[str]) -> bool:
    excess = 0
    for name, share in weights:
        excess += share if name in members else -share
    return excess > 0


def steps_between(old: Weights, new: Weights) -> int:
    """Return the number of single weight steps from one configuration to the other."""
    before, after = dict(old), dict(new)
    return sum(abs(before.get(name, 0) - after.get(name, 0)) for name in before.keys() | after.keys())


def disjoint_quorums(first: Weights, second: Weights) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Return a quorum of `first` and one of `second` without a common node, or None when any two intersect.

    For every weight that a set can have in `first`, it computes the most that the others can have in `second`: a knapsack over the nodes, O(nodes ×
    total weight), where trying all sets would be exponential.
    """
    mine, theirs = dict(first), dict(second)
    names = sorted(mine.keys() | theirs.keys())
    best: dict[int, tuple[int, tuple[str, ...]]] = {0: (0, ())}
    for name in names:
        grown: dict[int, tuple[int, tuple[str, ...]]] = {}
        for held, (left, members) in best.items():
            _keep(grown, held + mine.get(name, 0), left, (*members, name))
            _keep(grown, held, left + theirs.get(name, 0), members)
        best = grown
    for held, (left, members) in sorted(best.items()):
        if 2 * held > total(first) and 2 * left > total(second):
            return members, tuple(name for name in names if name not in members and theirs.get(name, 0))
    return None


def show(weights: Weights) -> str:
    """Format weights for a sentence, as `n1:2 n2 n3`; a weight of 1 is omitted."""
    return " ".join(name if share == 1 else f"{name}:{share}" for name, share in weights) or "no node"


def names(members: Iterable[str]) -> str:
    """Format names for a sentence, as `n1, n2 and n3`."""
    listed = sorted(members)
    if len(listed) < 2:
        return "".join(listed) or "no node"
    return f"{', '.join(listed[:-1])} and {listed[-1]}"


def _keep(table: dict[int, tuple[int, tuple[str, ...]]], held: int, left: int, members: tuple[str, ...]) -> None:
    if held not in table or table[held][0] < left:
        table[held] = (left, members)
