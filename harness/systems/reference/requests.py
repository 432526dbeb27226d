"""Administrative requests to a node, and what their answers say, in the protocol's words (docs/reference/protocol.md): no connection, and no `id`.

Each sender has its own kind of connection: `questions.py` opens one for each request, `harness/cluster/asking.py` keeps one, and the simulator has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Json = Mapping[str, Any]

STATUS: Json = {"admin": "status"}
DIGEST: Json = {"admin": "digest"}


def set_voters(voters: Mapping[str, int], deadline_ms: int) -> dict[str, Any]:
    return {"admin": "voters", "voters": dict(voters), "deadline_ms": deadline_ms}


def hand_over(to: str, deadline_ms: int) -> dict[str, Any]:
    return {"admin": "transfer", "to": to, "deadline_ms": deadline_ms}


def leave(node: str, deadline_ms: int) -> dict[str, Any]:
    return command("members.leave", {"name": node}, deadline_ms)


def command(name: str, fields: Json, deadline_ms: int, settle: bool = False) -> dict[str, Any]:
    """A command to the cluster. `settle`: answered only when it is done, not when it is recorded."""
    body = {"do": name, "with": dict(fields), "deadline_ms": deadline_ms}
    return {**body, "await": True} if settle else body


def view(name: str, fields: Json, level: str, deadline_ms: int) -> dict[str, Any]:
    """The state of a replicated application."""
    return {"view": name, "with": dict(fields), "level": level, "deadline_ms": deadline_ms}


def milliseconds(left_s: float) -> int:
    """A deadline in the protocol's unit, never zero."""
    return max(1, int(1000 * left_s))


def is_ok(answer: Json | None) -> bool:
    return answer is not None and answer.get("status") == "ok"


_IN_STATUS: Mapping[str, type] = {
    "node": str,
    "role": str,
    "term": int,
    "commit": int,
    "last_index": int,
    "torn": bool,
    "voters": Mapping,
}


def report_of(answer: Json | None) -> Json | None:
    """The report in an answer to `STATUS`; None where there is none, as of a node that is busy, or of a program that is not a node."""
    if answer is None or not is_ok(answer) or not isinstance(answer.get("leader"), str | None):
        return None
    if not all(isinstance(answer.get(name), kind) for name, kind in _IN_STATUS.items()):
        return None
    return answer if all(isinstance(weight, int) for weight in answer["voters"].values()) else None


def reported_leader(answers: Iterable[Json | None]) -> str | None:
    """The leader in the highest term, by its own report among the nodes' answers to `STATUS`."""
    mine = [
        (report["term"], report["node"])
        for report in map(report_of, answers)
        if report is not None and report["leader"] == report["node"]
    ]
    return max(mine)[1] if mine else None
