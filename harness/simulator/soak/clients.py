"""Clients of a soak: sessions, unique values, and retries of one sequence number on several nodes.

A client does one operation at a time and records it as real clients do: `ok`, `fail` or `info`, the last whenever any attempt may have
taken effect. After `info` it goes on as a new process with a new session.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tribulation.histories import Event, Type

from ...keyed_random import draw, key_of
from ..cluster.cluster import SimCluster
from ..network.clients import Answer, End
from ..options import MILLISECOND

PATIENCE_NS = 900 * MILLISECOND
DEADLINE_MS = 600
ATTEMPTS = 5


class SoakHistory:
    """Events in true order, as `histories` has them."""

    def __init__(self, cluster: SimCluster) -> None:
        self._cluster = cluster
        self.events: list[Event] = []
        self.seen: dict[str, Any] = {}

    def record(self, process: int, kind: Type, op: tuple[str, str, Any], node: str, **more: Any) -> None:
        f, key, value = op
        error = more.pop("error", None)
        event = Event(
            len(self.events),
            self._cluster.now_ns,
            process,
            kind,
            f,
            value,
            key,
            "register",
            "linearizable",
            node,
            error,
            more,
        )
        self.events.append(event)

    def count(self, kind: Type) -> int:
        return sum(event.type is kind for event in self.events)


@dataclass(slots=True)
class _Doing:
    """The current operation: `doubt` is set once an attempt may have taken effect without our knowledge."""

    op: tuple[str, str, Any]
    process: int
    attempt: int = 0
    doubt: bool = False


class SoakClient:
    """Client `number` of `count`; it begins new operations while `working()` holds. If it `only_reads`, it needs no session and stays
    with its node."""

    def __init__(
        self,
        cluster: SimCluster,
        history: SoakHistory,
        number: int,
        count: int,
        keys: int,
        gap_ns: int,
        working: Callable[[], bool],
        only_reads: bool = False,
    ) -> None:
        self._cluster, self._history, self._working = cluster, history, working
        self.name = f"c{number}"
        self._only_reads = only_reads
        self._number, self._count, self._keys, self._gap_ns = number, count, keys, gap_ns
        self._key = draw(cluster.seed, key_of(self.name))
        self._nodes = list(cluster.nodes)
        self._node = self._nodes[number % len(self._nodes)]
        self._process = number
        self._session: int | None = None
        self._seq = 0
        self._ops = 0
        self._ids = 0
        self._waiting_for: int | None = None

    @property
    def idle(self) -> bool:
        return self._waiting_for is None

    def start(self) -> None:
        self._later(self._next)

    def _later(self, call: Callable[[], None]) -> None:
        gap_ns = 1 + draw(self._key, self._ops, self._ids) % (2 * self._gap_ns)
        self._cluster.schedule(self._cluster.now_ns + gap_ns, call)

    def _next(self) -> None:
        if not self._working():
            return
        if self._session is None and not self._only_reads:
            self._send({"open": True}, self._opened)
            return
        self._ops += 1
        op = self._draw_op()
        self._history.record(self._process, Type.INVOKE, op, self._node)
        if op[0] != "read":
            self._seq += 1
        self._try(_Doing(op, self._process))

    def _draw_op(self) -> tuple[str, str, Any]:
        bits = draw(self._key, self._ops)
        key, choice = f"k{bits % self._keys}", (bits >> 16) % 100
        value = self._ops * self._count + self._number + 1
        if choice < 45 or self._only_reads:
            return ("read", key, None)
        if choice < 80:
            return ("write", key, value)
        return ("cas", key, [self._history.seen.get(key), value])

    def _opened(self, answer: Answer) -> None:
        if answer.body is not None and answer.body["status"] == "ok":
            session = answer.body["index"] if "session" not in answer.body else answer.body["session"]
            self._session, self._seq = session, 0
        else:
            self._move()
        self._later(self._next)

    def _try(self, doing: _Doing) -> None:
        doing.attempt += 1
        f, key, value = doing.op
        body: dict[str, Any] = {"deadline_ms": DEADLINE_MS}
        if f == "read":
            body["ops"] = [["r", key]]
        else:
            body |= {"session": self._session, "seq": self._seq}
            body["ops"] = [["w", key, value] if f == "write" else ["cas", key, *value]]
        self._send(body, lambda answer: self._answered(doing, answer))

    def _send(self, body: dict[str, Any], then: Callable[[Answer], None]) -> None:
        """Make one attempt: `then` is called at its end, or at our timeout."""
        self._ids += 1
        ident = self._waiting_for = self._ids

        def once(answer: Answer) -> None:
            if self._waiting_for == ident:
                self._waiting_for = None
                then(answer)

        def impatient() -> None:
            if self._waiting_for == ident:
                self._cluster.disconnect(self.name, self._node)
                once(Answer(End.LOST, reason="no answer in time"))

        self._cluster.request(self.name, self._node, {"id": ident, **body}, once)
        self._cluster.schedule(self._cluster.now_ns + PATIENCE_NS, impatient)

    def _answered(self, doing: _Doing, answer: Answer) -> None:
        body = answer.body or {}
        status, error = body.get("status"), body.get("error")
        if status == "ok":
            self._end(doing, Type.OK, body["results"][0], log_index=body["index"])
        elif error == "mismatch":
            self._end(doing, Type.FAIL, doing.op[2], error="mismatch", observed=body["results"][0])
        elif doing.op[0] == "read":
            self._end(doing, Type.FAIL, None, error=error or answer.reason)
            self._move()
        else:
            self._unsure(doing, answer, status, error)

    def _unsure(self, doing: _Doing, answer: Answer, status: str | None, error: str | None) -> None:
        definite = status == "fail" or answer.end is End.REFUSED
        doing.doubt = doing.doubt or not definite
        if error == "session-expired":
            self._session = None
        bits = draw(self._key, self._ops, doing.attempt, 0x2E72)
        self._move()
        if self._session is not None and doing.attempt < ATTEMPTS and bits % 4:
            self._later(lambda: self._try(doing))
        elif doing.doubt:
            self._end(doing, Type.INFO, doing.op[2], error=error or answer.reason)
            self._process += self._count
            self._session = None
        else:
            self._end(doing, Type.FAIL, doing.op[2], error=error or answer.reason)

    def _end(self, doing: _Doing, kind: Type, value: Any, **more: Any) -> None:
        f, key, operand = doing.op
        if kind is Type.OK:
            value = value if f == "read" else operand
            self._history.seen[key] = operand[1] if f == "cas" else value
        self._history.record(doing.process, kind, (f, key, value), self._node, **more)
        self._later(self._next)

    def _move(self) -> None:
        """Try another node next time."""
        if self._only_reads:
            return
        self._node = self._nodes[draw(self._key, self._ids, 0x40DE) % len(self._nodes)]
