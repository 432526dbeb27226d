"""Metrics and health over HTTP: what they say, and that a loop that hangs is not healthy."""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tribulation.node.runtime.telemetry.metrics as module
from tribulation.node.runtime.telemetry.metrics import Metrics, health, prometheus

STATUS = {
    "node": "n1",
    "role": "leader",
    "leader": "n1",
    "term": 3,
    "quorum": True,
    "torn": False,
    "voters": {"n1": 1, "n2": 2},
    "lifecycle": "ACTIVE",
    "odd": {'a "b"': 1.5},
    "empty": {},
}


def test_the_text_that_prometheus_reads() -> None:
    assert prometheus(STATUS).splitlines() == [
        "# TYPE tribulation_info gauge",
        'tribulation_info{node="n1",role="leader",leader="n1",lifecycle="ACTIVE"} 1',
        "# TYPE tribulation_term gauge",
        "tribulation_term 3",
        "# TYPE tribulation_quorum gauge",
        "tribulation_quorum 1",
        "# TYPE tribulation_torn gauge",
        "tribulation_torn 0",
        "# TYPE tribulation_voters gauge",
        'tribulation_voters{of="n1"} 1',
        'tribulation_voters{of="n2"} 2',
        "# TYPE tribulation_odd gauge",
        'tribulation_odd{of="a \\"b\\""} 1.5',
    ]


def test_who_is_healthy() -> None:
    assert health(STATUS) == (True, {"healthy": True, "why": [], "node": "n1", "role": "leader"})
    for change, word in (({"quorum": False}, "quorum"), ({"torn": True}, "tail"), ({"lifecycle": "FAILED"}, "FAILED")):
        good, body = health({**STATUS, **change})
        assert not good and word in body["why"][0]
    good, body = health(None)
    assert not good and "did not answer" in body["why"][0]


@contextmanager
def served(*, answers: bool) -> Iterator[int]:
    """A loop that answers whenever it is woken, or never."""
    woken = threading.Event()
    ended = threading.Event()
    metrics = Metrics(("127.0.0.1", 0), woken.set)

    def loop() -> None:
        while not ended.is_set():
            if woken.wait(0.05):
                woken.clear()
                if answers and metrics.wanted:
                    metrics.publish(STATUS)

    thread = threading.Thread(target=loop)
    thread.start()
    metrics.start()
    try:
        yield metrics.port
    finally:
        ended.set()
        thread.join()
        metrics.stop()


def get(port: int, path: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_loop_that_answers_is_served() -> None:
    with served(answers=True) as port:
        assert get(port, "/metrics") == (200, prometheus(STATUS))
        assert get(port, "/health")[0] == 200
        assert json.loads(get(port, "/status")[1]) == STATUS
        assert get(port, "/secrets")[0] == 404


def test_a_loop_that_hangs_is_not_healthy(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "ANSWER_S", 0.1)
    with served(answers=False) as port:
        code, body = get(port, "/health")
        assert code == 503 and not json.loads(body)["healthy"]
        assert get(port, "/metrics")[0] == 503


def open_slowly(port: int, source: str, count: int) -> list[socket.socket]:
    """Connections that have begun a request and do not end it."""
    begun = []
    for _ in range(count):
        sock = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))
        sock.sendall(b"GET /health HTTP/1.1\r\nA: ")
        begun.append(sock)
    return begun


def test_slow_connections_are_bounded_and_leave_room_for_other_addresses() -> None:
    before = threading.active_count()
    with served(answers=True) as port:
        begun = open_slowly(port, "127.0.0.2", 60)
        try:
            assert get(port, "/health")[0] == 200
            assert threading.active_count() <= before + 2 + module.CONNECTIONS
            ended = sum(is_ended(sock) for sock in begun[module.CONNECTIONS_OF_ONE :])
            assert ended == 60 - module.CONNECTIONS_OF_ONE, "the others were closed at once"
        finally:
            for sock in begun:
                sock.close()


def test_a_connection_that_asks_a_byte_at_a_time_ends(monkeypatch: Any) -> None:
    """The time-out of a single read starts again with each byte."""
    monkeypatch.setattr(module, "CONNECTION_S", 0.3)
    with served(answers=True) as port:
        begun = open_slowly(port, "127.0.0.2", 8)
        try:
            ended = threading.Event()
            threading.Thread(target=lambda: drip(begun[0], ended), daemon=True).start()
            assert ended.wait(10), "it was let go on"
            assert get(port, "/health")[0] == 200
        finally:
            for sock in begun:
                sock.close()


def drip(sock: socket.socket, ended: threading.Event) -> None:
    try:
        while not ended.wait(0.05):
            sock.sendall(b"a")
    except OSError:
        ended.set()


def is_ended(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) == b""
    except ConnectionError:
        return True
