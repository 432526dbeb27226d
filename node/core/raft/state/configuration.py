"""Voters, weights and quorums. Pure functions over `{name: weight}`.

A quorum is more than half of the total weight. One log entry changes one weight by exactly 1, so the totals W and W' of two successive configurations
differ by 1. A quorum of each has at least (W+1)/2 and (W'+1)/2. Together these exceed what disjoint sets could hold in either, so any two such
quorums share a voter. `step_towards` picks the next entry on the way to the weights that an operator wants.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Voters = Mapping[str, int]


def is_quorum(voters: Voters, names: Iterable[str]) -> bool:
    """Return whether these names (each given once) hold more than half of the weight."""
    return 2 * sum(voters.get(name, 0) for name in names) > sum(voters.values())


def quorum_value(voters: Voters, values: Mapping[str, int]) -> int:
    """Return the largest value that a quorum has reached (0 when a voter has none)."""
    missing = sum(voters.values()) // 2 + 1
    for value, weight in sorted([(values.get(name, 0), weight) for name, weight in voters.items()], reverse=True):
        missing -= weight
        if missing <= 0:
            return value
    return 0


def step_towards(voters: Voters, target: Voters) -> dict[str, int] | None:
    """Return the next configuration on the way, one weight changed by 1, increases first, by name. None: the target is reached."""
    for name in sorted(target):
        if target[name] > voters.get(name, 0):
            return _changed(voters, name, 1)
    for name in sorted(voters):
        if voters[name] > target.get(name, 0):
            return _changed(voters, name, -1)
    return None


def path(voters: Voters, target: Voters) -> list[Voters]:
    """Return every configuration from `voters` to `target`, both included."""
    found, following = [voters], step_towards(voters, target)
    while following is not None:
        found.append(following)
        following = step_towards(following, target)
    return found


def is_single_step(before: Voters, after: Voters) -> bool:
    names = sorted({**before, **after})
    return sum(abs(before.get(name, 0) - after.get(name, 0)) for name in names) == 1


def weights_from_parity(voters: Voters, preferred: str | None) -> dict[str, int]:
    """Return weights as the flaw has them: 2 for the preferred node whenever the number of voters is even."""
    derived = dict.fromkeys(sorted(voters), 1)
    if len(derived) % 2 == 0 and derived:
        derived[preferred if preferred in derived else next(iter(derived))] = 2
    return derived


def _changed(voters: Voters, name: str, delta: int) -> dict[str, int]:
    changed = {**voters, name: voters.get(name, 0) + delta}
    return {key: changed[key] for key in sorted(changed) if changed[key] > 0}
