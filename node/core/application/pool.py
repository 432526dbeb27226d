"""Client views of the application `agents`: the pool of all members' slots, and one agent with its saved state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..records.agent_state import KeyedState, Placements
from ..records.capacity import Record, hosting, utilisation

LISTED_KEYS = 1000
"""Names of saved keys in one answer, at most."""
READ_CHARACTERS = 512 * 1024
"""Characters of values in one answer, at most. The rest is omitted and can be requested again."""


def hosts_view(members: Mapping[str, Record], used: Mapping[str, int]) -> dict[str, Any]:
    """Return, for each member: the `used` ones of its `slots`, the utilisation of its scarcest resource, and whether it accepts agents."""
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
    """Return the record with the names of the saved keys, and the values of the `wanted` ones; None when there is no such agent."""
    record = view.get(agent) if isinstance(agent, str) else None
    if record is None:
        return None
    state = view.saved[agent]
    answer = {**record, "keys": sorted(state.data)[:LISTED_KEYS]}
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        answer["values"] = _some(state, wanted)
    return answer


def _some(state: KeyedState, wanted: Sequence[Any]) -> dict[str, Any]:
    """Return these values, as many as fit in an answer."""
    values, left = {}, READ_CHARACTERS
    for key in wanted:
        if isinstance(key, str) and key in state.data:
            left -= state.size(key)
            if left < 0:
                break
            values[key] = state.data[key]
    return values
