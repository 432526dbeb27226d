"""One client's process as the run holds it: its stream, its dials, signals to it, and what is known of its end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

from .messages import Lines, pass_sockets, take_sockets

CLOSE_S = 0.5
"""Time for a client to close when the run has no more use for it."""

Reach = Callable[[str, int | None, float], socket.socket]
"""`reach(node, port, timeout_s)`: a connection from the clients' place."""


class ClientProcess:
    """A client's process. `handle` (a pidfd) means this one, even when its number belongs to another."""

    def __init__(self, pid: int, handle: int, stream: socket.socket, dials: socket.socket) -> None:
        self.pid = pid
        self._handle = handle
        self.lines = Lines(stream)
        self._dials = dials
        self.reach: Reach | None = None
        threading.Thread(target=self._serve_dials, name=f"client-dials-{pid}", daemon=True).start()

    def state(self) -> str | None:
        """Return the kernel's letter for the state of the process; None when it is gone."""
        if self.wait(0):
            return None
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as stat:
                letter = stat.read().rpartition(b")")[2].split()[0].decode()
        except (OSError, IndexError):
            return None
        return None if letter in "ZX" or self.wait(0) else letter

    def wait(self, timeout_s: float) -> bool:
        """Return whether the process has ended, within that time."""
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        return bool(poll.poll(round(timeout_s * 1000)))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and all that it started; do nothing when it is gone."""
        with contextlib.suppress(ProcessLookupError):
            if not self.wait(0):
                os.killpg(self.pid, number)

    def close(self, wait_s: float = CLOSE_S) -> None:
        """Let the process close its client and end. A paused one ends when it is resumed; one that hangs is killed."""
        with contextlib.suppress(OSError):
            self.lines.socket.shutdown(socket.SHUT_WR)
        if self.state() not in ("T", "t") and not self.wait(wait_s) and self.state() not in ("T", "t"):
            self.signal(signal.SIGKILL)

    def forget(self) -> None:
        """Kill the process, and free what the run holds of it."""
        self.signal(signal.SIGKILL)
        self.wait(CLOSE_S)
        for one in (self.lines.socket, self._dials):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        os.close(self._handle)

    def _serve_dials(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while True:
                request, descriptors = take_sockets(self._dials)
                if request is None or not descriptors:
                    return
                answer = socket.socket(fileno=descriptors[0])
                threading.Thread(target=self._dial, args=(request, answer), name="client-dial", daemon=True).start()

    def _dial(self, request: dict[str, Any], answer: socket.socket) -> None:
        with answer, contextlib.suppress(OSError):
            try:
                assert self.reach is not None, "open comes first"
                made = self.reach(request["node"], request.get("port"), request["timeout_s"])
            except Exception as error:
                pass_sockets(answer, {"type": type(error).__name__, "message": str(error)[:1000]}, [])
                return
            with made:
                pass_sockets(answer, {}, [made.fileno()])
