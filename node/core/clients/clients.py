"""Client requests from arrival to answer: routed to this node's Raft, to the leader, or to the local state.

The machine learns of a new leader only from `LeaderChanged`, and of applied entries only from `Applied` and `Restore`. A command that may have been
appended anywhere is never answered with `fail`, except by the state machine itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...bounded import reply_id
from ...config.node import MS, NodeConfig, weights_problem
from ...flaws.switch import Flaws
from ..interface.events import ClientGone, Connected, Disconnected, Request
from ..interface.machine import Machine
from ..interface.messages import Forward, ForwardReply, Message
from ..interface.outbox import Outbox
from ..interface.signals import (
    AdminDone,
    Answer,
    Applied,
    Changed,
    LeaderChanged,
    Measured,
    NotProposed,
    Proposed,
    Query,
    QuorumLost,
    QuorumRegained,
    ReadFailed,
    ReadReady,
    ReadRequest,
    Restore,
)
from . import replies
from .awaiting import Awaiting
from .pending import Origin, Pending, Stage, Table
from .replies import Body
from .request import Calls, ClientRequest, Kind, parse
from .routing import Router

TIMER = "clients/deadline"


class Clients(Machine):
    name = "clients"

    def __init__(
        self, config: NodeConfig, out: Outbox, incarnation: int, calls: Calls, known: Callable[[], Sequence[str]]
    ) -> None:
        """`calls`: what the applications offer to clients. `known()`: the nodes that a request may name."""
        self._config = config
        self._calls, self._known = calls, known
        self._awaiting = Awaiting(config.node)
        self._flaws = Flaws.from_names(config.flaws)
        self._out = out
        self._table = Table()
        self._router = Router(out, incarnation, self._table, self._finish, calls, known, self._flaws)
        self._token = 0
        self._applied = 0
        self._timer_ns: int | None = None
        self.forwards_dropped = 0
        self.signals: Mapping[type[Any], Callable[[int, Any], None]] = {
            Proposed: lambda now, signal: self._router.on_proposed(signal),
            NotProposed: lambda now, signal: self._router.on_not_proposed(signal),
            LeaderChanged: lambda now, signal: self._router.on_leader(now, signal),
            QuorumLost: lambda now, signal: self._router.on_quorum(now, False),
            QuorumRegained: lambda now, signal: self._router.on_quorum(now, True),
            Applied: self._on_applied,
            Restore: self._on_restore,
            ReadReady: self._on_read_ready,
            ReadFailed: self._on_read_failed,
            Answer: self._on_answer,
            AdminDone: self._on_admin_done,
            Changed: self._on_changed,
            Measured: self._on_measured,
        }

    def on_request(self, now_ns: int, event: Request) -> None:
        """Handle a client's request; `Core` answers `status`, `digest` and `trace-marker`."""
        try:
            request = parse(event.body, self._calls, self._config.node, self._config.agents)
        except ValueError as error:
            self._reply(event.client, reply_id(event.body), replies.failed("bad-request", str(error)))
            return
        if len(self._table.by_token) - len(self._table.origins) >= self._config.max_pending_requests:
            limit = self._config.max_pending_requests
            self._reply(
                event.client, request.id, replies.failed("busy", f"{limit} requests are under way at this node")
            )
            return
        self._token += 1
        pending = Pending(self._token, now_ns + request.deadline_ms * MS, event.client, request, None)
        if request.kind is Kind.READ:
            self._table.add(pending)
            self._begin_read(pending)
        else:
            self._begin_work(now_ns, pending, request)

    def on_message(self, now_ns: int, peer: str, message: Message) -> None:
        if isinstance(message, Forward):
            origin = Origin(peer, message.incarnation, message.id, message.term)
            if origin in self._table.origins or origin in self._router.taken:
                return
            if len(self._table.origins) >= self._remote_limit():
                self.forwards_dropped += 1
            else:
                self._token += 1
                pending = Pending(self._token, now_ns + message.deadline_ms * MS, None, None, origin)
                pending.work = message.request
                self._table.add(pending)
                self._router.take_forward(now_ns, pending)
        elif isinstance(message, ForwardReply):
            self._router.on_forward_reply(now_ns, message)

    def on_client_gone(self, event: ClientGone) -> None:
        """Drop the answers for a client that is gone. Its commands go on."""
        for pending in list(self._table.by_token.values()):
            if pending.client == event.client:
                pending.client = None

    def on_timer(self, now_ns: int, key: str) -> None:
        self._timer_ns = None
        for pending in self._table.expired(now_ns):
            if pending.origin is not None:
                self._table.remove(pending)
            elif pending.stage is Stage.AWAITING:
                self._end_wait(pending, awaited=False)
            else:
                possible = pending.doubt or pending.stage in (Stage.PROPOSED, Stage.FORWARDED, Stage.ADMIN)
                self._finish(pending, replies.timed_out(possible))

    def on_connection(self, now_ns: int, event: Connected | Disconnected) -> None:
        """Retry the commands that were forwarded over a connection that broke: they may be lost."""
        if isinstance(event, Connected):
            self._router.on_connection(now_ns, event.peer)

    def flush(self, now_ns: int) -> None:
        deadlines = self._table.deadlines
        if deadlines and (self._timer_ns is None or deadlines[0][0] < self._timer_ns):
            self._timer_ns = deadlines[0][0]
            self._out.set_timer(TIMER, self._timer_ns)

    def status(self) -> dict[str, Any]:
        return {"pending": len(self._table.by_token)}

    def check(self) -> None:
        table = self._table
        assert len(table.origins) == sum(p.origin is not None for p in table.by_token.values())
        for index, token in table.proposed.items():
            pending = table.by_token[token]
            assert pending.stage is Stage.PROPOSED and pending.index == index, (pending, index)

    def fingerprint(self) -> Any:
        pending = [[p.token, p.stage.value, p.index, p.term, p.doubt] for p in self._table.by_token.values()]
        return [self._token, self._applied, pending]

    def _begin_read(self, pending: Pending) -> None:
        request = pending.request
        assert request is not None
        if request.level == "stale":
            self._out.emit(Query(pending.token, request.ops))
        elif request.level == "sequential":
            self._catch_up(pending, 0 if self._flaws.sequential_read_behind_session else request.seen)
        elif not self._router.contact:
            self._finish(pending, replies.no_quorum(self._router.leader, "read"))
        else:
            pending.stage = Stage.READING
            self._out.emit(ReadRequest(pending.token))

    def _begin_work(self, now_ns: int, pending: Pending, request: ClientRequest) -> None:
        try:
            pending.work = _work(request, self._known)
        except ValueError as error:
            self._reply(pending.client, request.id, replies.failed("bad-request", str(error)))
            return
        self._table.add(pending)
        self._router.route(now_ns, pending)

    def _catch_up(self, pending: Pending, index: int) -> None:
        if index <= self._applied:
            assert pending.request is not None
            pending.stage = Stage.CATCHING_UP
            self._out.emit(Query(pending.token, pending.request.ops))
        else:
            self._table.catch_up(pending, index)

    def _on_applied(self, now_ns: int, signal: Applied) -> None:
        self._applied = signal.entries[-1].index
        proposed = self._table.proposed
        if proposed:
            for entry, result in zip(signal.entries, signal.results, strict=True):
                token = proposed.get(entry.index)
                if token is not None:
                    pending = self._table.by_token[token]
                    ours = entry.term == pending.term or (self._flaws.answered_by_index_alone and result is not None)
                    self._finish(pending, result if ours else replies.deposed(pending.term))
        self._run_caught_up()
        self._end_waits(self._awaiting.settled(self._applied, signal.touched))

    def _on_restore(self, now_ns: int, signal: Restore) -> None:
        self._applied = signal.index
        self._run_caught_up()

    def _run_caught_up(self) -> None:
        for pending in self._table.caught_up(self._applied):
            assert pending.request is not None
            self._out.emit(Query(pending.token, pending.request.ops))

    def _on_read_ready(self, now_ns: int, signal: ReadReady) -> None:
        pending = self._table.by_token.get(signal.token)
        if pending is not None and pending.stage is Stage.READING:
            self._catch_up(pending, 0 if self._flaws.read_at_applied_not_commit else signal.index)

    def _on_read_failed(self, now_ns: int, signal: ReadFailed) -> None:
        pending = self._table.by_token.get(signal.token)
        if pending is not None:
            self._finish(pending, replies.failed("busy", "too many reads are under way at this node"))

    def _on_answer(self, now_ns: int, signal: Answer) -> None:
        pending = self._table.by_token.get(signal.token)
        if pending is None or pending.request is None:
            return
        body: Body = {**signal.body, "index": signal.index, "term": self._router.term}
        if pending.request.level == "stale":
            body["stale"] = True
        self._finish(pending, body)

    def _on_admin_done(self, now_ns: int, signal: AdminDone) -> None:
        pending = self._table.by_token.get(signal.token)
        if pending is None:
            return
        if signal.error is None:
            self._finish(pending, {"status": "ok", "index": signal.index, "term": self._router.term})
        elif signal.error in ("not-voter", "busy", "no-voting-quorum") and not signal.partly:
            self._finish(pending, replies.failed(signal.error, signal.message))
        else:
            self._finish(pending, replies.unknown(signal.error, signal.message))

    def _on_changed(self, now_ns: int, signal: Changed) -> None:
        self._end_waits(self._awaiting.changed(signal, self._applied))

    def _on_measured(self, now_ns: int, signal: Measured) -> None:
        self._awaiting.rtt_ns = signal.rtt_ns

    def _end_waits(self, settled: list[Pending]) -> None:
        for pending in settled:
            self._end_wait(pending, awaited=True)

    def _end_wait(self, pending: Pending, *, awaited: bool) -> None:
        body = self._awaiting.answer(pending, awaited=awaited)
        self._awaiting.forget(pending)
        self._finish(pending, body)

    def _finish(self, pending: Pending, body: Body) -> None:
        """Answer once and remove the request; or keep it, if its effect is awaited."""
        if pending.stage is not Stage.AWAITING and self._awaiting.begin(pending, body):
            self._table.no_more_proposed(pending)
            self._end_waits(self._awaiting.settled(self._applied))
            return
        self._table.remove(pending)
        if pending.origin is not None:
            self._out.send(pending.origin.peer, ForwardReply(pending.origin.incarnation, pending.origin.id, body))
            return
        request = pending.request
        assert request is not None
        if pending.client is None:
            return
        if body["status"] == "ok" and request.kind is not Kind.ADMIN:
            self._trace_ack(request, body)
        self._reply(pending.client, request.id, body)

    def _trace_ack(self, request: ClientRequest, body: Body) -> None:
        kind = "read" if request.kind is Kind.READ else "call" if request.kind is Kind.CALL else "write"
        session = body.get("session", request.session or None)
        fields = {"session": session, "command": request.seq, "index": body["index"], "term": body["term"]}
        self._out.trace("ack", level=request.level, kind=kind, **fields)

    def _reply(self, client: str | None, id_: Any, body: Body) -> None:
        if client is not None:
            self._out.reply(client, {"id": id_, **body, "node": self._config.node})

    def _remote_limit(self) -> int:
        return self._config.max_pending_requests * len(self._known())


def _work(request: ClientRequest, known: Callable[[], Sequence[str]]) -> dict[str, Any]:
    """Return the leader's part of the work, as it travels in `Forward`. Raises ValueError naming the field."""
    if request.kind is Kind.OPEN:
        return {"command": ["sessions.open"]}
    if request.kind is Kind.WRITE:
        return {"command": ["kv.tx", request.session, request.seq, list(request.ops)]}
    if request.kind is Kind.CALL:
        assert request.call is not None
        return {"command": list(request.call)}
    body = request.body or {}
    if request.admin == "transfer":
        if not isinstance(body.get("to"), str) or body["to"] not in known():
            raise ValueError(f"to is {body.get('to')!r}, not one of {', '.join(known())}")
        return {"transfer": body["to"]}
    voters = body.get("voters")
    problem = (
        weights_problem(voters, dict.fromkeys(known()))
        if isinstance(voters, Mapping)
        else f"{voters!r} is not an object"
    )
    if problem is not None:
        raise ValueError(f"voters: {problem}")
    if type(body.get("force", False)) is not bool:
        raise ValueError(f"force is {body['force']!r}, not true or false")
    return {"voters": voters, **({"force": True} if body.get("force") else {})}
