"""Fields of the commands and queries of `tasks`: their validation independent of the state, and their defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...config.cluster import AGENT_TYPES, STRATEGIES, AgentsConfig
from ...printable import printable
from ..interface.entry import canonical

PAYLOAD_LIMIT = 64 << 10
"""Bytes of canonical JSON: payload and steps of a task together, and the value of a result."""
STEP_LIMIT = 64
NAME_LIMIT = 64
LOSSES_LIMIT = 8
"""Attempts that may be lost with their hosts. Beyond it the task is assumed to end them, and no host begins it again."""
PAGE = 5000
"""Rows in an answer, at most, so that it fits in a frame."""
QUEUED, ASSIGNED, DONE, DEAD = STATES = ("queued", "assigned", "done", "dead")
_HUGE = 1 << 53

Check = Callable[[Any], "str | None"]


def problem(command: str, fields: Mapping[str, Any]) -> str | None:
    required, optional = _COMMANDS[command]
    found = _shape(fields, required, optional)
    if found is None and command == "tasks.submit":
        found = _work(fields)
    return found


def query_problem(fields: Mapping[str, Any]) -> str | None:
    found = _shape(fields, {}, {"task": name, "state": _choice(STATES), "effects": count, "limit": _between(1, PAGE)})
    if found is None and sum(key in fields for key in ("task", "state", "effects")) > 1:
        return "task, state and effects are three questions: ask one"
    return found


def normal(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a submission with all defaults filled in, and `bytes`: the size of its payload and steps as text."""
    payload, steps = fields.get("payload", {}), fields.get("steps", [])
    steps = [{"type": s["type"], "handler": s["handler"], "payload": s.get("payload", {})} for s in steps]
    length = len(canonical(payload))
    return {
        "task": fields["task"],
        "type": fields["type"],
        "handler": fields["handler"],
        "payload": payload,
        "size": fields.get("size", length),
        "strategy": fields.get("strategy", STRATEGIES[0]),
        "priority": fields.get("priority", 0),
        "from": fields.get("from"),
        "steps": steps,
        "bytes": length + len(canonical(steps)),
    }


def limits(fields: Mapping[str, Any]) -> dict[str, int]:
    """Return the bounds of a submission. They are not part of the client's request: another node may give other bounds to the same task."""
    default = AgentsConfig()
    return {
        "max_queue": fields.get("max_queue", default.queue),
        "max_retries": fields.get("max_retries", default.retries),
    }


def losses(record: Mapping[str, Any]) -> int:
    """Return how many attempts of an assigned task ended without a result or a failure, at least: their host was lost, or their agent moved.

    It is derived from what the log counts anyway, so nodes of an earlier release hold the same state. Failures of earlier steps are not remembered
    one by one; the largest possible number of them is subtracted.
    """
    known: int = 1 + record["retries"] + record["step"] * (1 + record["max_retries"])
    return max(0, int(record["attempt"]) - known)


def queue_order(record: Mapping[str, Any]) -> tuple[int, int]:
    """Sort key of queued tasks: greater priority first, then earlier submission."""
    return (-record["priority"], record["submitted"])


def name(value: Any) -> str | None:
    if isinstance(value, str) and 0 < len(value) <= NAME_LIMIT and printable(value):
        return None
    return f"not a name of 1 to {NAME_LIMIT} printable characters"


def count(value: Any) -> str | None:
    return None if type(value) is int and 0 <= value <= _HUGE else f"not an integer 0..{_HUGE}"


def _boolean(value: Any) -> str | None:
    return None if type(value) is bool else "not true or false"


def _object(value: Any) -> str | None:
    return None if isinstance(value, Mapping) else "not an object"


def _between(low: int, high: int) -> Check:
    return lambda value: None if type(value) is int and low <= value <= high else f"not an integer {low}..{high}"


def _choice(choices: tuple[str, ...]) -> Check:
    return lambda value: None if isinstance(value, str) and value in choices else f"not one of {', '.join(choices)}"


def _no_one_or_name(value: Any) -> str | None:
    return None if value is None else name(value)


def value_problem(value: Any) -> str | None:
    """Return why this cannot be the value of a result."""
    return _text_problem(value, "it")


def _steps(value: Any) -> str | None:
    if not isinstance(value, (list, tuple)) or len(value) > STEP_LIMIT:
        return f"not a list of at most {STEP_LIMIT} steps"
    for number, step in enumerate(value, 1):
        found = _shape(step, _STEP, {"payload": _object}) if isinstance(step, Mapping) else "not an object"
        if found is not None:
            return f"wrong at step {number}: {found}"
    return None


def _text_problem(value: Any, what: str) -> str | None:
    try:
        length = len(canonical(value))
    except (TypeError, ValueError, RecursionError) as error:
        return f"no JSON: {error}"
    return None if length <= PAYLOAD_LIMIT else f"too large: {what} has {length} bytes, and may have {PAYLOAD_LIMIT}"


def _work(fields: Mapping[str, Any]) -> str | None:
    found = _text_problem([fields.get("payload", {}), fields.get("steps", [])], "with the steps it")
    return None if found is None else f"payload is {found}"


def _shape(fields: Mapping[str, Any], required: Mapping[str, Check], optional: Mapping[str, Check]) -> str | None:
    for key in required:
        if key not in fields:
            return f"{key} is missing; it needs {', '.join(required)}"
    for key, value in fields.items():
        check = required.get(key) or optional.get(key)
        if check is None:
            return f"{str(key)[:80]} is not a field; the fields are {', '.join((*required, *optional))}"
        found = check(value)
        if found is not None:
            return f"{key} is {_short(value)}, {found}"
    return None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "…"


_TYPE = _choice(AGENT_TYPES)
_STEP: Mapping[str, Check] = {"type": _TYPE, "handler": name}
_SUBMIT: Mapping[str, Check] = {
    "payload": _object,
    "size": count,
    "strategy": _choice(STRATEGIES),
    "priority": _between(-1_000_000, 1_000_000),
    "from": _no_one_or_name,
    "steps": _steps,
    "max_queue": _between(1, 1_000_000),
    "max_retries": _between(0, 100),
}
_COMMANDS: Mapping[str, tuple[Mapping[str, Check], Mapping[str, Check]]] = {
    "tasks.submit": ({"task": name, "type": _TYPE, "handler": name}, _SUBMIT),
    "tasks.assign": ({"task": name, "attempt": count, "agent": name, "epoch": count}, {}),
    "tasks.result": ({"task": name, "token": count, "epoch": count, "ok": _boolean, "value": value_problem}, {}),
    "tasks.release": ({"task": name, "token": count}, {}),
}
