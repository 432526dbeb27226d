"""Disks that may be damaged without making data loss unavoidable: good copies must remain on a quorum.

By its contract, a node refuses to continue when its log is damaged. So a damaged disk counts as wholly lost. Nodes may be damaged as long as
voters of more than half of the weight are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def may_be_damaged(voters: Mapping[str, int], damaged: Iterable[str], wanted: Sequence[str]) -> list[str]:
    """Return those of `wanted`, in order, that may be damaged in addition to the `damaged` ones; one that is damaged already may always be damaged again."""
    lost, allowed = set(damaged), []
    for node in wanted:
        if _quorum_without(voters, lost | {node}) or node in lost:
            lost.add(node)
            allowed.append(node)
    return allowed


def _quorum_without(voters: Mapping[str, int], lost: set[str]) -> bool:
    good = sum(weight for node, weight in voters.items() if node not in lost)
    return 2 * good > sum(voters.values())
