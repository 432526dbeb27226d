"""The application `tasks`: which tasks exist, which attempt may record a result, and the ledger of recorded effects.

    tasks.submit  {task type handler payload size strategy priority from steps}    → queued
    tasks.assign  {task attempt agent epoch}     → assigned, with a token: the index of this entry
    tasks.result  {task token epoch ok value}    → the next step queued, or done; not ok: queued again, or dead
    tasks.release {task token}                   → queued again; no retry is counted

The effect of a step is the acceptance of its result *here*: one more row `[task, step, token]` of the ledger. A task may run more than once, because
its host may fail before it reports. Its effect is recorded once: a result is accepted only from the newest token, and that uses up the token (a
fencing token: Kleppmann, *Designing Data-Intensive Applications*, chapter 8).

A chain is a task with further steps. When a step is done, the next one, `{type, handler, payload}`, is queued in its place with the value of the
former as `payload["input"]`. Retries count from zero again; attempts continue. The queue's order is priority, greater first, then the index of
submission.

Everything is bounded: `max_queue` tasks and `QUEUE_BYTES` of payloads unfinished; `FINISHED_LIMIT` finished tasks and `FINISHED_BYTES` of their
records, the oldest forgotten first (a forgotten id may be submitted again); `LEDGER_LIMIT` rows, the oldest tenth forgotten at a time. Forgotten
tasks and rows are counted. Records that no longer change are also kept as text, so that a dump of a long history is mostly a list of texts.
`max_queue` and `max_retries` come with the submission, from the configuration of the node that took it. So all nodes use the same bounds, whatever
their own configuration.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ...config.node import NodeConfig
from ...flaws.switch import Flaws
from ..interface.entry import canonical
from ..records import task_fields
from ..records.task_fields import ASSIGNED, DEAD, DONE, QUEUED, STATES, queue_order
from .replicated import Fields, done, refused, text_digest
from .sessions import Result

QUEUE_BYTES = 64 << 20
FINISHED_LIMIT = 20_000
FINISHED_BYTES = 32 << 20
LEDGER_LIMIT = 100_000
SEALED_ROWS = 1000
"""Rows of the ledger in one text; `LEDGER_LIMIT` is a multiple of ten times this number."""
REASON_LIMIT = 500
Record = dict[str, Any]


class Tasks:
    """State of the application. `agents_view` is the present state of the application `agents`, by agent."""

    name = "tasks"
    commands = ("tasks.submit", "tasks.assign", "tasks.result", "tasks.release")
    for_clients = ("tasks.submit",)
    sent_once = ()

    def __init__(self, config: NodeConfig, agents_view: Mapping[str, Any]) -> None:
        self._flaws = Flaws.from_names(config.flaws)
        self._agents = agents_view
        self.view: dict[str, Record] = {}
        """Records by id. A record is replaced, never changed."""
        self.fresh: dict[str, None] = {}
        self._ledger: list[list[Any]] = []
        self._sealed: list[str] = []
        self._clear()

    def problem(self, command: str, fields: Fields) -> str | None:
        return task_fields.problem(command, fields)

    def apply(self, index: int, command: str, fields: Fields) -> Result:
        if command == "tasks.submit":
            return self._submit(index, fields)
        record = self.view.get(fields["task"])
        if record is None:
            return refused("not-found", f"there is no task {fields['task']!r}")
        if command == "tasks.assign":
            return self._assign(index, record, fields)
        if command == "tasks.result":
            return self._result(index, record, fields)
        return self._release(index, record, fields)

    def query(self, fields: Fields) -> Any:
        """Answer a query. `{"task": id}`: return the task's record, or None. `{"state": …, "limit": n}`: return summaries of the tasks in that state.
        Queued tasks are in the order of the queue, others in the order of submission; `dead` tasks are the dead letters.

        `{"effects": n}`: return a page of the ledger from row `n` on, counted from the first row ever written: `{"effects": [[task, step, token], …],
        "from", "next", "total"}`. `{}`: return counts.
        """
        problem = task_fields.query_problem(fields)
        if problem is not None:
            return {"error": "bad-request", "message": problem}
        if "task" in fields:
            return self.view.get(fields["task"])
        if "effects" in fields:
            return self._page(fields["effects"], fields.get("limit", task_fields.PAGE))
        if "state" in fields:
            return self._list(fields["state"], fields.get("limit", task_fields.PAGE))
        return {**self._counts, "effects": self._ledger_forgotten + len(self._ledger), "forgotten": self._forgotten}

    def dump(self) -> Any:
        sealed = len(self._sealed) * SEALED_ROWS
        ledger = [*self._sealed, canonical(self._ledger[sealed:])]
        return {
            "open": {id_: record for id_, record in self.view.items() if id_ not in self._finished},
            "finished": list(self._finished.values()),
            "ledger": [canonical([])] if self._flaws.ledger_not_in_snapshot else ledger,
            "ledger_forgotten": self._ledger_forgotten,
            "forgotten": self._forgotten,
        }

    def digest(self) -> str:
        return text_digest(canonical(self.dump()))

    def restore(self, data: Any) -> None:
        self.fresh.update(dict.fromkeys(self.view))
        self._clear()
        if data is None:
            return
        for text in data["ledger"]:
            self._ledger += json.loads(text)
        self._sealed = data["ledger"][:-1]
        self._ledger_forgotten, self._forgotten = data["ledger_forgotten"], data["forgotten"]
        for id_, record in data["open"].items():
            self._add(id_, record)
        for text in data["finished"]:
            id_, record = json.loads(text)
            self._add(id_, record)
            self._finished[id_] = text
            self._finished_bytes += len(text)
        self.fresh.update(dict.fromkeys(self.view))

    def _clear(self) -> None:
        self.view.clear()
        self._counts = dict.fromkeys(STATES, 0)
        self._queue_bytes = 0
        self._finished: dict[str, str] = {}
        """Id → text of id and record, in the order in which they ended."""
        self._finished_bytes = 0
        self._forgotten = 0
        self._ledger, self._sealed = [], []
        self._ledger_forgotten = 0

    def _submit(self, index: int, fields: Fields) -> Result:
        """Submit a task. The same task again is answered with its present record, because a client repeats a request whose outcome is unknown."""
        submission, limits = task_fields.normal(fields), task_fields.limits(fields)
        text = canonical(submission)
        digest = hashlib.sha256(text.encode("ascii")).hexdigest()[:16]
        id_ = submission.pop("task")
        known = self.view.get(id_)
        if known is not None:
            if known["digest"] == digest:
                return done(task=id_, state=known["state"], submitted=known["submitted"])
            return refused("conflict", f"task {id_!r} was submitted with other fields, at index {known['submitted']}")
        unfinished = self._counts[QUEUED] + self._counts[ASSIGNED]
        if unfinished >= limits["max_queue"]:
            return refused("busy", f"{unfinished} tasks are not finished, and there may be {limits['max_queue']}")
        record: Record = {
            **submission,
            "max_retries": limits["max_retries"],
            **dict.fromkeys(("token", "agent", "epoch", "host", "value", "reason", "finished")),
            **dict.fromkeys(("step", "attempt", "retries"), 0),
            "state": QUEUED,
            "submitted": index,
            "digest": digest,
        }
        if self._queue_bytes + _queue_bytes(record) > QUEUE_BYTES:
            return refused("busy", f"payloads of {self._queue_bytes} bytes wait, and there may be {QUEUE_BYTES}")
        self._put(id_, None, record)
        return done(task=id_, state=QUEUED, submitted=index)

    def _assign(self, index: int, record: Record, fields: Fields) -> Result:
        id_, name, epoch = fields["task"], fields["agent"], fields["epoch"]
        if record["state"] != QUEUED:
            return refused("not-queued", f"task {id_!r} is {record['state']}", state=record["state"])
        attempt = record["attempt"] + 1
        if fields["attempt"] != attempt:
            return refused("stale-attempt", f"the next attempt of task {id_!r} is {attempt}, not {fields['attempt']}")
        agent = self._agents.get(name)
        if agent is None:
            return refused("not-found", f"there is no agent {name!r}")
        if agent["type"] != record["type"]:
            return refused("wrong-type", f"agent {name!r} is {agent['type']}, and task {id_!r} needs {record['type']}")
        if agent["epoch"] != epoch:
            return refused("stale-epoch", f"agent {name!r} is at epoch {agent['epoch']}, not {epoch}")
        grant = {"agent": name, "epoch": epoch, "host": agent["host"], "token": index}
        self._put(id_, record, {**record, **grant, "state": ASSIGNED, "attempt": attempt, "reason": None})
        return done(task=id_, **grant)

    def _result(self, index: int, record: Record, fields: Fields) -> Result:
        id_, token = fields["task"], fields["token"]
        if not self._flaws.result_without_token_check:
            refusal = self._stale(record, fields)
            if refusal is not None:
                return refusal
        if not fields["ok"]:
            return self._failed(index, record, fields)
        step = record["step"]
        self._record_effect([id_, step, token])
        if step < len(record["steps"]):
            following = record["steps"][step]
            payload = {**following["payload"], "input": fields["value"]}
            work = {"type": following["type"], "handler": following["handler"], "payload": payload}
            self._put(id_, record, {**record, **work, **_FREE, "step": step + 1, "retries": 0, "reason": None})
        else:
            ended = {"state": DONE, "value": fields["value"], "reason": None, "finished": index}
            self._put(id_, record, {**record, **ended})
        return done(task=id_, step=step, token=token, state=self.view[id_]["state"], effect=True)

    def _stale(self, record: Record, fields: Fields) -> Result | None:
        """Return why this result may not be recorded: its token or epoch is outdated. None when it may."""
        id_, token, epoch = fields["task"], fields["token"], fields["epoch"]
        if record["state"] != ASSIGNED or record["token"] != token:
            message = (
                f"token {token} of task {id_!r} is void: it is {record['state']}, its newest token {record['token']}"
            )
            return refused("stale-token", message, token=record["token"], state=record["state"])
        agent = self._agents.get(record["agent"])
        at = (agent["epoch"], agent["host"]) if agent is not None else (None, None)
        if at != (epoch, record["host"]) or epoch != record["epoch"]:
            message = (
                f"agent {record['agent']!r} is at epoch {at[0]} on {at[1]!r}, not at {epoch} on {record['host']!r}"
            )
            return refused("stale-epoch", message, epoch=at[0])
        return None

    def _failed(self, index: int, record: Record, fields: Fields) -> Result:
        """Queue the task again with the reason, which makes the leader wait for the back-off; or give it up."""
        id_, value = fields["task"], fields["value"]
        reason = (value if isinstance(value, str) else canonical(value))[:REASON_LIMIT]
        if self._flaws.failed_task_counts_as_done:
            self._put(id_, record, {**record, "state": DONE, "reason": reason, "finished": index})
        elif record["retries"] < record["max_retries"]:
            again = {**_FREE, "retries": record["retries"] + 1, "reason": reason}
            self._put(id_, record, {**record, **again})
        else:
            self._put(id_, record, {**record, "state": DEAD, "reason": reason, "finished": index})
        return done(task=id_, step=record["step"], token=fields["token"], state=self.view[id_]["state"])

    def _release(self, index: int, record: Record, fields: Fields) -> Result:
        id_, token = fields["task"], fields["token"]
        if record["state"] != ASSIGNED or record["token"] != token:
            return refused("stale-token", f"task {id_!r} is {record['state']}, its newest token {record['token']}")
        freed = {**_FREE, "reason": None}
        if self._flaws.lost_worker_acknowledged:
            freed = {"state": DONE, "finished": index}
        self._put(id_, record, {**record, **freed})
        return done(task=id_, token=token, state=self.view[id_]["state"])

    def _put(self, id_: str, before: Record | None, record: Record) -> None:
        """Replace a record, and update the counts."""
        if before is not None:
            self._counts[before["state"]] -= 1
            self._queue_bytes -= _queue_bytes(before)
        if record["state"] in (DONE, DEAD):
            record["payload"], record["steps"] = {}, []
        self._add(id_, record)
        self.fresh[id_] = None
        if record["state"] in (DONE, DEAD):
            self._file_finished(id_, canonical([id_, record]))

    def _add(self, id_: str, record: Record) -> None:
        self.view[id_] = record
        self._counts[record["state"]] += 1
        self._queue_bytes += _queue_bytes(record)

    def _file_finished(self, id_: str, text: str) -> None:
        self._finished_bytes += len(text) - len(self._finished.get(id_, ""))
        self._finished[id_] = text
        while len(self._finished) > FINISHED_LIMIT or self._finished_bytes > FINISHED_BYTES:
            oldest = next(iter(self._finished))
            self._finished_bytes -= len(self._finished.pop(oldest))
            self._counts[self.view.pop(oldest)["state"]] -= 1
            self.fresh[oldest] = None
            self._forgotten += 1

    def _record_effect(self, row: list[Any]) -> None:
        self._ledger.append(row)
        if len(self._ledger) % SEALED_ROWS == 0:
            self._sealed.append(canonical(self._ledger[-SEALED_ROWS:]))
        if len(self._ledger) > LEDGER_LIMIT:
            gone = LEDGER_LIMIT // 10
            del self._ledger[:gone]
            del self._sealed[: gone // SEALED_ROWS]
            self._ledger_forgotten += gone

    def _page(self, start: int, limit: int) -> Result:
        first = max(start - self._ledger_forgotten, 0)
        rows = self._ledger[first : first + limit]
        begin = self._ledger_forgotten + first
        total = self._ledger_forgotten + len(self._ledger)
        return {"effects": rows, "from": begin, "next": begin + len(rows), "total": total}

    def _list(self, state: str, limit: int) -> list[Record]:
        chosen = [(id_, record) for id_, record in self.view.items() if record["state"] == state]
        chosen.sort(key=lambda item: queue_order(item[1]) if state == QUEUED else (0, item[1]["submitted"]))
        return [{"task": id_, **{name: record[name] for name in _SUMMARY}} for id_, record in chosen[:limit]]


_FREE: Record = {"state": QUEUED, "agent": None, "epoch": None, "host": None}
"""Fields of a task that is assigned to no agent. Its token stays: the newest that was granted."""
_SUMMARY = ("type", "handler", "priority", "state", "step", "attempt", "retries", "token", "agent", "host", "reason")


def _queue_bytes(record: Mapping[str, Any]) -> int:
    """Bytes of the queue that an unfinished task uses: payload and steps as submitted."""
    return 0 if record["state"] in (DONE, DEAD) else int(record["bytes"])
