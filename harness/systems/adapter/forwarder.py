"""An address on this machine for a driver that dials by itself; its connections are forwarded from the clients' place in the network.

Everything that happens to such a connection happens to the driver's: bytes, a half close, a reset, and silence. A connection that cannot be made resets the driver's,
which had been accepted before. A driver may open several; each gets its own. Each connection has two threads, one a direction: a side that does not read stops
only its sender, as without the forwarder.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable

CHUNK = 65536
TICK_S = 0.05
"""How late a deadline may be noticed."""
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that makes `close` a reset."""


class Forwarder:
    """`address` is what the driver dials. From `deadline_s` (monotonic) on, its connections are reset, which ends a driver that would wait without end."""

    def __init__(self, dial: Callable[[], socket.socket]) -> None:
        self._dial = dial
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(TICK_S)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self.deadline_s: float | None = None
        self.used = False
        """Whether a connection was ever made to it."""
        self._open: set[_Way] = set()
        self._lock = threading.Lock()
        self._closed = False
        threading.Thread(target=self._accept, name="forwarder", daemon=True).start()

    def close(self) -> None:
        """End every connection. The thread that listens ends within a tick."""
        with self._lock:
            self._closed = True
        self._break_all()

    def _accept(self) -> None:
        with self._listener:
            while not self._closed:
                deadline_s = self.deadline_s
                if deadline_s is not None and time.monotonic() > deadline_s:
                    self._break_all()
                try:
                    near, _ = self._listener.accept()
                except TimeoutError:
                    continue
                except OSError:
                    # This process may have no descriptor left: the driver waits for its deadline, which is still kept here.
                    time.sleep(TICK_S)
                    continue
                self.used = True
                try:
                    threading.Thread(target=self._serve, args=(near,), name="forwarded", daemon=True).start()
                except RuntimeError:  # no thread can be started
                    _reset(near)

    def _serve(self, near: socket.socket) -> None:
        way = _Way(near)
        with self._lock:
            self._open.add(way)
        try:
            if not self._closed:
                way.carry(self._dial)
        except OSError:
            way.break_off()
        finally:
            with self._lock:
                self._open.discard(way)
            way.end(self._closed)

    def _break_all(self) -> None:
        with self._lock:
            found = list(self._open)
        for way in found:
            way.break_off()


class _Way:
    """One connection of the driver, and ours behind it."""

    def __init__(self, near: socket.socket) -> None:
        self._ends = [near]
        self._broken = False

    def carry(self, dial: Callable[[], socket.socket]) -> None:
        """Carry bytes until both sides are at their end, or one is reset. Raises `OSError` when nothing answers the dial."""
        near = self._ends[0]
        near.settimeout(None)
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far = dial()
        self._ends.append(far)
        far.settimeout(None)
        if self._broken:
            return
        back = threading.Thread(target=self._copy, args=(far, near), name="forwarded-back", daemon=True)
        back.start()
        self._copy(near, far)
        back.join()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(CHUNK):
                sink.sendall(data)
            # An end that `break_off` made is not one that the other side made.
            if not self._broken:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            self.break_off()

    def break_off(self) -> None:
        self._broken = True
        for one in list(self._ends):
            _reset(one)

    def end(self, broken: bool) -> None:
        if broken or self._broken:
            self.break_off()
        for one in self._ends:
            one.close()


def _reset(one: socket.socket) -> None:
    """Close by a reset. `SHUT_RD` sends nothing, and wakes a thread that reads here."""
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        one.shutdown(socket.SHUT_RD)
    except OSError:
        pass
    one.close()
