"""Commands that a node wants to see applied to the replicated members: pure functions of the members' records and of the beliefs of its failure
detector. They are computed again, by key, whenever anything changes.

Each command names the incarnation of the member and the index (`since`) of the state that it starts from, so that it takes effect at most once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..interface.entry import Command
from ..records.lifecycle import ACTIVE, DEGRADED, FAILED, HERE, JOINING, LEAVING, REMOVED, SYNCING, step_towards

Record = Mapping[str, Any]
Belief = tuple[int, str]
"""Belief about an incarnation: `alive`, `suspect` or `failed`."""


def own_state(record: Record | None, incarnation: int, was_member: bool) -> str:
    """Return the state of the member in this incarnation; a record of an earlier incarnation does not count."""
    if record is None:
        return REMOVED if was_member else "DISCOVERING"
    return str(record["state"]) if record["incarnation"] == incarnation else "DISCOVERING"


def join_command(own: Mapping[str, Any], record: Record | None, refusal_since: int | None) -> Command | None:
    """Return the join command when this node is not registered, is registered with another incarnation, or counts as failed; otherwise None.
    `refusal_since` is the `since` that a refusal reported about an earlier incarnation, which was removed.
    """
    if record is None:
        return ["members.join", {**own} if refusal_since is None else {**own, "since": refusal_since}]
    if record["incarnation"] < own["incarnation"]:
        return ["members.join", {**own}]
    if record["incarnation"] > own["incarnation"] or record["state"] == FAILED:
        return ["members.join", {**own, "since": record["since"]}]
    return None


def own_command(name: str, record: Record, needed: bool) -> Command | None:
    """Return the next transition of this incarnation, or None. A JOINING member becomes ACTIVE. A LEAVING member is removed when it is no longer
    needed.
    """
    if record["state"] == JOINING:
        return move(name, record, ACTIVE)
    if record["state"] == LEAVING and not needed:
        return remove(name, record)
    return None


def leader_command(name: str, record: Record, belief: str | None, silent: bool = False) -> Command | None:
    """Return the command that the leader proposes because of its belief, or None. While it has heard nothing of the member, it proposes nothing.
    `silent`: a new member stayed silent for too long, and is removed.
    """
    state = record["state"]
    if silent and state == JOINING:
        return remove(name, record)
    if belief == "suspect" and state == ACTIVE:
        return move(name, record, DEGRADED)
    if belief == "alive" and state == DEGRADED:
        return move(name, record, ACTIVE)
    if belief == "failed" and state == LEAVING:
        # Its agents are not moved away while it is there. They are placed again after it is gone.
        return remove(name, record)
    if belief == "failed" and state in (ACTIVE, SYNCING, DEGRADED):
        to = step_towards(state, FAILED)
        assert to is not None, state
        return move(name, record, to)
    return None


def move(name: str, record: Record, to: str) -> Command:
    return [
        "members.move",
        {"name": name, "incarnation": record["incarnation"], "to": to, "since": record["since"]},
    ]


def remove(name: str, record: Record) -> Command:
    return ["members.remove", {"name": name, "incarnation": record["incarnation"], "since": record["since"]}]


def present(members: Mapping[str, Record]) -> dict[str, int]:
    """Return the present members of the cluster with their incarnations: the view."""
    return {name: record["incarnation"] for name, record in sorted(members.items()) if record["state"] in HERE}


def hosts_anything(name: str, agents: Mapping[str, Record]) -> bool:
    """Return whether an agent is on this node, or on its way there."""
    return any(
        agent["host"] == name or (agent["moving"] is not None and agent["moving"]["to"] == name)
        for agent in agents.values()
    )
