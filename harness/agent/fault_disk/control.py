"""The daemon's control socket: one JSON line in each direction, and one request per connection."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

from ..state.lines import read_object, receive_line

Json = dict[str, Any]
SOCKET = "socket"
PATIENCE_S = 5.0
PATIENCE_TO_ANSWER_S = 1.0
ERROR_CHARACTERS = 4000


class DiskError(RuntimeError):
    """The daemon does not answer, or refused the request."""


def ask(state: str, request: Json, timeout_s: float = PATIENCE_S) -> Json:
    """Send a request to the fault disk, and return its answer. Raises `DiskError`."""
    try:
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as sock, _reachable(state) as path:
            sock.settimeout(timeout_s)
            sock.connect(path)
            sock.sendall(json.dumps(request).encode() + b"\n")
            answer = read_object(receive_line(sock, timeout_s))
    except (OSError, ValueError) as error:
        raise DiskError(f"the fault disk in {state} does not answer: {error}") from None
    if answer.get("ok") is not True:
        raise DiskError(f"the fault disk in {state}: {answer.get('error')}")
    return answer


def listen(state: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    with _reachable(state) as path:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        # A process that can write here can break the disk.
        before = os.umask(0o077)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
    listener.listen(16)
    return listener


def answer_one(listener: socket.socket, respond: Callable[[Json], Json]) -> None:
    """Answer one request. The disk is blocked meanwhile, so the client has to send at once."""
    try:
        accepted = listener.accept()[0]
    except OSError:
        # The host may have no descriptor left. The client waits, and the disk goes on.
        return
    with contextlib.closing(accepted) as sock:
        try:
            answer: Json = {"ok": True, **respond(read_object(receive_line(sock, PATIENCE_TO_ANSWER_S)))}
        except Exception as error:
            # A disk that ends takes the files under test with it: no request may.
            answer = {"ok": False, "error": f"{type(error).__name__}: {error}"[:ERROR_CHARACTERS]}
        with contextlib.suppress(OSError):
            sock.sendall(json.dumps(answer).encode() + b"\n")


@contextlib.contextmanager
def _reachable(state: str) -> Iterator[str]:
    """Yield a path of the socket through the directory's descriptor: a unix socket's path may have 107 bytes only."""
    directory = os.open(state, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{SOCKET}"
    finally:
        os.close(directory)
