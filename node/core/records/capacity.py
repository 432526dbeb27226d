"""Capacity of members for agents: pure functions of the members' records, which placement and balancing share.

An agent takes one of a member's `slots`, and counts as a sixteenth of a processor and 64 MiB of memory. An ordinary member (16 slots, 100 %, 1024
MiB) has the same number of places by each measure. A weaker one has fewer, whatever its slots.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Record = Mapping[str, Any]

AGENT_CPU_PERCENT_16 = 100
"""Sixteen agents take that many hundredths of a processor."""
AGENT_MEMORY_MIB = 64


def hosting(member: Record | None) -> bool:
    """Return whether new agents may come to this member."""
    return member is not None and member["state"] == "ACTIVE" and member["role"] in ("hybrid", "worker")


def orphaned(agent: Record, members: Mapping[str, Record]) -> bool:
    """Return whether the process that this agent was placed on is gone: its member failed, is deregistered, or is another incarnation."""
    return _gone(members.get(agent["host"]), agent["incarnation"])


def target_lost(agent: Record, members: Mapping[str, Record]) -> bool:
    """Return whether the process that this agent is moving to can no longer take it."""
    moving = agent["moving"]
    if moving is None:
        return False
    member = members.get(moving["to"])
    return _gone(member, moving["incarnation"]) or not hosting(member)


def places(member: Record) -> int:
    """Return how many agents the member can have, by its scarcest resource."""
    capacity = member["capacity"]
    slots: int = capacity["slots"]
    cpu_percent: int = capacity["cpu_percent"]
    memory_mib: int = capacity["memory_mib"]
    return min(slots, 16 * cpu_percent // AGENT_CPU_PERCENT_16, memory_mib // AGENT_MEMORY_MIB)


def utilisation(member: Record, used: int) -> int:
    """Return the utilisation in thousandths of its places. A member without any is full."""
    there = places(member)
    return 1000 * used // there if there else 1000


def used_slots(agents: Mapping[str, Record]) -> dict[str, int]:
    """Return, by member, the number of slots that agents use or that are reserved for agents on their way."""
    used: dict[str, int] = {}
    for agent in agents.values():
        used[agent["host"]] = used.get(agent["host"], 0) + 1
        if agent["moving"] is not None:
            to = agent["moving"]["to"]
            used[to] = used.get(to, 0) + 1
    return used


def most_room(members: Mapping[str, Record], used: Mapping[str, int]) -> str | None:
    """Return the member that would be the least full with one more agent; among equals, the first by name. None: no place is free."""
    best: tuple[int, str] | None = None
    for name, member in members.items():
        count = used.get(name, 0)
        if hosting(member) and count < places(member):
            offer = (utilisation(member, count + 1), name)
            if best is None or offer < best:
                best = offer
    return None if best is None else best[1]


def _gone(member: Record | None, incarnation: int) -> bool:
    return member is None or member["state"] == "FAILED" or member["incarnation"] != incarnation
