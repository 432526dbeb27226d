"""A link: the outgoing connection to one peer. It is dialled again whenever it is down, and closed when the peer is silent.

Each node sends on the connection that it dialled and receives on those that it accepted. Two connections per pair cost a few sockets and avoid the
race in which both sides dial at once and each closes the other's.

    IDLE --dial--> CONNECTING --connected, TLS if any, hello sent--> GREETING --right hello came--> UP
      ^---------------- refused, foreign, silent, slow, closed -----------------------'

While UP the peer answers a ping each quarter of a second (less often in large clusters); messages go the other way only.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from enum import Enum

from ...wire import Frame, FrameError, Kind, checked, encode, frame
from ..options import Address
from ..telemetry.refusals import Refused
from .connection import READ, WRITE, Connection, tune
from .shared import Shared

PING = encode(Kind.PING, {})
REFUSALS_REPORTED = 5
"""Refused attempts that are reported after a connection that was up: later ones bring no news."""


class State(Enum):
    IDLE = "idle"
    CONNECTING = "connecting"
    GREETING = "greeting"
    UP = "up"


class Link:
    def __init__(
        self,
        peer: str,
        address: Address,
        shared: Shared,
        on_up: Callable[[str], None],
        on_down: Callable[[str], None],
        on_refused: Callable[[str], None],
    ) -> None:
        self.peer = peer
        self.address = address
        self.state = State.IDLE
        self._shared = shared
        self._on_up = on_up
        self._on_down = on_down
        self._on_refused = on_refused
        self._connection: Connection | None = None
        self._dial_at_ns = 0
        self._dialled_ns = 0
        self._pinged_ns = 0
        self._failures = 0
        self._refusals_due = 0
        self._last_reason = ""
        self._checks = False
        """Whether the peer understands messages with a checksum; older releases do not."""

    def send(self, payload: bytes) -> None:
        """Queue a message. Without a connection, or with a peer that reads too slowly, it is lost, as the contract allows."""
        if self.state is not State.UP or self._connection is None:
            self._shared.drop("message-no-link")
        elif self._connection.queue(checked(payload) if self._checks else frame(Kind.MESSAGE, payload)):
            self._shared.mark_dirty(self)
        else:
            self._shared.drop("message-slow-peer")
            self._fail(f"{self._connection.queued_bytes} bytes are waiting for it: it reads too slowly")

    def reset_backoff(self) -> None:
        """Dial without waiting for the back-off: the peer has just dialled this node, so it is up."""
        if self.state is State.IDLE:
            self._failures = 0
            self._dial_at_ns = 0

    def tick(self, now_ns: int) -> None:
        """Do the housekeeping: dial when due, give up an attempt that takes too long, and ping."""
        limits = self._shared.limits
        if self.state is State.IDLE:
            if now_ns >= self._dial_at_ns:
                self._dial(now_ns)
        elif self.state is State.CONNECTING:
            if now_ns - self._dialled_ns >= limits.dial_attempt_ns:
                self._fail(f"no answer within {limits.dial_attempt_ns // 1_000_000} ms")
        elif self.state is State.GREETING:
            # Each round trip of TLS and hello has its own time: a distant peer is not a silent one.
            assert self._connection is not None
            if now_ns - self._connection.last_read_ns >= limits.hello_ns:
                self._fail(f"connected, but silent for {limits.hello_ns // 1_000_000} ms")
        else:
            assert self._connection is not None
            slowness = self._shared.slowness
            if now_ns - self._connection.last_read_ns > limits.peer_silence_ns * slowness:
                self._fail(f"silent for {(now_ns - self._connection.last_read_ns) // 1_000_000} ms")
            elif now_ns - self._pinged_ns >= limits.ping_interval_ns * slowness:
                self._pinged_ns = now_ns
                if self._connection.queue(PING):
                    self._shared.mark_dirty(self)

    def on_ready(self, mask: int, now_ns: int) -> None:
        was_up = self.state is State.UP
        self._on_ready(mask, now_ns)
        if was_up and self.state is State.IDLE:
            self.tick(now_ns)  # Check at once whether it is still there.

    def _on_ready(self, mask: int, now_ns: int) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            if self.state is State.CONNECTING:
                self._finish_connect(connection, now_ns)
                return
            if mask & READ:
                if not connection.receive(now_ns):
                    self._fail("closed by the peer")
                    return
                while not connection.closed and (found := connection.next_frame(now_ns)) is not None:
                    self._take(found, now_ns)
            if mask & WRITE and not connection.closed:
                connection.flush()
        except Refused as refused:
            self._shared.refusals.add(self.peer, refused)
            self._fail(refused.message)
        except OSError as error:
            self._fail_dial(error)
        except FrameError as error:
            self._fail(error.message)

    def flush(self) -> None:
        if self._connection is not None and self.state in (State.GREETING, State.UP):
            try:
                self._connection.flush()
            except OSError as error:
                self._fail(str(error))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self.state = State.IDLE

    def abandon(self, reason: str) -> None:
        self._fail(reason)

    def _dial(self, now_ns: int) -> None:
        self._dialled_ns = now_ns
        try:
            sock = socket.socket(self.address.family, socket.SOCK_STREAM)
        except OSError as error:
            self._fail(str(error))
            return
        tune(sock, self._shared.limits)
        shared = self._shared
        tls = shared.session(self.peer)
        self._connection = Connection(sock, shared.selector, self, shared.limits.peer_queue_bytes, now_ns, tls)
        self.state = State.CONNECTING
        try:
            sock.connect(self.address.sockaddr)
        except BlockingIOError:
            self._connection.watch(WRITE)
        except OSError as error:
            self._fail_dial(error)
        else:
            self._greet(self._connection)

    def _finish_connect(self, connection: Connection, now_ns: int) -> None:
        code = connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, f"cannot connect to {self.address}")
        connection.last_read_ns = now_ns
        self._greet(connection)

    def _greet(self, connection: Connection) -> None:
        self.state = State.GREETING
        connection.queue(self._shared.hello)
        if connection.tls is None:
            connection.flush()
        else:
            connection.start_handshake()

    def _take(self, found: Frame, now_ns: int) -> None:
        if found.kind is Kind.PONG and self.state is State.UP:
            return
        if found.kind is Kind.ERROR:
            self._fail(f"refused: {found.payload.get('message', found.payload)}")
        elif found.kind is Kind.HELLO and self.state is State.GREETING:
            problem = self._shared.wrong_hello(found.payload, self.peer)
            if problem is not None:
                self._fail(problem)
                return
            self.state = State.UP
            self._checks = found.payload.get("checked") is True
            self._failures = 0
            self._refusals_due = REFUSALS_REPORTED
            self._last_reason = ""
            self._pinged_ns = now_ns
            self._shared.log.info("link up", peer=self.peer, address=str(self.address))
            self._on_up(self.peer)
        else:
            self._fail(f"sent a {found.kind.name} frame where none belongs")

    def _fail_dial(self, error: OSError) -> None:
        dialling = self.state is State.CONNECTING
        self._fail(str(error))
        if dialling and isinstance(error, ConnectionRefusedError) and self._refusals_due > 0:
            self._refusals_due -= 1
            self._on_refused(self.peer)

    def _fail(self, reason: str) -> None:
        was_up = self.state is State.UP
        self.close()
        limits = self._shared.limits
        delay_ns = min(limits.backoff_cap_ns, limits.backoff_first_ns << min(self._failures, 10))
        self._failures += 1
        self._dial_at_ns = self._dialled_ns + delay_ns
        # An unreachable peer is dialled twice a second for as long as it is gone: log it once, not each time.
        if was_up or reason != self._last_reason:
            self._shared.log.warning("link down", peer=self.peer, address=str(self.address), reason=reason)
        self._last_reason = reason
        if was_up:
            self._on_down(self.peer)
