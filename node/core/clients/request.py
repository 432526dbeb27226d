"""Parsing of a client's request (docs/reference/protocol.md). Pure; every refusal names the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Protocol

from ...bounded import id_problem
from ...config.cluster import AgentsConfig
from ..interface.entry import canonical
from ..interface.value import frozen
from ..records.commands import LENGTHS

DEADLINE_MS = 5_000
DEADLINE_LIMIT_MS = 60_000
OPS_LIMIT = 256
COMMAND_CHARACTERS = 128 * 1024
"""Characters of the canonical text of one transaction, at most, so that a batch of entries stays well below a frame."""
LONGEST_ESCAPE = 12
"""Characters that one character of a text takes as JSON, at most: two escaped surrogates."""
LEVELS = ("linearizable", "sequential", "stale")
ADMINS = ("status", "digest", "transfer", "voters", "trace-marker")
VIEW = "view"
FROM_HERE = ("agents.spawn", "agents.deploy", "tasks.submit")
"""Commands whose field `from` defaults to the node that received the request: routing depends on where a request came in."""
_INT64 = 1 << 63


class Kind(Enum):
    OPEN = "open"
    WRITE = "write"
    READ = "read"
    CALL = "call"
    ADMIN = "admin"


class Calls(Protocol):
    """Requests of the replicated applications: `for_clients` are their commands, `sent_once` those that may not take effect twice, `names` the
    applications' names.
    """

    @property
    def for_clients(self) -> Sequence[str]: ...

    @property
    def sent_once(self) -> Sequence[str]: ...

    @property
    def names(self) -> Sequence[str]: ...

    def problem(self, command: Any, fields: Any) -> str | None: ...


class NoCalls:
    """Requests of a plain node, which has no replicated application beyond the key-value store."""

    for_clients: Sequence[str] = ()
    sent_once: Sequence[str] = ()
    names: Sequence[str] = ()

    def problem(self, command: Any, fields: Any) -> str | None:
        return f"there is no command {_short(command)}"


@frozen
class ClientRequest:
    """A parsed request. `admin` names the administrative request; `body` is the whole request, for its further fields. `call` is a command of a
    replicated application. `awaits`: the answer waits for the effect of the command.
    """

    kind: Kind
    id: Any
    deadline_ms: int
    level: str = "linearizable"
    session: int = 0
    seq: int = 0
    seen: int = 0
    ops: tuple[Any, ...] = ()
    admin: str = ""
    body: Mapping[str, Any] | None = None
    call: tuple[str, Mapping[str, Any]] | None = None
    awaits: bool = False


NO_CALLS = NoCalls()


def parse(
    body: Mapping[str, Any], calls: Calls = NO_CALLS, me: str = "", limits: AgentsConfig | None = None
) -> ClientRequest:
    """Parse a request. `limits`: this node's bounds for tasks. Raises ValueError with a sentence that names the field and shows its value."""
    if not isinstance(body, Mapping):
        raise ValueError(f"the request is {_short(body)}, not an object")
    id_ = body.get("id")
    problem = id_problem(id_)
    if problem is not None:
        raise ValueError(problem)
    deadline_ms = _integer(body, "deadline_ms", DEADLINE_MS, 1, DEADLINE_LIMIT_MS)
    if "admin" in body:
        if body["admin"] not in ADMINS:
            raise ValueError(f"admin is {_short(body['admin'])}, not one of {', '.join(ADMINS)}")
        return ClientRequest(Kind.ADMIN, id_, deadline_ms, admin=body["admin"], body=body)
    if body.get("open") is True:
        return ClientRequest(Kind.OPEN, id_, deadline_ms)
    if "do" in body:
        return _call(body, id_, deadline_ms, calls, me, limits)
    level = body.get("level", "linearizable")
    if level not in LEVELS:
        raise ValueError(f"level is {_short(level)}, not one of {', '.join(LEVELS)}")
    ops = _view(body, calls) if "view" in body else _ops(body.get("ops"))
    seen = _integer(body, "seen", 0, 0, _INT64)
    if all(op[0] in ("r", VIEW) for op in ops):
        session, seq = _integer(body, "session", 0, 0, _INT64), _integer(body, "seq", 0, 0, _INT64)
        return ClientRequest(Kind.READ, id_, deadline_ms, level, session, seq, seen, ops)
    session, seq = _integer(body, "session", None, 1, _INT64), _integer(body, "seq", None, 1, _INT64)
    return ClientRequest(Kind.WRITE, id_, deadline_ms, level, session, seq, seen, ops)


def _call(
    body: Mapping[str, Any], id_: Any, deadline_ms: int, calls: Calls, me: str, limits: AgentsConfig | None
) -> ClientRequest:
    command, fields = body["do"], body.get("with", {})
    if command in FROM_HERE and isinstance(fields, dict):
        fields = {"from": me, **fields}
        if command == "tasks.submit" and limits is not None:
            # They go into the log with the request, so that every node counts alike. A client may choose the retries, but not a longer
            # queue.
            fields = {"max_retries": limits.retries, **fields, "max_queue": limits.queue}
    if command not in calls.for_clients:
        known = ", ".join(calls.for_clients) or "none: this node has no `membership` section"
        raise ValueError(f"do is {_short(command)}, not one of {known}")
    if type(body.get("await", False)) is not bool:
        raise ValueError(f"await is {_short(body['await'])}, not true or false")
    problem = calls.problem(command, fields)
    if problem is not None:
        raise ValueError(f"with: {problem}")
    _fitting(fields, "with")
    return ClientRequest(
        Kind.CALL, id_, deadline_ms, call=(command, fields), awaits=body.get("await", False), body={"do": command}
    )


def _view(body: Mapping[str, Any], calls: Calls) -> tuple[Any, ...]:
    name, fields = body["view"], body.get("with", {})
    if name not in calls.names:
        known = ", ".join(calls.names) or "none: this node has no `membership` section"
        raise ValueError(f"view is {_short(name)}, not one of {known}")
    if not isinstance(fields, dict):
        raise ValueError(f"with is {_short(fields)}, not an object")
    return ((VIEW, name, fields),)


def _ops(ops: Any) -> tuple[Any, ...]:
    if not isinstance(ops, list) or not 1 <= len(ops) <= OPS_LIMIT:
        raise ValueError(f"ops is {_short(ops)}, not a list of 1-{OPS_LIMIT} micro-operations")
    for position, op in enumerate(ops):
        if not isinstance(op, list) or not op or not isinstance(op[0], str) or op[0] not in LENGTHS:
            raise ValueError(f"ops[{position}] is {_short(op)}, not r, w, append or cas")
        if len(op) != LENGTHS[op[0]]:
            raise ValueError(f"ops[{position}] is {_short(op)}: {op[0]} has {LENGTHS[op[0]] - 1} operands")
        if not isinstance(op[1], str):
            raise ValueError(f"ops[{position}] has the key {_short(op[1])}, not a string")
    if not _plainly_fitting(ops):
        _fitting(ops, "ops")
    return tuple(ops)


def _plainly_fitting(ops: list[Any]) -> bool:
    """Return whether the operands are texts, integers, booleans and nulls that fit in any encoding. Nearly all are, and need not be encoded to know it."""
    characters = 16 * len(ops)
    for op in ops:
        for value in op:
            kind = type(value)
            if kind is str:
                characters += LONGEST_ESCAPE * len(value) + 3
            elif kind is int:
                characters += 20
                if not -_INT64 <= value < _INT64:
                    return False
            elif value is None or kind is bool:
                characters += 6
            else:
                return False
    return characters <= COMMAND_CHARACTERS


def _fitting(value: Any, field: str) -> None:
    try:
        size = len(canonical(value))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{field} is not plain JSON: {error}") from None
    if size > COMMAND_CHARACTERS:
        raise ValueError(f"{field} is {size} characters as JSON, more than {COMMAND_CHARACTERS}")


def _integer(body: Mapping[str, Any], name: str, default: int | None, low: int, high: int) -> int:
    value = body.get(name)
    if value is None and default is not None:
        return default
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name} is {_short(value)}, not an integer {low}..{high}")
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "…"
