"""The socket client against scripted nodes: real sockets, exact deadlines, and a connection that ends with doubt."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tribulation.harness.systems.base import Op
from tribulation.harness.systems.reference.client import ReferenceClient
from tribulation.node.wire import Decoder, Kind, encode

HELLO = encode(Kind.HELLO, {"cluster": "test", "role": "node", "name": "n1", "incarnation": 1})
Conversation = Callable[[socket.socket, Callable[[], dict]], None]


class ScriptedNode:
    """One listener; `conversation(sock, next_payload)` plays the node on each connection, after the client's hello."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    def dial(self, node: str, timeout_s: float) -> socket.socket:
        return socket.create_connection(self._listener.getsockname(), timeout=timeout_s)

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    def _talk(self, sock: socket.socket) -> None:
        decoder = Decoder()

        def next_payload() -> dict:
            while (found := decoder.next()) is None:
                data = sock.recv(65536)
                if not data:
                    raise ConnectionError
                decoder.feed(data)
            return found.payload

        with sock:
            try:
                next_payload()
                self._conversation(sock, next_payload)
            except OSError:
                return


@pytest.fixture
def node() -> Iterator[Callable[[Conversation], ScriptedNode]]:
    nodes: list[ScriptedNode] = []

    def make(conversation: Conversation) -> ScriptedNode:
        nodes.append(ScriptedNode(conversation))
        return nodes[-1]

    yield make
    for made in nodes:
        made.close()


def silent_after_hello(sock: socket.socket, next_payload: Callable[[], dict]) -> None:
    sock.sendall(HELLO)
    next_payload()
    next_payload()


def test_a_read_and_a_write(node: Callable[[Conversation], ScriptedNode]) -> None:
    def talk(sock: socket.socket, next_payload: Callable[[], dict]) -> None:
        sock.sendall(HELLO)
        while True:
            body = next_payload()
            reply = {"id": body["id"], "status": "ok", "index": 5, "node": "n1", "results": [3]}
            data = encode(Kind.REPLY, reply | ({"session": 4} if "open" in body else {}))
            # In two pieces, as a network may deliver it.
            sock.sendall(data[:5])
            sock.sendall(data[5:])

    client = ReferenceClient("test")
    client.open("n1", node(talk).dial, 2.0)
    assert client.invoke(Op("read", "k"), 2.0).value == 3
    outcome = client.invoke(Op("write", "k", 3), 2.0)
    assert (outcome.type, outcome.extra["session"], outcome.extra["seq"]) == ("ok", 4, 1)
    client.close()


def test_a_silent_node_costs_the_deadline_and_no_more(node: Callable[[Conversation], ScriptedNode]) -> None:
    client = ReferenceClient("test")
    client.protocol.session = 1
    client.open("n1", node(silent_after_hello).dial, 2.0)
    started_s = time.monotonic()
    outcome = client.invoke(Op("write", "k", 1), 0.3)
    elapsed_s = time.monotonic() - started_s
    assert (outcome.type, outcome.error) == ("info", "timeout")
    assert 0.29 < elapsed_s < 1.0
    assert client.invoke(Op("read", "k"), 1.0).error == "no-connection", "doubt ends the connection"


def test_a_trickle_does_not_extend_the_deadline(node: Callable[[Conversation], ScriptedNode]) -> None:
    def talk(sock: socket.socket, next_payload: Callable[[], dict]) -> None:
        sock.sendall(HELLO)
        body = next_payload()
        for byte in encode(Kind.REPLY, {"id": body["id"], "status": "ok", "pad": "x" * 500}):
            sock.sendall(bytes([byte]))
            time.sleep(0.02)

    client = ReferenceClient("test")
    client.open("n1", node(talk).dial, 2.0)
    started_s = time.monotonic()
    assert client.invoke(Op("read", "k"), 0.3).type == "fail"
    assert time.monotonic() - started_s < 1.0


def test_a_node_that_hangs_up_leaves_a_write_in_doubt(node: Callable[[Conversation], ScriptedNode]) -> None:
    def talk(sock: socket.socket, next_payload: Callable[[], dict]) -> None:
        sock.sendall(HELLO)
        next_payload()

    client = ReferenceClient("test")
    client.protocol.session = 1
    client.open("n1", node(talk).dial, 2.0)
    outcome = client.invoke(Op("write", "k", 1), 2.0)
    assert (outcome.type, outcome.error) == ("info", "connection-lost")


@pytest.mark.parametrize(
    "answer",
    [
        encode(Kind.ERROR, {"error": "bad-hello", "message": "the hello is of cluster 'x'", "hint": ""}),
        b"HTTP/1.1 400\r\n",
        b"",
    ],
    ids=["refused", "foreign", "closed"],
)
def test_opening_fails_where_there_is_no_node_of_this_cluster(
    node: Callable[[Conversation], ScriptedNode], answer: bytes
) -> None:
    client = ReferenceClient("test")
    with pytest.raises(OSError):
        client.open("n1", node(lambda sock, next_payload: sock.sendall(answer)).dial, 2.0)
    assert client.invoke(Op("read", "k"), 1.0).error == "no-connection"


def test_opening_is_bounded_too(node: Callable[[Conversation], ScriptedNode]) -> None:
    client = ReferenceClient("test")
    started_s = time.monotonic()
    with pytest.raises(TimeoutError):
        client.open("n1", node(lambda sock, next_payload: next_payload() and None).dial, 0.3)
    assert time.monotonic() - started_s < 1.0
