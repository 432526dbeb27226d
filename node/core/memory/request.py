"""Parsing of a client's request about agent memory. Pure; every refusal names the field.

{"id": 1, "memory": "change", "kind": "episode", "record": "e1", "fields": {"goal": "…"}, "level": "eventual", "deadline_ms": 5000}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...bounded import id_problem
from ..interface.value import frozen
from .records.schema import KINDS, fields_problem, record_problem

DEADLINE_MS = 5_000
DEADLINE_LIMIT_MS = 60_000
LEVELS = ("eventual", "quorum", "linearizable")
OPERATIONS = ("change", "delete", "get", "list", "digest", "sync")
_CHANGES = ("change", "delete")
QUORUM = (*_CHANGES, "get")
"""Requests that can have the level `quorum`."""


@frozen
class MemoryRequest:
    id: Any
    operation: str
    deadline_ms: int
    level: str
    kind: str = ""
    record: str = ""
    fields: Mapping[str, Any] | None = None
    peer: str | None = None
    """The peer to sync from; None: the next in turn."""


def by_the_log(body: Mapping[str, Any]) -> bool:
    """Return whether this is a command of the replicated application rather than a request to this node's memory."""
    return body.get("level") == "linearizable" and body.get("memory") in _CHANGES


def command_of(body: Mapping[str, Any], op: str) -> tuple[str, dict[str, Any]]:
    """Return the command of the replicated application for such a request; for other requests, a command that does not exist. `op` identifies the
    command, unless the client gave its own.
    """
    names = ("kind", "record", "fields", "op") if body["memory"] == "change" else ("kind", "record", "op")
    return f"memory.{body['memory']}", {"op": op, **{name: body[name] for name in names if name in body}}


def parse(body: Mapping[str, Any]) -> MemoryRequest:
    """Parse a request. Raises ValueError with a sentence that names the field and shows its value."""
    id_, operation = body.get("id"), body["memory"]
    problem = id_problem(id_)
    if problem is not None:
        raise ValueError(problem)
    if operation not in OPERATIONS:
        raise ValueError(f"memory is {_short(operation)}, not one of {', '.join(OPERATIONS)}")
    deadline_ms = body.get("deadline_ms", DEADLINE_MS)
    if type(deadline_ms) is not int or not 1 <= deadline_ms <= DEADLINE_LIMIT_MS:
        raise ValueError(f"deadline_ms is {_short(deadline_ms)}, not an integer 1..{DEADLINE_LIMIT_MS}")
    level = body.get("level", "eventual")
    if level not in LEVELS:
        raise ValueError(f"level is {_short(level)}, not one of {', '.join(LEVELS)}")
    if level == "quorum" and operation not in QUORUM:
        what = f"{operation} is answered by this node alone; only {', '.join(QUORUM)} have that level"
        raise ValueError(f"level is 'quorum', and {what}")
    if operation == "sync":
        peer = body.get("from")
        if peer is not None and not isinstance(peer, str):
            raise ValueError(f"from is {_short(peer)}, not the name of a node")
        return MemoryRequest(id_, operation, deadline_ms, level, peer=peer)
    if operation == "digest":
        return MemoryRequest(id_, operation, deadline_ms, level)
    kind = body.get("kind")
    if operation == "list":
        if kind not in KINDS:
            raise ValueError(f"kind is {_short(kind)}, not one of {', '.join(KINDS)}")
        return MemoryRequest(id_, operation, deadline_ms, level, kind)
    fields = body.get("fields") if operation == "change" else None
    problem = record_problem(kind, body.get("record"))
    if problem is None and operation == "change":
        problem = fields_problem(str(kind), fields)
    if problem is not None:
        raise ValueError(problem)
    return MemoryRequest(id_, operation, deadline_ms, level, str(kind), str(body["record"]), fields)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "…"
