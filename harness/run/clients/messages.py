"""Messages between the run and a client's process: JSON lines on a stream, and sockets that are passed between processes.

An operation is `{"do": "invoke", "id": 2, "op": {…}, "timeout_s": 1.0}`; its answer is `{"outcome": {…}, "id": 2}`, with `raised` for what the client
raised. The process asks the run for each connection, so that its sockets are in the clients' network, whatever the provider of hosts is.
"""

from __future__ import annotations

import json
import socket
import time
from typing import Any

from tribulation.histories.files.codec import decode_line, encode_fields

LONGEST_MESSAGE = 1 << 28
CHUNK = 1 << 16
AT_ONCE = 1 << 15
"""Bytes that an empty stream takes at once."""
SMALL = 4096


class Lines:
    """One JSON object a line over a connected stream socket; used by one thread at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._read = bytearray()

    def send(self, document: dict[str, Any]) -> None:
        self.socket.sendall(encode_fields(document) + b"\n")

    def send_now(self, document: dict[str, Any]) -> bool:
        """Send without waiting. Returns False when nothing was sent. A message of which the stream took only a part is never answered."""
        data = encode_fields(document) + b"\n"
        try:
            self.socket.setblocking(False)
            return len(data) <= AT_ONCE and self.socket.send(data) > 0
        except OSError:
            return False

    def receive_now(self) -> dict[str, Any] | None:
        """Return the next object; None at the end. Raises `BlockingIOError` while it is not whole, and what `receive` raises."""
        self.socket.setblocking(False)
        searched = len(self._read)
        if not (data := self.socket.recv(CHUNK)):
            return None
        self._read += data
        if self._read.find(b"\n", searched) < 0 and len(self._read) <= LONGEST_MESSAGE:
            raise BlockingIOError
        return self.receive(0.001)

    def receive(self, timeout_s: float | None = None) -> dict[str, Any] | None:
        """Return the next object; None at the end. Raises `TimeoutError`, and `ValueError` for anything but a JSON object on a line."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        searched = 0
        while (end := self._read.find(b"\n", searched)) < 0:
            searched = len(self._read)
            if searched > LONGEST_MESSAGE:
                raise ValueError(f"a message of more than {LONGEST_MESSAGE} bytes")
            self.socket.settimeout(None if deadline_s is None else max(0.001, deadline_s - time.monotonic()))
            if not (data := self.socket.recv(CHUNK)):
                return None
            self._read += data
        line = bytes(self._read[:end])
        del self._read[: end + 1]
        return decode_line(line)


def pass_sockets(channel: socket.socket, document: dict[str, Any], descriptors: list[int]) -> None:
    """Send one small object with descriptors, as one packet."""
    socket.send_fds(channel, [json.dumps(document).encode()], descriptors)


def take_sockets(channel: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """Return the next object (None at the end) and its descriptors."""
    data, descriptors, _, _ = socket.recv_fds(channel, SMALL, 4)
    return (json.loads(data) if data else None), descriptors
