"""The commands of the application `agents`, and the values of their fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...config.cluster import AGENT_TYPES
from ...printable import printable
from ..records.agent_state import key_problem, value_problem

Check = Callable[[Any], "str | None"]


def _name(value: Any) -> str | None:
    good = isinstance(value, str) and 1 <= len(value) <= 64 and printable(value) and "/" not in value
    return None if good else "is not a name of 1-64 printable characters without '/'"


def _name_or_null(value: Any) -> str | None:
    return None if value is None else _name(value)


def _type(value: Any) -> str | None:
    good = isinstance(value, str) and value in AGENT_TYPES
    return None if good else f"is none of {', '.join(AGENT_TYPES)}"


def _number(value: Any) -> str | None:
    return None if type(value) is int and 0 <= value < 1 << 63 else "is not an integer from 0"


def _flag(value: Any) -> str | None:
    return None if type(value) is bool else "is not true or false"


def _changes(value: Any) -> str | None:
    if not isinstance(value, Mapping):
        return "is not an object"
    return next((p for key, v in value.items() if (p := key_problem(key) or value_problem(key, v))), None)


def _gone(value: Any) -> str | None:
    if not isinstance(value, list):
        return "is not a list of keys"
    return next((problem for key in value if (problem := key_problem(key))), None)


def _lost(value: Any) -> str | None:
    good = isinstance(value, Mapping) and list(sorted(map(str, value))) == ["age_ns", "checkpoint"]
    if not good or any(_number(value[name]) for name in ("age_ns", "checkpoint")):
        return 'is not {"checkpoint": number, "age_ns": ns since it}'
    return None


def _agents(value: Any) -> str | None:
    """Check a list of agents to place with one command; names must be unique."""
    if not isinstance(value, list) or not 1 <= len(value) <= DEPLOYED_LIMIT:
        return f"is not a list of 1 to {DEPLOYED_LIMIT} agents"
    seen: dict[str, None] = {}
    for item in value:
        if not isinstance(item, Mapping):
            return f"has {str(item)[:80]!r}, which is not an object with agent, type and perhaps on"
        problem = _fields_problem("an agent in it", _DEPLOYED, item)
        if problem is not None:
            return f"is wrong: {problem}"
        if item["agent"] in seen:
            return f"names {item['agent']} twice"
        seen[item["agent"]] = None
    return None


def _started(value: Any) -> str | None:
    """Describe what is wrong with a mapping by agent of the epoch under which it runs, and how long its start took."""
    good = isinstance(value, Mapping) and len(value) > 0
    for agent, pair in value.items() if good else ():
        good = good and not _name(agent) and isinstance(pair, list) and len(pair) == 2
        good = good and not any(map(_number, pair))
    return None if good else 'is not {"agent": [epoch, ns until it ran], …}'


DEPLOYED_LIMIT = 64
_DEPLOYED: Mapping[str, Check] = {"agent": _name, "type": _type, "on": _name_or_null}
_AGENT: Mapping[str, Check] = {"agent": _name, "epoch": _number}
FIELDS: Mapping[str, Mapping[str, Check]] = {
    "agents.spawn": {"agent": _name, "type": _type, "from": _name_or_null, "on": _name_or_null},
    "agents.deploy": {"agents": _agents, "from": _name_or_null},
    "agents.started": {"agents": _started},
    "agents.checkpoint": {**_AGENT, "number": _number, "changes": _changes, "gone": _gone, "more": _flag},
    "agents.move": {**_AGENT, "to": _name},
    "agents.cancel": {**_AGENT, "since": _number},
    "agents.switch": {**_AGENT, "to": _name, "since": _number},
    "agents.moved": {"agent": _name, "since": _number, "pause_ns": _number},
    "agents.respawn": {**_AGENT, "to": _name, "lost": _lost},
    "agents.stop": {"agent": _name},
}
"""By command: each field with the check of its value."""


def fields_problem(command: str, fields: Mapping[str, Any]) -> str | None:
    """Return the error in the fields of a command, with the field and its value; None when there is none. A field that may be null may also be
    absent.
    """
    return _fields_problem(command, FIELDS[command], fields)


def _fields_problem(command: str, checks: Mapping[str, Check], fields: Mapping[str, Any]) -> str | None:
    for name in fields:
        if name not in checks:
            return f"{command} has no field {str(name)[:80]!r}; its fields are {', '.join(checks)}"
    for name, check in checks.items():
        problem = check(fields.get(name))
        if problem is not None:
            return f"{name} of {command} {problem}: {repr(fields.get(name))[:80]}"
    return None
