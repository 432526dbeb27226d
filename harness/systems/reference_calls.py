"""Operations on agents and tasks, each as a short conversation with one node: it yields bodies of requests, is sent the replies, and returns the outcome.

submit   value: a task's id (`task_name`)              → accepted into the replicated queue
effects                                                → [{"task", "claim"}, …]: the ledger of accepted results, whole, in order
spawn    value: an agent's id, `<name>.<type>`         → {"host", "epoch"}
migrate  value: [agent, node]                          → {"host", "epoch"} once it runs there
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

from .base import Op, Outcome
from .task_name import TaskName

Body = Mapping[str, Any]
Talk = Generator[Body, Body, Outcome]
PAGE = 5000
SETTLED = "settled"


def submit(op: Op) -> Talk:
    reply = yield {"do": "tasks.submit", "with": dict(TaskName.parse(op.value).fields())}
    return _outcome(op, reply, op.value)


def effects(op: Op) -> Talk:
    """A chain's effect is that of its last step: the others are its own business."""
    found: list[Any] = []
    start = 0
    if op.value == SETTLED:
        reply = yield {"view": "tasks", "level": op.level}
        if reply.get("status") != "ok":
            return _outcome(op, reply, None)
        counts = reply["results"][0]
        if counts["queued"] + counts["assigned"]:
            return Outcome("fail", op.value, "unfinished", {"unfinished": counts["queued"] + counts["assigned"]})
    while True:
        view = {"effects": start, "limit": PAGE}
        reply = yield {"view": "tasks", "with": view, "level": op.level}
        if reply.get("status") != "ok":
            return _outcome(op, reply, None)
        page = reply["results"][0]
        if page["from"] > start:
            return Outcome("fail", None, "ledger-forgotten", {"from": page["from"]})
        for task, step, token in page["effects"]:
            if step == TaskName.parse(task).steps:
                found.append({"task": task, "claim": token})
        start = page["next"]
        if start >= page["total"]:
            return _outcome(op, reply, found)


def spawn(op: Op) -> Talk:
    _, _, kind = op.value.partition(".")
    reply = yield {"do": "agents.spawn", "with": {"agent": op.value, "type": kind}, "await": True}
    return _outcome(op, reply, _place(reply))


def migrate(op: Op) -> Talk:
    agent, target = op.value
    reply = yield {"view": "agents", "with": {"agent": agent}, "level": "linearizable"}
    if reply.get("status") != "ok":
        return Outcome("fail", op.value, str(reply.get("error", "refused")))
    record = (reply.get("results") or [None])[0]
    if not isinstance(record, Mapping):
        return Outcome("fail", op.value, "not-found")
    fields = {"agent": agent, "epoch": record["epoch"], "to": target}
    reply = yield {"do": "agents.move", "with": fields, "await": True}
    return _outcome(op, reply, _place(reply))


CALLS: dict[str, Callable[[Op], Talk]] = {"submit": submit, "effects": effects, "spawn": spawn, "migrate": migrate}
CHANGING = ("submit", "spawn", "migrate")
"""Those that may have taken effect when no answer came."""


def _place(reply: Body) -> Mapping[str, Any] | None:
    record = reply.get("record")
    if not isinstance(record, Mapping):
        return None
    return {"host": record.get("host"), "epoch": record.get("epoch"), "awaited": reply.get("awaited")}


def _outcome(op: Op, reply: Body, value: Any) -> Outcome:
    names = {"index": "log_index", "term": "term", "node": "served_by", "network_ns": "network_ns"}
    extra = {to: reply[name] for name, to in names.items() if reply.get(name) is not None}
    status, error = reply.get("status"), reply.get("error")
    if status == "ok":
        return Outcome("ok", value, None, extra)
    doubtful = status != "fail" and op.f in CHANGING
    return Outcome("info" if doubtful else "fail", op.value, str(error or "refused"), extra)
