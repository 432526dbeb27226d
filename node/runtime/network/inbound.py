"""An accepted connection: unidentified until its hello, then a node that sends messages or a client that sends requests.

    UNIDENTIFIED --hello--> NODE | CLIENT --frame error, refusal--> CLOSING --error frame read, or a second later--> closed

Any invalid input ends this connection with an error frame and affects nothing else.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Protocol

from ...bounded import reply_id
from ...core.interface.events import ClientGone, Event, Received, Request
from ...core.interface.messages import from_wire
from ...wire import Frame, FrameError, Kind, encode, frame
from ..security.identity import Identity
from ..telemetry.refusals import Refused
from .connection import READ, WRITE, Connection
from .shared import Shared

PONG = encode(Kind.PONG, {})
_HINT = "connect as a member of this cluster, with your own name and certificate, if it uses any"
_ANSWERS = {
    "plaintext": FrameError("tls-required", "use TLS 1.3", "use a certificate of this cluster's authority"),
    "tls": FrameError("bad-magic", "TLS was used where there is none", "connect without TLS"),
}
"""Answers to peers that failed before their hello; TLS itself answers those that fail in the handshake."""


class Role(Enum):
    UNIDENTIFIED = "unidentified"
    NODE = "node"
    CLIENT = "client"
    CLOSING = "closing"


class ConnectionOwner(Protocol):
    """Owner of accepted connections, which receives their reports: the network."""

    def admit(self, inbound: Inbound, incarnation: object, now_ns: int) -> str | None:
        """Accept a connection after a valid hello, as a node with its incarnation. Returns the reason when it may not stay, or None."""
        ...

    def deliver(self, event: Event, raw: bytes | None) -> None: ...

    def wall_ns(self) -> int: ...

    def left(self, inbound: Inbound) -> None:
        """Record that the connection is closed for good."""
        ...


class Inbound:
    """One accepted connection. `name` is the peer's name for a node, and the connection's own name ("c17") for a client. `host` is the address that
    it came from.
    """

    def __init__(
        self, connection_number: int, shared: Shared, owner: ConnectionOwner, accepted_ns: int, host: str
    ) -> None:
        self.role = Role.UNIDENTIFIED
        self.host = host
        self.name = f"c{connection_number}"
        self.connection: Connection
        self._shared = shared
        self._owner = owner
        self._since_ns = accepted_ns
        self.active_ns = accepted_ns
        """Time of the connection, or of its last request."""
        self._in_flight = 0
        self._skipped = 0
        self._half_closed = False

    @property
    def waiting(self) -> bool:
        """Return whether the client waits for an answer."""
        return self._in_flight > 0

    @property
    def identity(self) -> Identity | None:
        """The identity in its certificate; None without TLS."""
        return None if self.connection.tls is None else self.connection.tls.peer

    def on_ready(self, mask: int, now_ns: int) -> None:
        connection = self.connection
        try:
            if mask & READ:
                if not connection.receive(now_ns):
                    self.close("closed by the other side")
                    return
                self._take_all(now_ns)
            if mask & WRITE and not connection.closed:
                self.flush()
        except Refused as refused:
            self.reject(refused, now_ns)
        except OSError as error:
            self.close(str(error))

    def reply(self, payload: bytes) -> None:
        if self.role is Role.CLIENT:
            self._in_flight -= 1
            self._queue(frame(Kind.REPLY, payload))

    def flush(self) -> None:
        if self.connection.closed:
            return
        try:
            self.connection.flush()
            if self.role is Role.CLOSING and not self.connection.queued_bytes and not self._half_closed:
                self._half_closed = True
                self.connection.half_close()
        except OSError as error:
            self.close(str(error))

    def tick(self, now_ns: int) -> None:
        """Close the connection when the hello, a frame or the closing takes too long, or a node is silent."""
        limits, connection = self._shared.limits, self.connection
        age_ns = now_ns - self._since_ns
        if self.role is Role.CLOSING:
            if age_ns > limits.linger_ns:
                self.close("refused")
        elif self.role is Role.UNIDENTIFIED and age_ns > limits.hello_ns:
            if connection.tls is not None and not connection.tls.established:
                self._shared.refusals.add(self.host, Refused("handshake-timeout", "it did not complete its handshake"))
                self.close("no handshake in time")
                return
            self.refuse(
                FrameError(
                    "no-hello", f"no hello within {limits.hello_ns // 1_000_000} ms", "send the hello frame first"
                ),
                now_ns,
            )
        elif self.role is Role.NODE and self._silent(now_ns):
            self.close(f"silent for {(now_ns - connection.last_read_ns) // 1_000_000} ms")
        elif connection.decoder.pending and now_ns - connection.last_frame_ns > limits.frame_ns:
            self.refuse(
                FrameError("slow-frame", "a frame was begun but not completed in time", "send whole frames"), now_ns
            )

    def _silent(self, now_ns: int) -> bool:
        return now_ns - self.connection.last_read_ns > self._shared.limits.inbound_silence_ns * self._shared.slowness

    def refuse(self, error: FrameError, now_ns: int) -> None:
        """Answer with an error frame and close once it is sent."""
        self._shared.log.warning(
            "connection refused", role=self.role.value, name=self.name, error=error.reason, reason=error.message
        )
        self._see_off(error, now_ns)

    def reject(self, refused: Refused, now_ns: int) -> None:
        """Reject a peer that may not connect. The message gives the reason and reveals nothing else."""
        if self.role is Role.CLOSING:
            return  # What it still reports, such as a broken TLS, is ignored.
        self._shared.refusals.add(self.host, refused)
        if refused.reason == "plaintext":
            self.connection.downgrade_to_plaintext()
        self._see_off(_ANSWERS.get(refused.reason, FrameError("not-admitted", refused.message, _HINT)), now_ns)

    def _see_off(self, error: FrameError, now_ns: int) -> None:
        self._leave_role(Role.CLOSING)
        self._since_ns = now_ns
        self.connection.queue(encode(Kind.ERROR, error.body()))
        self._shared.mark_dirty(self)

    def close(self, reason: str) -> None:
        if self.connection.closed:
            return
        if self.role is Role.NODE:
            self._shared.log.info("peer's connection closed", peer=self.name, reason=reason)
        try:
            self.connection.close()
        finally:
            self._leave_role(Role.CLOSING)
            self._owner.left(self)

    def abandon(self, reason: str) -> None:
        self.close(reason)

    def _leave_role(self, role: Role) -> None:
        was, self.role = self.role, role
        if was is Role.CLIENT:
            self._owner.deliver(ClientGone(self.name), None)

    def _take_all(self, now_ns: int) -> None:
        while not self.connection.closed:
            if self.role is Role.CLOSING:
                # What a refused connection still sends is read and dropped, so that closing does not reset it.
                self.connection.decoder.discard()
                return
            try:
                found = self.connection.next_frame(now_ns)
                self._count_skipped()
                if found is None:
                    return
                self._take(found, now_ns)
            except FrameError as error:
                self.refuse(error, now_ns)
            except Refused as refused:
                self.reject(refused, now_ns)

    def _count_skipped(self) -> None:
        skipped = self.connection.decoder.skipped
        if skipped != self._skipped:
            self._shared.drop("message-out-of-bounds", skipped - self._skipped)
            self._skipped = skipped

    def _take(self, found: Frame, now_ns: int) -> None:
        if self.role is Role.UNIDENTIFIED:
            self._take_hello(found, now_ns)
        elif self.role is Role.NODE and found.kind is Kind.MESSAGE:
            try:
                message = from_wire(found.payload)
            except ValueError as error:
                raise FrameError("bad-message", str(error), "run the same release on all nodes") from None
            self._owner.deliver(Received(self.name, message, self._owner.wall_ns()), found.raw)
        elif self.role is Role.NODE and found.kind is Kind.PING:
            self._queue(PONG)
        elif self.role is Role.CLIENT and found.kind is Kind.REQUEST:
            self.active_ns = now_ns
            self._take_request(found.payload, found.raw)
        else:
            hint = "after the hello, a client sends requests (kind 3) and a node messages (kind 2)"
            raise FrameError("unexpected-kind", f"a {found.kind.name} frame does not belong here", hint)

    def _take_hello(self, found: Frame, now_ns: int) -> None:
        if found.kind is not Kind.HELLO:
            raise FrameError(
                "no-hello", f"the first frame has kind {int(found.kind)}, not 1", "send the hello frame first"
            )
        problem = self._shared.wrong_hello(found.payload)
        if problem is not None:
            raise FrameError("bad-hello", problem, "check the cluster's name and the port")
        role, name = found.payload["role"], found.payload["name"]
        refused = self._shared.wrong_identity(self.identity, role, name)
        if refused is not None:
            raise refused
        if role == "node":
            self.name = name
            self.role = Role.NODE
        else:
            self.role = Role.CLIENT
        problem = self._owner.admit(self, found.payload.get("incarnation"), now_ns)
        if problem is not None:
            self.role = Role.UNIDENTIFIED
            if role == "node":
                raise Refused("not-a-member", problem)
            raise FrameError("not-admitted", problem, "use a connection that you have, or another node")
        self._queue(self._shared.hello)

    def _take_request(self, body: Any, raw: bytes) -> None:
        limit = self._shared.limits.requests_in_flight
        if self._in_flight >= limit:
            message = f"{limit} requests of this connection are under way"
            answer = {
                "id": reply_id(body),
                "status": "fail",
                "error": "busy",
                "message": message,
                "node": self._shared.node,
            }
            self._queue(encode(Kind.REPLY, answer))
            return
        self._in_flight += 1
        self._owner.deliver(Request(self.name, body, self._owner.wall_ns()), raw)

    def _queue(self, data: bytes) -> None:
        if self.connection.queue(data):
            self._shared.mark_dirty(self)
        else:
            self._shared.drop("frame-slow-reader")
            self.close(f"{self.connection.queued_bytes} bytes are waiting for it: it reads too slowly")
