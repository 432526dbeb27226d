"""One non-blocking TCP connection that carries frames: bounded in both directions, silent about their meaning."""

from __future__ import annotations

import selectors
import socket
from typing import Any

from ..wire import Decoder, Frame
from .options import Limits

_CHUNK = 256 * 1024
_READ = 64 * 1024
"""Bytes read at once: a larger buffer for every read would come from the kernel and go back to it, at three system calls."""
READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE


class Connection:
    """Bytes queued by `queue` leave with `flush`, once a turn, so that the frames of one turn share a system call.

    `owner` is what the selector hands back when the socket is ready. `last_read_ns` is when bytes came last, `last_frame_ns` when the
    decoder last stood between two frames.
    """

    def __init__(
        self, sock: socket.socket, selector: selectors.BaseSelector, owner: Any, limit_bytes: int, now_ns: int
    ) -> None:
        self.sock = sock
        self.decoder = Decoder()
        self.last_read_ns = now_ns
        self.last_frame_ns = now_ns
        self.closed = False
        self._selector = selector
        self._owner = owner
        self._limit_bytes = limit_bytes
        self._out = bytearray()
        self._interest = READ
        selector.register(sock, READ, owner)

    @property
    def queued_bytes(self) -> int:
        return len(self._out)

    def queue(self, data: bytes) -> bool:
        """Take `data` for sending. False when the other side reads too slowly: the bound is reached and nothing was taken."""
        if len(self._out) + len(data) > self._limit_bytes:
            return False
        self._out += data
        return True

    def flush(self) -> None:
        """Send what the kernel takes; the rest goes when the socket is writable. Raises `OSError` when the connection is gone."""
        while self._out:
            with memoryview(self._out)[:_CHUNK] as chunk:
                try:
                    sent = self.sock.send(chunk)
                except (BlockingIOError, InterruptedError):
                    break
            del self._out[:sent]
        self.watch(READ | WRITE if self._out else READ)

    def receive(self, now_ns: int) -> bool:
        """Read once into the decoder. False at the end of the stream. Raises `OSError` when the connection broke."""
        try:
            data = self.sock.recv(_READ)
        except (BlockingIOError, InterruptedError):
            return True
        if not data:
            return False
        self.last_read_ns = now_ns
        if not self.decoder.pending:
            self.last_frame_ns = now_ns
        self.decoder.feed(data)
        return True

    def next_frame(self, now_ns: int) -> Frame | None:
        """The next whole frame. Raises `FrameError`."""
        found = self.decoder.next()
        if found is not None or not self.decoder.pending:
            self.last_frame_ns = now_ns
        return found

    def watch(self, interest: int) -> None:
        if interest != self._interest and not self.closed:
            self._selector.modify(self.sock, interest, self._owner)
            self._interest = interest

    def half_close(self) -> None:
        """Say that nothing more will be sent. Raises `OSError` when the connection is gone."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._selector.unregister(self.sock)
            self.sock.close()
            self._out = bytearray()


def tune(sock: socket.socket, limits: Limits) -> None:
    """Small frames at once (no Nagle), and an end to connections whose other side is gone without a word."""
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
