"""Metrics and health over HTTP, for monitoring: `/metrics` (Prometheus text), `/health`, `/status` (JSON).

The HTTP threads know nothing of the node. They request the core's status from the loop and wait for it, with a deadline. If the loop does not answer
in time, the answer is that the node is not healthy. The data is read-only and without secrets, but it shows names and addresses: bind it to loopback
or to a private network.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .rates import origin

ANSWER_S = 1.0
CONNECTION_S = 5.0
CONNECTIONS = 16
CONNECTIONS_OF_ONE = 8
"""Connections of one address, at most, so that it leaves room for others."""
PREFIX = "tribulation"
_WORDS = ("node", "role", "leader", "lifecycle", "digest")
"""Fields of a status that are words: they become labels of one metric."""

Status = Mapping[str, Any]


class Metrics:
    """The metrics server, as the loop sees it. `wanted` is true when a thread waits for the status; `publish` passes the status to it."""

    def __init__(self, address: tuple[str, int], wake: Callable[[], None]) -> None:
        self._wake = wake
        self._asked = threading.Event()
        self._answered = threading.Condition()
        self._status: Status = {}
        self._answers = 0
        self._server = _Server(address, self)
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def refused(self) -> int:
        """Return the number of connections that were closed at once, because there were too many."""
        return self._server.refused

    @property
    def wanted(self) -> bool:
        return self._asked.is_set()

    def start(self) -> None:
        self._thread.start()

    def publish(self, status: Status) -> None:
        """Pass the loop's answer to all waiting threads."""
        self._asked.clear()
        with self._answered:
            self._status, self._answers = status, self._answers + 1
            self._answered.notify_all()

    def ask(self) -> Status | None:
        """Return the present status; None when the loop does not answer within `ANSWER_S`."""
        with self._answered:
            before = self._answers
            self._asked.set()
            self._wake()
            answered = self._answered.wait_for(lambda: self._answers > before, ANSWER_S)
            return self._status if answered else None

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(ANSWER_S)


def prometheus(status: Status) -> str:
    """Format a status as Prometheus text: numbers and flags as gauges, maps of numbers with a label `of`, words as labels of `tribulation_info`."""
    words = ",".join(f'{name}="{_escaped(status[name])}"' for name in _WORDS if status.get(name) is not None)
    lines = [f"# TYPE {PREFIX}_info gauge", f"{PREFIX}_info{{{words}}} 1"]
    for name, value in status.items():
        found = list(_samples(name, value))
        if found:
            lines += [f"# TYPE {PREFIX}_{name} gauge", *found]
    return "\n".join(lines) + "\n"


def health(status: Status | None) -> tuple[bool, dict[str, Any]]:
    """Return the health. A node is healthy when its loop answers, it is in contact with a quorum, and, if it is a member, it is in service."""
    if status is None:
        return False, {"healthy": False, "why": [f"the loop did not answer within {ANSWER_S:g} s"]}
    why = []
    if not status.get("quorum", True):
        why.append("no contact with a quorum: reads may be stale, writes are refused")
    if status.get("torn"):
        why.append("the log lost its tail, and no leader has made it whole yet")
    lifecycle = status.get("lifecycle", "ACTIVE")
    if lifecycle not in ("ACTIVE", "SYNCING"):
        why.append(f"as a member it is {lifecycle}")
    return not why, {"healthy": not why, "why": why, "node": status.get("node"), "role": status.get("role")}


def _samples(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, (bool, int, float)):
        yield f"{PREFIX}_{name} {float(value):g}" if isinstance(value, float) else f"{PREFIX}_{name} {int(value)}"
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(inner, (bool, int, float)):
                yield f'{PREFIX}_{name}{{of="{_escaped(key)}"}} {int(inner) if not isinstance(inner, float) else inner:g}'


def _escaped(value: Any) -> str:
    return str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class _Server(ThreadingHTTPServer):
    """One thread per connection, up to a bound. A connection has `CONNECTION_S` in total, however slowly it sends or reads."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], metrics: Metrics) -> None:
        self.metrics = metrics
        self.refused = 0
        self._lock = threading.Lock()
        self._open: dict[socket.socket, tuple[str, float]] = {}
        """Each with its address and the time by which it must end."""
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        host = origin(str(client_address[0]))
        with self._lock:
            held = sum(who == host for who, _ in self._open.values())
            full = len(self._open) >= CONNECTIONS or held >= CONNECTIONS_OF_ONE
            if not full:
                self._open[request] = (host, time.monotonic() + CONNECTION_S)
        if full:
            self.refused += 1
            self._close(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called twice a second by `serve_forever`."""
        now_s = time.monotonic()
        with self._lock:
            late = [request for request, (_, until_s) in self._open.items() if until_s <= now_s]
        for request in late:
            # This wakes the thread that reads or writes it, and the thread gives it up.
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A broken connection is not logged."""

    def _close(self, request: Any) -> None:
        with suppress(OSError):
            request.close()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = CONNECTION_S
    server_version, sys_version = PREFIX, ""

    def do_GET(self) -> None:
        if self.path not in ("/metrics", "/health", "/status"):
            self._answer(404, "text/plain", "there are /metrics, /health and /status\n")
            return
        status = self.server.metrics.ask()
        if self.path == "/health":
            good, body = health(status)
            self._answer(200 if good else 503, "application/json", json.dumps(body) + "\n")
        elif status is None:
            self._answer(503, "text/plain", f"the loop did not answer within {ANSWER_S:g} s\n")
        elif self.path == "/metrics":
            self._answer(200, "text/plain; version=0.0.4; charset=utf-8", prometheus(status))
        else:
            self._answer(200, "application/json", json.dumps(status) + "\n")

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are not logged: a scrape comes every few seconds."""

    def _answer(self, code: int, kind: str, text: str) -> None:
        data = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
