"""Requests to a lab's supervisor: one JSON line each way over a unix socket, with a file descriptor where one is asked for.

Only the lab's owner can reach the socket: it is in a directory of mode 0700. Imports only the standard library.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SOCKET = "supervisor.sock"
_LIMIT = 1 << 20
AGAIN_S = 0.01


class WireError(Exception):
    """The other side did not answer, or its answer is malformed."""


def connect(lab: Path, timeout_s: float) -> socket.socket:
    """A connection to the supervisor of the lab in directory `lab`. Raises `OSError`."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout_s)
    deadline_s = time.monotonic() + timeout_s
    # A unix socket's path is limited to 107 bytes: reach a longer one through the directory's descriptor.
    directory = os.open(lab, os.O_PATH | os.O_DIRECTORY)
    try:
        while True:
            try:
                sock.connect(f"/proc/self/fd/{directory}/{SOCKET}")
                return sock
            except BlockingIOError:
                # More connections wait to be accepted than fit: with a timeout, the kernel does not wait by itself.
                if time.monotonic() > deadline_s:
                    raise TimeoutError(f"not accepted within {timeout_s:g} s") from None
                time.sleep(AGAIN_S)
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(directory)


def socket_at(lab: Path, place: str | None, family: int, kind: int, timeout_s: float) -> socket.socket:
    """A socket made in that place by the supervisor and handed over: it stays in the network in which it was made. Raises `OSError`."""
    descriptor: int | None = None
    try:
        connection = connect(lab, timeout_s)
    except OSError as error:
        reason = error.strerror or error
        raise ConnectionAbortedError(f"lab {lab.name!r} is down: no supervisor answers ({reason})") from None
    with contextlib.closing(connection) as supervisor:
        try:
            send(supervisor, {"do": "socket", "place": place, "family": int(family), "kind": int(kind)})
            answer, descriptor = receive(supervisor)
        except WireError as error:
            raise OSError(f"lab {lab.name!r}: no socket from its supervisor: {error}") from None
    if descriptor is None:
        raise OSError(f"lab {lab.name!r}: no socket from its supervisor: {answer.get('error')}")
    made = socket.socket(fileno=descriptor)
    made.settimeout(timeout_s)
    return made


def peer_pid(sock: socket.socket) -> int:
    """The supervisor's process id, as this process's PID namespace numbers it."""
    pid: int = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    return pid


def send(sock: socket.socket, message: Mapping[str, Any], descriptor: int | None = None) -> None:
    data = json.dumps(message).encode() + b"\n"
    if descriptor is None:
        sock.sendall(data)
        return
    sent = socket.send_fds(sock, [data], [descriptor])
    sock.sendall(data[sent:])


def receive(sock: socket.socket) -> tuple[dict[str, Any], int | None]:
    """The next line, and the descriptor that came with it. Raises `WireError` or `OSError`; the timeout is the socket's."""
    data, descriptor = b"", None
    try:
        while not data.endswith(b"\n"):
            chunk, descriptors, _flags, _address = socket.recv_fds(sock, 65536, 1)
            for received in descriptors:
                descriptor = received
            if not chunk:
                raise WireError(f"connection closed after {len(data)} bytes")
            data += chunk
            if len(data) > _LIMIT:
                raise WireError(f"a message of more than {_LIMIT} bytes")
        message = json.loads(data)
        if not isinstance(message, dict):
            raise WireError(f"a JSON object was expected, not {data[:80]!r}")
    except BaseException as error:
        if descriptor is not None:
            os.close(descriptor)
        if isinstance(error, ValueError):
            raise WireError(f"not JSON: {data[:80]!r}") from None
        raise
    return message, descriptor
