"""The helper that simulates the wire: a detached process that holds the queue of arriving packets and decides about each one (`shaping`).

It receives requests over a unix socket, one JSON line per connection, and has no other contact with the agent:

    {"do": "set", "links": {vertex: shape}, "resets": {vertex: {…}}, "control": [address, port]}    →  {"counters": …}
    {"do": "ask"}                                                                                   →  {"counters": …}
    {"do": "quit"}     release all waiting packets, then end                          →  {"counters": …}

It also breaks connections periodically (`connections`). Rules that send packets here bypass a queue without a holder, so a killed helper
stops no traffic; and a helper whose socket path was removed ends by itself.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import os
import select
import socket
import subprocess
import sys
import time
from random import Random
from typing import Any

from ..processes import proc
from ..state.lines import read_object, receive_line
from ..state.log import log_line
from . import connections
from .nfqueue import ACCEPT, DROP, HEADERS, WHOLE, Queue
from .shaping import Links, rewritten, shape_problem

Json = dict[str, Any]
QUEUE = 7133
SOCKET = "links.sock"
START_S = 60.0
ANSWER_S = 5.0
ERROR_CHARACTERS = 4000
BREAKING_AT_MOST = 16
LOOK_S = 1.0
AT_ONCE = 256
"""Packets that are read between two checks for packets that are due."""


class Wire:
    def __init__(self, path: str) -> None:
        self._path = path
        self._random = Random()
        self._links = Links(self._random)
        self._queue: Queue | None = None
        self._due: list[tuple[int, int, bytes | None]] = []
        self._resets: dict[str, tuple[int, Json]] = {}
        self._control: list[Any] = []
        self._breaking: list[subprocess.Popen[bytes]] = []
        self._listener = _listen(path)
        self._inode = os.stat(path).st_ino

    def run(self) -> None:
        quitting = False
        while not quitting and self._is_wanted():
            waited: list[Any] = [self._listener, *([self._queue] if self._queue else [])]
            ready = select.select(waited, [], [], self._patience_s())[0]
            if self._queue in ready:
                self._take()
            self._release(time.monotonic_ns())
            self._break_connections(time.monotonic_ns())
            if self._listener in ready:
                quitting = self._answer()
        self._open()
        if self._queue is not None:
            # What came meanwhile must not be lost with the queue.
            self._take(1 << 20)
            self._open()
            self._queue.close()

    def _patience_s(self) -> float:
        now_ns = time.monotonic_ns()
        due_ns = [self._due[0][0]] if self._due else []
        due_ns += [at_ns for at_ns, _ in self._resets.values()]
        return min([LOOK_S, *(max(0, at_ns - now_ns) / 1e9 for at_ns in due_ns)])

    def _is_wanted(self) -> bool:
        with contextlib.suppress(OSError):
            return os.stat(self._path).st_ino == self._inode
        return False

    def _take(self, at_most: int = AT_ONCE) -> None:
        assert self._queue is not None
        for _ in range(at_most):
            packet = self._queue.read()
            if packet is None:
                return
            link = self._links.of(packet.source)
            if link is None:
                self._queue.verdict(packet.number, ACCEPT)
                continue
            now_ns = time.monotonic_ns()
            fate = self._links.fate(link, packet.length, now_ns, time.time_ns())
            if fate.held:
                link.held.append(packet.number)
            elif fate.at_ns is None:
                self._queue.verdict(packet.number, DROP)
            else:
                payload = rewritten(packet.payload, fate.rewrites, self._random)
                if fate.at_ns <= now_ns:
                    self._queue.verdict(packet.number, ACCEPT, payload)
                else:
                    heapq.heappush(self._due, (fate.at_ns, packet.number, payload))

    def _release(self, now_ns: int) -> None:
        while self._due and self._due[0][0] <= now_ns:
            _, number, payload = heapq.heappop(self._due)
            assert self._queue is not None
            self._queue.verdict(number, ACCEPT, payload)

    def _open(self) -> None:
        """Release all waiting packets now, in order and unchanged."""
        waiting = [*self._links.change({}), *(number for _, number, _ in self._due)]
        self._due.clear()
        for number in sorted(waiting):
            assert self._queue is not None
            self._queue.verdict(number, ACCEPT)

    def _answer(self) -> bool:
        """Handle one request; return whether it was the last."""
        try:
            connection, _ = self._listener.accept()
        except OSError:
            # The host may have no descriptor left. The client waits, and packets go on.
            return False
        with connection, contextlib.suppress(OSError, ValueError):
            request = read_object(receive_line(connection, ANSWER_S))
            error = None
            try:
                if request.get("do") == "set":
                    self._set(request)
                elif request.get("do") == "quit":
                    self._open()
            except Exception as trouble:
                # The packets of this host wait here: no request may end it.
                error = f"{type(trouble).__name__}: {trouble}"[:ERROR_CHARACTERS]
            answer = {"counters": self._links.counters(), "error": error}
            connection.sendall(json.dumps(answer).encode() + b"\n")
            return bool(request.get("do") == "quit")
        return False

    def _set(self, request: Json) -> None:
        _judge(request)
        now_ns = time.monotonic_ns()
        if request["links"] and self._queue is None:
            self._queue = Queue(QUEUE)
        freed = self._links.change(request["links"])
        if self._queue is not None:
            for number in freed:
                self._queue.verdict(number, ACCEPT)
            self._queue.copy(WHOLE if self._links.rewriting else HEADERS)
        if not request["links"]:
            self._open()
        self._control = request["control"]
        self._resets = {
            name: self._resets.get(name, (now_ns + reset["period_ns"], reset))
            for name, reset in request["resets"].items()
        }

    def _break_connections(self, now_ns: int) -> None:
        self._breaking = [process for process in self._breaking if process.poll() is None]
        for name, (at_ns, reset) in self._resets.items():
            if at_ns <= now_ns and len(self._breaking) < BREAKING_AT_MOST:
                # What breaks next does not wait for what should have been broken meanwhile.
                self._resets[name] = (max(at_ns + reset["period_ns"], now_ns), reset)
                try:
                    self._breaking.append(connections.start_breaking(reset["addresses"], self._control))
                except Exception as error:
                    # The look at the link shows that nothing broke; the packets of this host wait here.
                    log_line(f"connections with {name} were not broken: {error}")


def _judge(request: Json) -> None:
    """Validate a request before any of it is active. Raises `ValueError`."""
    links, resets, control = request.get("links"), request.get("resets"), request.get("control")
    if not isinstance(links, dict) or not isinstance(resets, dict) or not isinstance(control, list):
        raise ValueError("links and resets are objects, control is a list")
    for vertex, shape in links.items():
        problem = shape_problem(shape)
        if problem is not None:
            raise ValueError(f"the shape of {vertex[:80]} {problem}")
    for vertex, reset in resets.items():
        if (
            not isinstance(reset, dict)
            or type(reset.get("period_ns")) is not int
            or not 0 < reset["period_ns"] < 1 << 62
        ):
            raise ValueError(f"the reset of {vertex[:80]} has no period_ns")
        if shape_problem({"addresses": reset.get("addresses")}) is not None:
            raise ValueError(f"the reset of {vertex[:80]} has no addresses")


def begin(program: str, path: str) -> subprocess.Popen[bytes] | None:
    """Start a helper unless one answers, without waiting for it (`await_start`): rules may be made meanwhile."""
    if holder(path) is None:
        with open(f"{path}.log", "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-I", program, "wire", os.path.dirname(path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
    return None


def await_start(path: str, child: subprocess.Popen[bytes] | None) -> list[int]:
    """Wait for the helper; return its pid and start time."""
    if child is not None:
        assert child.stdout is not None
        with child.stdout as answer:
            ready, _, _ = select.select([answer], [], [], START_S)
            if not ready or answer.readline() != b"ready\n":
                raise RuntimeError(f"the links' helper did not start within {START_S:g} s; see {path}.log")
    pid = holder(path) if child is None else child.pid
    known = None if pid is None else proc.read(pid)
    if pid is None or known is None:
        raise RuntimeError(f"the links' helper {pid} has ended; see {path}.log")
    return [pid, known.started]


def send(path: str, request: Json, timeout_s: float = ANSWER_S) -> Json:
    """Send a request to the helper. Raises `OSError` if none answers, `RuntimeError` if it failed."""
    with _connect(path, timeout_s) as connection:
        connection.sendall(json.dumps(request).encode() + b"\n")
        answer = read_object(receive_line(connection, timeout_s) or b"{}")
    if answer.get("error"):
        raise RuntimeError(f"the links' helper: {answer['error']}")
    return answer


def holder(path: str) -> int | None:
    """The process that listens there, as reported by the kernel, or None."""
    try:
        with _connect(path, ANSWER_S) as connection:
            data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            connection.sendall(b'{"do": "ask"}\n')
            return int.from_bytes(data[:4], sys.byteorder)
    except OSError:
        return None


def _connect(path: str, timeout_s: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout_s)
    try:
        with _short(path) as short:
            connection.connect(short)
    except BaseException:
        connection.close()
        raise
    return connection


def _listen(path: str) -> socket.socket:
    """Listen at `path`. A socket file there is removed: whatever starts a helper checks first that no other one answers."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with _short(path) as short:
        listener.bind(short)
    os.chmod(path, 0o600)
    listener.listen(16)
    return listener


@contextlib.contextmanager
def _short(path: str) -> Any:
    """Yield the path through its folder's descriptor: a unix socket's path may have 107 bytes only."""
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    finally:
        os.close(folder)


def run(path: str) -> None:
    """Run until a request to end, or until the socket path is removed; the path is removed at the end."""
    wire = Wire(path)
    with contextlib.suppress(OSError):
        # A wire does not wait for the programs at its ends. Without the right to a higher priority, it keeps its own.
        os.nice(-10)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        wire.run()
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
