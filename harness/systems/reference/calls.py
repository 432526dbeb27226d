"""Operations on tasks (for agents: `agent_calls`; for memory: `memory_calls`), each as a short conversation with one node: it yields bodies of requests, receives the replies, and returns the outcome.

submit   value: a task's id (`task_name`)              → accepted into the replicated queue
effects                                                → [{"task", "claim"}, …]: the ledger of accepted results, whole, in order
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..base import Op, Outcome
from .agent_calls import AGENT_CALLS, AGENT_CHANGES, SETTLED, Talk, outcome_of
from .memory_calls import CHANGES, MEMORY_CALLS
from .task_name import TaskName

PAGE = 5000


def submit(op: Op) -> Talk:
    reply = yield {"do": "tasks.submit", "with": dict(TaskName.parse(op.value).fields())}
    return outcome_of(op, reply, op.value, changes=True)


def effects(op: Op) -> Talk:
    """The ledger of accepted results. A chain's effect is that of its last step only."""
    found: list[Any] = []
    start = 0
    if op.value == SETTLED:
        reply = yield {"view": "tasks", "level": op.level}
        if reply.get("status") != "ok":
            return outcome_of(op, reply, None, changes=False)
        counts = reply["results"][0]
        if counts["queued"] + counts["assigned"]:
            return Outcome("fail", op.value, "unfinished", {"unfinished": counts["queued"] + counts["assigned"]})
    while True:
        view = {"effects": start, "limit": PAGE}
        reply = yield {"view": "tasks", "with": view, "level": op.level}
        if reply.get("status") != "ok":
            return outcome_of(op, reply, None, changes=False)
        page = reply["results"][0]
        if page["from"] > start:
            return Outcome("fail", None, "ledger-forgotten", {"from": page["from"]})
        for task, step, token in page["effects"]:
            if step == TaskName.parse(task).steps:
                found.append({"task": task, "claim": token})
        start = page["next"]
        if start >= page["total"]:
            return outcome_of(op, reply, found, changes=False)


CALLS: dict[str, Callable[[Op], Talk]] = {
    "submit": submit,
    "effects": effects,
    **AGENT_CALLS,
    **MEMORY_CALLS,
}
OPERATIONS = frozenset({"read", "write", "cas", "append", "add", "txn", "send", "poll", *CALLS})
"""All operations of a client of the reference cluster."""
CHANGING = ("submit", *AGENT_CHANGES, *CHANGES)
"""Operations that may have taken effect when no answer came."""
