"""A bastion: a machine through which one logs in to others behind it. One connection carries everything that goes through it.

SSH to the hosts behind it runs directly on its channels. Clients get a real socket, since TLS needs one: two threads copy the channel's
bytes to and from it. To the hosts, all of it comes from the bastion's own address.
"""

from __future__ import annotations

import contextlib
import socket
import threading

import paramiko

from ..errors import ConnectError
from .connection import Connection, Target

_CHUNK = 1 << 16


class Bastion:
    """Thread-safe; connects on first use, and again after the connection was lost."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._connection = Connection(target)

    def channel_to(self, address: str, port: int, timeout_s: float, behind: str) -> paramiko.Channel:
        """A connection from the bastion to this address, for the host `behind` it. Raises `ConnectError` in that host's name."""
        try:
            return self._connection.open_tunnel(address, port, timeout_s)
        except ConnectError as error:
            raise ConnectError(behind, error.reason, f"{behind}: bastion {error.message}", str(error.hint)) from None

    def dial(self, address: str, port: int, timeout_s: float) -> socket.socket:
        """A socket whose other end is there. Raises `OSError`."""
        try:
            channel = self._connection.open_tunnel(address, port, timeout_s)
        except ConnectError as error:
            kind = {"refused": ConnectionRefusedError, "timeout": TimeoutError}.get(error.reason, ConnectionError)
            raise kind(error.message) from None
        made = as_socket(channel)
        made.settimeout(timeout_s)
        return made

    def close(self) -> None:
        self._connection.close()


def as_socket(channel: paramiko.Channel) -> socket.socket:
    """A socket whose bytes are the channel's. Closing one end closes the other."""
    ours, theirs = socket.socketpair()
    channel.settimeout(None)
    arriving = threading.Thread(target=_arriving, args=(channel, ours), name="tunnel-in", daemon=True)
    leaving = threading.Thread(target=_leaving, args=(channel, ours, arriving), name="tunnel-out", daemon=True)
    arriving.start()
    leaving.start()
    return theirs


def _arriving(channel: paramiko.Channel, sock: socket.socket) -> None:
    # An error here means the end, and the other end sees just that.
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        while chunk := channel.recv(_CHUNK):
            sock.sendall(chunk)
    _end(channel, sock)


def _leaving(channel: paramiko.Channel, sock: socket.socket, arriving: threading.Thread) -> None:
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        while chunk := sock.recv(_CHUNK):
            channel.sendall(chunk)
    _end(channel, sock)
    arriving.join()
    sock.close()


def _end(channel: paramiko.Channel, sock: socket.socket) -> None:
    channel.close()
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
