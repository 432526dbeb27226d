"""Operations on agents, each as a short conversation with one node: it yields bodies of requests, receives the replies, and returns the outcome.

spawn    value: an agent's id, `<name>.<type>`   → {"host", "epoch"}
deploy   value: a list of ids, one command       → {"placed": {id: {"host", "epoch"}}, "refused": {id: error}}
migrate  value: [agent, node]                    → {"host", "epoch"} once it runs there
stop     value: an agent's id                    → once it is gone; also when there was none
pool     value: null, or SETTLED                 → [{"agent", "host", "epoch", "state"}, …], sorted; with SETTLED `fail` while an agent does not run or is on its way
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

from ..base import Op, Outcome

Body = Mapping[str, Any]
Talk = Generator[Body, Body, Outcome]
SETTLED = "settled"


def spawn(op: Op) -> Talk:
    reply = yield {"do": "agents.spawn", "with": _agent(op.value), "await": True}
    return outcome_of(op, reply, _place(reply), changes=True)


def deploy(op: Op) -> Talk:
    reply = yield {"do": "agents.deploy", "with": {"agents": [_agent(agent) for agent in op.value]}, "await": True}
    placed = {agent: {key: place[key] for key in ("host", "epoch")} for agent, place in reply.get("placed", {}).items()}
    refused = {agent: error for agent, (error, _) in reply.get("refused", {}).items()}
    return outcome_of(op, reply, {"placed": placed, "refused": refused}, changes=True)


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
    return outcome_of(op, reply, _place(reply), changes=True)


def stop(op: Op) -> Talk:
    reply = yield {"do": "agents.stop", "with": {"agent": op.value}, "await": True}
    return outcome_of(op, reply, op.value, changes=True)


def pool(op: Op) -> Talk:
    reply = yield {"view": "agents", "level": op.level}
    if reply.get("status") != "ok":
        return outcome_of(op, reply, None, changes=False)
    agents = reply["results"][0]["agents"]
    if op.value == SETTLED:
        unsettled = [a for a, record in sorted(agents.items()) if record["state"] != "running" or record["moving"]]
        if unsettled:
            return Outcome("fail", op.value, "unsettled", {"unsettled": unsettled})
    found = [{"agent": a, **{key: agents[a][key] for key in ("host", "epoch", "state")}} for a in sorted(agents)]
    return outcome_of(op, reply, found, changes=False)


AGENT_CALLS: dict[str, Callable[[Op], Talk]] = {
    "spawn": spawn,
    "deploy": deploy,
    "migrate": migrate,
    "stop": stop,
    "pool": pool,
}
AGENT_CHANGES = ("spawn", "deploy", "migrate", "stop")
"""Operations that may have taken effect when no answer came."""


def outcome_of(op: Op, reply: Body, value: Any, *, changes: bool) -> Outcome:
    """The outcome for a reply. Doubt about an operation that `changes` something is `info`."""
    names = {"index": "log_index", "term": "term", "node": "served_by", "network_ns": "network_ns"}
    extra = {to: reply[name] for name, to in names.items() if reply.get(name) is not None}
    status, error = reply.get("status"), reply.get("error")
    if status == "ok":
        return Outcome("ok", value, None, extra)
    doubtful = status != "fail" and changes
    return Outcome("info" if doubtful else "fail", op.value, str(error or "refused"), extra)


def _agent(name: str) -> Mapping[str, str]:
    """The agent's name and type, from its id."""
    return {"agent": name, "type": name.partition(".")[2]}


def _place(reply: Body) -> Mapping[str, Any] | None:
    record = reply.get("record")
    if not isinstance(record, Mapping):
        return None
    return {"host": record.get("host"), "epoch": record.get("epoch"), "awaited": reply.get("awaited")}
