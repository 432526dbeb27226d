"""One non-blocking TCP connection that carries frames, through TLS or not: bounded in both directions, independent of their meaning."""

from __future__ import annotations

import selectors
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ...wire import Decoder, Frame
from ..options import Limits
from ..telemetry.refusals import Refused

if TYPE_CHECKING:
    from ..security.tls import Session

_CHUNK = 256 * 1024
_READ = 64 * 1024
"""Bytes read at once: a larger buffer would be allocated from the kernel and returned to it for every read, at three system calls."""
READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE


class Connection:
    """One connection. `flush` sends the bytes queued by `queue`, once per turn, so that the frames of one turn share a system call.

    `owner` is what the selector returns when the socket is ready. `last_read_ns` is the time at which bytes arrived last. `last_frame_ns` is the last
    time at which the decoder held no incomplete frame.

    With `tls`, queued bytes wait until the handshake is complete and the owner's judge has accepted the peer.
    """

    def __init__(
        self,
        sock: socket.socket,
        selector: selectors.BaseSelector,
        owner: Any,
        limit_bytes: int,
        now_ns: int,
        tls: Session | None = None,
    ) -> None:
        self.sock = sock
        self.tls = tls
        self.decoder = Decoder()
        self.last_read_ns = now_ns
        self.last_frame_ns = now_ns
        self.closed = False
        self._selector = selector
        self._owner = owner
        self._limit_bytes = limit_bytes
        self._out = bytearray()
        self._plain = bytearray()
        """With TLS: bytes to be encrypted."""
        self._fresh = True
        """Whether nothing has arrived yet."""
        self._interest = READ
        selector.register(sock, READ, owner)

    @property
    def queued_bytes(self) -> int:
        return len(self._out) + len(self._plain)

    def queue(self, data: bytes) -> bool:
        """Take `data` for sending. Returns False when the other side reads too slowly: the bound is reached and nothing was taken."""
        if self.queued_bytes + len(data) > self._limit_bytes:
            return False
        if self.tls is None:
            self._out += data
        elif not self.tls.failed:
            self._plain += data
        return True

    def start_handshake(self) -> None:
        """Begin the handshake, as the side that dialled. Raises `OSError` when the connection is gone."""
        assert self.tls is not None
        self._out += self.tls.begin()
        self.flush()

    def downgrade_to_plaintext(self) -> None:
        """Drop TLS: this peer does not support it, and further queued bytes are sent in plaintext."""
        self.tls = None
        self._plain = bytearray()
        self._fresh = False

    def flush(self) -> None:
        """Send as many queued bytes as the kernel takes; the rest is sent when the socket is writable. Raises `OSError` when the connection is gone."""
        while self._out or self._seal():
            with memoryview(self._out)[:_CHUNK] as chunk:
                try:
                    sent = self.sock.send(chunk)
                except (BlockingIOError, InterruptedError):
                    break
            del self._out[:sent]
        self.watch(READ | WRITE if self._out else READ)

    def _seal(self) -> bool:
        """Encrypt as much of the queue as the socket may take at once. Returns whether there was any and it could be encrypted."""
        if not self._plain or self.tls is None or not self.tls.established:
            return False
        with memoryview(self._plain)[:_CHUNK] as chunk:
            self._out += self.tls.seal(chunk)
            sealed = len(chunk)
        del self._plain[:sealed]
        return True

    def receive(self, now_ns: int) -> bool:
        """Read once into the decoder. Returns False at the end of the stream. Raises `OSError` when the connection broke, `Refused` for a peer that may
        not go on.
        """
        try:
            data = self.sock.recv(_READ)
        except (BlockingIOError, InterruptedError):
            return True
        if not data:
            return False
        self.last_read_ns = now_ns
        if not self.decoder.pending:
            self.last_frame_ns = now_ns
        if self.tls is None:
            fresh, self._fresh = self._fresh, False
            if fresh and data.startswith(b"\x16\x03"):
                raise Refused("tls", "it uses TLS, which this node does not")
            self.decoder.feed(data)
            return True
        try:
            plain = self.tls.take(data)
        except Refused:
            # TLS sends it the reason, if it is still there.
            self._out += self.tls.outgoing()
            with suppress(OSError):
                self.flush()
            raise
        self.decoder.feed(plain)
        self._out += self.tls.outgoing()
        if self._out or self._plain:
            self.flush()
        # Data that came with the close notification counts; the end of the stream follows it.
        return bool(plain) or not self.tls.ended

    def next_frame(self, now_ns: int) -> Frame | None:
        """Return the next whole frame. Raises `FrameError`."""
        found = self.decoder.next()
        if found is not None or not self.decoder.pending:
            self.last_frame_ns = now_ns
        return found

    def watch(self, interest: int) -> None:
        if interest != self._interest and not self.closed:
            self._selector.modify(self.sock, interest, self._owner)
            self._interest = interest

    def half_close(self) -> None:
        """Announce that nothing more will be sent. Raises `OSError` when the connection is gone."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            # The socket must be closed even if it is not, or never was, in the selector.
            with suppress(KeyError, ValueError, OSError):
                self._selector.unregister(self.sock)
            self.sock.close()
            # The owner holds this connection: the cycle would wait for a collector that does not run (`collector.py`).
            self._owner = None
            self._out, self._plain = bytearray(), bytearray()


def tune(sock: socket.socket, limits: Limits) -> None:
    """Send small frames at once (no Nagle), and detect connections whose other side disappeared."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_USER_TIMEOUT", limits.user_timeout_ms),
        ("TCP_KEEPIDLE", 2),
        ("TCP_KEEPINTVL", 1),
        ("TCP_KEEPCNT", 3),
    ):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
