"""Targets of a fault: a word (`leader`, `minority`, `random(2)`, …) or a list of names, and its resolution in a situation.

The words refer to voting weight where that matters: a `minority` leaves the others a quorum, a `majority` removes it. Random numbers come
from the generator that is passed in, so the same intent in the same situation always aims at the same nodes.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from random import Random

from ...errors import shown
from .fault import Situation

Target = str | list[str]

WORDS = ("leader", "follower", "minority", "majority", "one", "all", "trigger")

_RANDOM = re.compile(r"random\((\d{1,4})\)", re.ASCII)
_ROLE = re.compile(r"role\(([a-z][a-z-]*)\)")


def validate_target(target: Target | None) -> Target | None:
    """Return the target, or raise `ValueError`. A single node's name needs brackets, so that a misspelt word is not taken for a node."""
    if isinstance(target, str) and target not in WORDS and not (_RANDOM.fullmatch(target) or _ROLE.fullmatch(target)):
        raise ValueError(
            f"target {shown(target)} is not one of {', '.join(WORDS)}, random(K), role(NAME), region(NAME) of the campaign's hosts; a node is named in a list, as [n1]"
        )
    if isinstance(target, list) and (not target or len(set(target)) != len(target)):
        raise ValueError(f"target {shown(target)} must name at least one node, and no node twice")
    if isinstance(target, str) and _RANDOM.fullmatch(target) and not drawn_nodes(target):
        raise ValueError(f"target {target} has no nodes")
    return target


def drawn_nodes(target: Target | None) -> int:
    """Return K of `random(K)`, else 0."""
    match = _RANDOM.fullmatch(target) if isinstance(target, str) else None
    return int(match[1]) if match else 0


def target_names(target: Target | None) -> Iterable[str]:
    return target if isinstance(target, list) else ()


def resolve_target(target: Target, situation: Situation, random: Random) -> list[str]:
    """Return the targeted nodes, in the situation's order. Without a leader, `leader` and `follower` are chosen at random among the nodes that are up,
    and so is `trigger` where no event set the fault off.
    """
    nodes = list(situation.nodes)
    if isinstance(target, list):
        chosen = set(target)
    elif match := _RANDOM.fullmatch(target):
        chosen = set(random.sample(nodes, min(int(match[1]), len(nodes))))
    elif match := _ROLE.fullmatch(target):
        roles = situation.roles()
        chosen = {node for node in nodes if roles.get(node) == match[1]}
    elif target == "all":
        chosen = set(nodes)
    elif target in ("minority", "majority"):
        order = random.sample(nodes, len(nodes))
        chosen = set(minority(order, situation) if target == "minority" else majority(order, situation))
    else:
        chosen = {_single(target, situation, random)}
    return [node for node in nodes if node in chosen]


def _single(target: str, situation: Situation, random: Random) -> str:
    if target == "leader" and situation.leader is not None:
        return situation.leader
    if target == "trigger" and situation.trigger is not None:
        return situation.trigger
    up = [node for node in situation.nodes if node in set(situation.up)] or list(situation.nodes)
    if target == "follower":
        up = [node for node in up if node != situation.leader] or up
    return random.choice(up)


def weight(node: str, situation: Situation) -> int:
    """Return the voting weight of a node: 0 without an entry, and 1 when no weights are known at all."""
    return situation.voters.get(node, 0) if situation.voters else 1


def total_weight(nodes: Iterable[str], situation: Situation) -> int:
    return sum(weight(node, situation) for node in nodes)


def minority(order: Sequence[str], situation: Situation) -> list[str]:
    """Return as many voters, in this order, as possible while the rest keeps more than half of the weight."""
    whole, chosen, taken = total_weight(situation.nodes, situation), [], 0
    for node in order:
        step = weight(node, situation)
        if step and 2 * (taken + step) < whole:
            chosen.append(node)
            taken += step
    return chosen


def majority(order: Sequence[str], situation: Situation) -> list[str]:
    """Return the first voters in this order that hold more than half of the weight."""
    whole, chosen, taken = total_weight(situation.nodes, situation), [], 0
    for node in order:
        if 2 * taken > whole:
            break
        if weight(node, situation):
            chosen.append(node)
            taken += weight(node, situation)
    return chosen


def may_leave(nodes: Sequence[str], situation: Situation, away: Mapping[str, int] | None = None) -> list[str]:
    """Return those of these voters, in this order, that can leave together: among those that stay, the nodes that are up are a quorum, and with those
    that are `away` for a while (their weights) it is still more than half of all.

    Weights change by one per entry; if the first and the last configuration on the way have such a quorum, all in between do.
    """
    up, staying, chosen = set(situation.up), dict(situation.voters), []
    whole = sum({**(away or {}), **staying}.values())
    if not _have_quorum(staying, up):
        return []
    for node in nodes:
        without = {voter: held for voter, held in staying.items() if voter != node}
        enough = 2 * sum(without.values()) > whole
        if staying.get(node, 0) and enough and _have_quorum(without, up):
            staying = without
            chosen.append(node)
    return chosen


def _have_quorum(voters: Mapping[str, int], up: Container[str]) -> bool:
    return 2 * sum(held for voter, held in voters.items() if voter in up) > sum(voters.values())
