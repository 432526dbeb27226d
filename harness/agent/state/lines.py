"""One JSON line from a connection, within limits of size and time: a client that is silent, or never ends, does not block others."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

LINE_BYTES = 16 << 20


def receive_line(sock: socket.socket, patience_s: float, at_most: int = LINE_BYTES) -> bytes:
    """Return the bytes up to the end of the line, or of the stream. Raises `OSError` when that takes longer than `patience_s` in all, `ValueError` when the
    line is too long.
    """
    deadline_s = time.monotonic() + patience_s
    data = bytearray()
    while not data.endswith(b"\n"):
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"no complete line came within {patience_s:g} s")
        sock.settimeout(left_s)
        chunk = sock.recv(1 << 16)
        if not chunk:
            break
        data += chunk
        if len(data) > at_most:
            raise ValueError(f"a line of more than {at_most} bytes")
    sock.settimeout(patience_s)
    return bytes(data)


def read_object(text: str | bytes) -> dict[str, Any]:
    """Return the JSON object of a text from outside. Raises `ValueError` for anything else, and no other error."""
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")
    return found
