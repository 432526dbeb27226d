"""Operations on agent memory (docs/concepts/memory.md), each one request to one node. The key is `<kind>/<record>`.

learn          value: {"kind", "record", "fields"}     → acknowledged as its level says
forget         value: {"kind", "record"}               → the same
recall                                                 → {"fields", "conflicts"}, or null where there is no such record
memory-digest                                          → {"digest", "live"}: of all that the node holds
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

from ..base import Op, Outcome

Body = Mapping[str, Any]
Talk = Generator[Body, Body, Outcome]


def learn(op: Op) -> Talk:
    reply = yield {"memory": "change", **op.value, "level": op.level}
    return _outcome(op, reply, op.value)


def forget(op: Op) -> Talk:
    reply = yield {"memory": "delete", **op.value, "level": op.level}
    return _outcome(op, reply, op.value)


def recall(op: Op) -> Talk:
    kind, _, record = op.key.partition("/")
    reply = yield {"memory": "get", "kind": kind, "record": record, "level": op.level}
    return _outcome(op, reply, reply.get("record"))


def memory_digest(op: Op) -> Talk:
    reply = yield {"memory": "digest"}
    return _outcome(op, reply, {"digest": reply.get("digest"), "live": reply.get("live")})


MEMORY_CALLS: dict[str, Callable[[Op], Talk]] = {
    "learn": learn,
    "forget": forget,
    "recall": recall,
    "memory-digest": memory_digest,
}
CHANGES = ("learn", "forget")


def _outcome(op: Op, reply: Body, value: Any) -> Outcome:
    names = {"node": "served_by", "dot": "dot", "w": "ts"}
    if op.f in CHANGES:
        # Where the log has it. What a read saw was more than the log.
        names |= {"index": "log_index", "term": "term"}
    extra = {to: reply[name] for name, to in names.items() if reply.get(name) is not None}
    status, error = reply.get("status"), reply.get("error")
    if status == "ok":
        return Outcome("ok", value, None, extra)
    doubtful = status != "fail" and op.f in CHANGES
    return Outcome("info" if doubtful else "fail", op.value, str(error or "refused"), extra)
