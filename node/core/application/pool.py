"""What clients see of the application `agents`: the pool of all members' slots, and one agent with what is saved of its state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..records.agent_state import KeyedState, Placements
from ..records.capacity import Record, hosting, utilisation

LISTED_KEYS = 1000
"""Names of saved keys in one answer, at most."""
READ_CHARACTERS = 512 * 1024
"""Of values in one answer, at most: the rest is left out, to be asked for again."""


def hosts_view(members: Mapping[str, Record], used: Mapping[str, int]) -> dict[str, Any]:
    """By member: `used` of its `slots`, how full it is by what it has least of, and whether agents may come to it."""
    hosts = {}
    for name, member in members.items():
        count = used.get(name, 0)
        hosts[name] = {
            "used": count,
            "slots": member["capacity"]["slots"],
            "utilisation_percent": utilisation(member, count) / 10,
            "hosting": hosting(member),
        }
    return hosts


def agent_view(view: Placements, agent: Any, wanted: Any) -> dict[str, Any] | None:
    """The record with the names of its saved keys, and the values of those that are `wanted`; None when there is no such agent."""
    record = view.get(agent) if isinstance(agent, str) else None
    if record is None:
        return None
    state = view.saved[agent]
    answer = {**record, "keys": sorted(state.data)[:LISTED_KEYS]}
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        answer["values"] = _some(state, wanted)
    return answer


def _some(state: KeyedState, wanted: Sequence[Any]) -> dict[str, Any]:
    """These values, as many as an answer holds."""
    values, left = {}, READ_CHARACTERS
    for key in wanted:
        if isinstance(key, str) and key in state.data:
            left -= state.size(key)
            if left < 0:
                break
            values[key] = state.data[key]
    return values
