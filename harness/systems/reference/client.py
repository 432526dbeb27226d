"""The reference cluster's client: `ReferenceProtocol` is pure and drives both a socket and the simulator; `ReferenceClient` is the socket one.

The protocol turns an operation into requests and what comes back into an outcome. A client opens a session with its first write, so that a
client of a minority without a session can still read. A driver does this for each operation:

    body = protocol.begin(op, timeout_s)          # send it
    step = protocol.receive(reply)                # Request: send that too; Outcome: done; None: not ours, go on waiting
    outcome = protocol.expire() | protocol.disconnected("reset")

Only this class maps failures to outcomes: a read without an answer changed nothing, so it is `fail`; a write that may have been
sent is `info`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tribulation.node.runtime.security.identity import Identity, identity_of
from tribulation.node.wire import Decoder, FrameError, Kind, encode

from ..base import Dial, Op, Outcome
from .agent_calls import Talk
from .calls import CALLS, CHANGING, OPERATIONS

if TYPE_CHECKING:
    # It takes its time to load, and not every Python has it.
    import ssl

WRITES = frozenset({"w", "append", "cas"})
SETS = frozenset({"set", "set-full"})
"""Workloads whose keys hold lists: without a write the list is empty."""
ANSWER_MARGIN_MS = 25
"""How much earlier than the client the node gives up, so that its reason still arrives."""


@dataclass(frozen=True, slots=True)
class Request:
    """A body to send in a request frame."""

    body: Mapping[str, Any]


@dataclass(slots=True)
class _Pending:
    op: Op
    ops: list[list[Any]]
    writes: bool
    deadline_ms: int
    request_id: int = 0
    sent: bool = False
    """Whether the operation itself, not only the opening of a session, was given to the driver."""
    seq: int | None = None
    talk: Talk | None = None
    """The conversation of an operation on agents or tasks; those have no session."""


class ReferenceProtocol:
    """One client's side of the protocol; holds its session, its sequence number and the highest index it saw.

    A write that ended in doubt gives up its session, so that a late effect of it cannot affect the next session's commands.
    """

    def __init__(self) -> None:
        self.session: int | None = None
        self.seq = 0
        self.seen = 0
        self._next_id = 0
        self._pending: _Pending | None = None

    def begin(self, op: Op, timeout_s: float) -> Request:
        """Start an operation. Raises `ValueError` for one that this system does not have."""
        assert self._pending is None, f"{self._pending} is still under way"
        if op.f in CALLS:
            return self._begin_talk(op, timeout_s)
        ops = micro_operations(op)
        deadline_ms = max(1, int(timeout_s * 1000) - ANSWER_MARGIN_MS)
        self._pending = _Pending(op, ops, any(micro[0] in WRITES for micro in ops), deadline_ms)
        if self._pending.writes and self.session is None:
            return self._ask({"open": True, "deadline_ms": deadline_ms})
        return self._ask_operation()

    def receive(self, reply: Mapping[str, Any]) -> Request | Outcome | None:
        pending = self._pending
        if pending is None or reply.get("id") != pending.request_id:
            return None
        if pending.talk is not None:
            return self._go_on(pending, pending.talk, reply)
        if pending.sent:
            return self._finish(self._outcome(pending, reply))
        if reply.get("status") != "ok" or type(reply.get("session")) is not int:
            # The operation was never sent, so it did not happen, whatever became of the session.
            return self._finish(Outcome("fail", pending.op.value, str(reply.get("error", "no-session")), _extra(reply)))
        self.session = reply["session"]
        self.seq = 0
        return self._ask_operation()

    def expire(self) -> Outcome:
        """The outcome when the operation's time is over without an answer."""
        return self._unanswered("timeout")

    def disconnected(self, reason: str) -> Outcome:
        """The outcome when the connection broke. `reason` is a word for the history."""
        return self._unanswered(reason)

    def _begin_talk(self, op: Op, timeout_s: float) -> Request:
        talk = CALLS[op.f](op)
        deadline_ms = max(1, int(timeout_s * 1000) - ANSWER_MARGIN_MS)
        self._pending = _Pending(op, [], op.f in CHANGING, deadline_ms, sent=True, talk=talk)
        return self._ask({"deadline_ms": deadline_ms, **next(talk)})

    def _go_on(self, pending: _Pending, talk: Talk, reply: Mapping[str, Any]) -> Request | Outcome:
        index = reply.get("index")
        if type(index) is int:
            self.seen = max(self.seen, index)
        try:
            return self._ask({"deadline_ms": pending.deadline_ms, **talk.send(reply)})
        except StopIteration as end:
            outcome: Outcome = end.value
            return self._finish(outcome)

    def _ask_operation(self) -> Request:
        pending = self._pending
        assert pending is not None
        body: dict[str, Any] = {
            "level": pending.op.level,
            "seen": self.seen,
            "deadline_ms": pending.deadline_ms,
            "ops": pending.ops,
        }
        if pending.writes:
            self.seq += 1
            pending.seq = self.seq
            body |= {"session": self.session, "seq": self.seq, "level": "linearizable"}
        pending.sent = True
        return self._ask(body)

    def _ask(self, body: Mapping[str, Any]) -> Request:
        assert self._pending is not None
        self._next_id += 1
        self._pending.request_id = self._next_id
        return Request({"id": self._next_id, **body})

    def _unanswered(self, reason: str) -> Outcome:
        pending = self._pending
        assert pending is not None, "no operation is under way"
        doubtful = pending.sent and pending.writes
        return self._finish(Outcome("info" if doubtful else "fail", pending.op.value, reason, self._identity(pending)))

    def _finish(self, outcome: Outcome) -> Outcome:
        pending = self._pending
        assert pending is not None
        self._pending = None
        if (
            pending.talk is None
            and pending.writes
            and pending.sent
            and (outcome.type == "info" or outcome.error == "session-expired")
        ):
            self.session = None
        return outcome

    def _outcome(self, pending: _Pending, reply: Mapping[str, Any]) -> Outcome:
        index = reply.get("index")
        if type(index) is int:
            self.seen = max(self.seen, index)
        extra = {**_extra(reply), **self._identity(pending)}
        status, error = reply.get("status"), reply.get("error")
        if status == "ok":
            return Outcome("ok", _value(pending.op, reply.get("results") or []), None, extra)
        if status == "fail":
            if error == "mismatch":
                extra["observed"] = reply.get("results")
            return Outcome("fail", pending.op.value, str(error or "refused"), extra)
        return Outcome("info" if pending.writes else "fail", pending.op.value, str(error or "unknown"), extra)

    def _identity(self, pending: _Pending) -> dict[str, Any]:
        return {} if pending.seq is None else {"session": self.session, "seq": pending.seq}


def micro_operations(op: Op) -> list[list[Any]]:
    """The transaction of an operation. Raises `ValueError` when this system does not have its `f` or value."""
    if op.f == "read":
        return [["r", op.key]]
    if op.f == "write":
        return [["w", op.key, op.value]]
    if op.f == "cas":
        if not isinstance(op.value, (list, tuple)) or len(op.value) != 2:
            raise ValueError(f"a cas needs the value [from, to], not {op.value!r}")
        return [["cas", op.key, op.value[0], op.value[1]]]
    if op.f in ("append", "add"):
        return [["append", op.key, op.value]]
    if op.f == "send":
        # The read after the append in one transaction shows its position.
        return [micro for _, key, value in op.value for micro in (["append", key, value], ["r", key])]
    if op.f == "poll":
        return [["r", key] for _, offsets in op.value for key in offsets]
    if op.f == "txn":
        # Reads may carry a place for the value read: ["r", key, null].
        return [list(micro[:2]) if micro[0] == "r" else list(micro) for micro in op.value]
    raise ValueError(f"the reference system has no operation {op.f!r}; it has {', '.join(sorted(OPERATIONS))}")


def _value(op: Op, results: list[Any]) -> Any:
    """The value of a completed operation for the history."""
    if op.f == "read":
        found = results[0] if results else None
        return [] if found is None and op.workload in SETS else found
    if op.f == "send":
        return [
            ["send", key, [found.index(value), value]]
            for (_, key, value), found in zip(op.value, results[1::2], strict=True)
        ]
    if op.f == "poll":
        lists = iter(results)
        return [
            [
                "poll",
                {
                    key: [[at, value] for at, value in enumerate(next(lists) or []) if at >= first]
                    for key, first in offsets.items()
                },
            ]
            for _, offsets in op.value
        ]
    if op.f == "txn":
        return [
            ["r", micro[1], result] if micro[0] == "r" else list(micro)
            for micro, result in zip(op.value, results, strict=False)
        ]
    return op.value


def _extra(reply: Mapping[str, Any]) -> dict[str, Any]:
    names = {"index": "log_index", "term": "term", "node": "served_by", "stale": "stale"}
    return {to: reply[name] for name, to in names.items() if reply.get(name) is not None}


class ReferenceClient:
    """The protocol over one blocking socket. After doubt, or any disturbance of the stream, the connection is closed."""

    def __init__(self, cluster: str, name: str = "client", tls: ssl.SSLContext | None = None) -> None:
        """`tls` is for clusters whose nodes have certificates (`harness/systems/reference/authority.py`)."""
        self.protocol = ReferenceProtocol()
        self._cluster, self._tls = cluster, tls
        self._hello = encode(Kind.HELLO, {"cluster": cluster, "role": "client", "name": name})
        self._socket: socket.socket | None = None
        self._decoder = Decoder()

    def open(self, node: str, dial: Dial, timeout_s: float) -> None:
        """Connect and exchange hellos. Raises `OSError` when there is no node of this cluster in time."""
        self.close()
        deadline_s = time.monotonic() + timeout_s
        self._socket = dial(node, timeout_s)
        self._decoder = Decoder()
        try:
            if self._tls is not None:
                self._socket = self._secured(self._socket, node, self._tls, deadline_s)
            self._socket.sendall(self._hello)
            kind, payload = self._next_frame(deadline_s)
            if kind is not Kind.HELLO:
                raise ConnectionRefusedError(f"{node} answered the hello with {dict(payload)!r}")
        except (OSError, FrameError) as error:
            self.close()
            if isinstance(error, FrameError):
                raise ConnectionError(f"{node} speaks another protocol: {error.message}") from None
            raise

    @property
    def connected(self) -> bool:
        """Whether the connection is open: a refusal leaves it open; any disturbance closes it."""
        return self._socket is not None

    def invoke(self, op: Op, timeout_s: float) -> Outcome:
        if self._socket is None:
            return Outcome("fail", op.value, "no-connection")
        deadline_s = time.monotonic() + timeout_s
        step: Request | Outcome | None = self.protocol.begin(op, timeout_s)
        sound = False
        try:
            while not isinstance(step, Outcome):
                if step is not None:
                    self._send(step.body, deadline_s)
                kind, payload = self._next_frame(deadline_s)
                if kind is not Kind.REPLY:
                    step = self.protocol.disconnected(str(payload.get("error", "unexpected-frame")))
                    return step
                step = self.protocol.receive(payload)
            sound = step.type != "info"
        except TimeoutError:
            step = self.protocol.expire()
        except (OSError, FrameError):
            step = self.protocol.disconnected("connection-lost")
        finally:
            if not sound:
                self.close()
        return step

    def request(self, body: Mapping[str, Any], timeout_s: float) -> Mapping[str, Any]:
        """An administrative request (`{"admin": "status"}`). Raises `OSError`; the connection is then closed."""
        deadline_s = time.monotonic() + timeout_s
        try:
            self._send({"id": 0, **body}, deadline_s)
            while True:
                kind, payload = self._next_frame(deadline_s)
                if kind is Kind.ERROR:
                    raise ConnectionError(f"refused: {payload.get('message')}")
                if payload.get("id") == 0:
                    return payload
        except (OSError, FrameError) as error:
            self.close()
            raise error if isinstance(error, OSError) else ConnectionError(error.message) from error

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _secured(self, sock: socket.socket, node: str, tls: ssl.SSLContext, deadline_s: float) -> ssl.SSLSocket:
        """The socket with TLS around it, to exactly this node. Raises `OSError`."""
        secured = tls.wrap_socket(sock, do_handshake_on_connect=False)
        try:
            secured.settimeout(_left_s(deadline_s))
            secured.do_handshake()
            found = identity_of(secured.getpeercert())
            if found != Identity(self._cluster, "node", node):
                raise ConnectionRefusedError(f"{node} was dialled; the certificate is that of {found}")
        except BaseException:
            secured.close()
            raise
        return secured

    def _send(self, body: Mapping[str, Any], deadline_s: float) -> None:
        if self._socket is None:
            raise ConnectionError("not connected")
        self._socket.settimeout(_left_s(deadline_s))
        self._socket.sendall(encode(Kind.REQUEST, body))

    def _next_frame(self, deadline_s: float) -> tuple[Kind, Mapping[str, Any]]:
        """The next frame. Raises `TimeoutError` exactly at the deadline, `OSError` or `FrameError` when the stream is broken."""
        if self._socket is None:
            raise ConnectionError("not connected")
        while (found := self._decoder.next()) is None:
            self._socket.settimeout(_left_s(deadline_s))
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionResetError("closed by the node")
            self._decoder.feed(data)
        if not isinstance(found.payload, Mapping):
            raise FrameError(
                "unexpected-kind", f"a {found.kind.name} frame does not belong here", "is it a node's port?"
            )
        return found.kind, found.payload


def _left_s(deadline_s: float) -> float:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s
