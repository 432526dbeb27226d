"""Nothing that a connection causes ends the node: not what it sends, and not an error in what handles it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tribulation.node.core.interface.messages import TimeoutNow, to_wire
from tribulation.node.runtime.network import network as network_module
from tribulation.node.runtime.network.connection import Connection
from tribulation.node.runtime.network.datagrams import Datagrams
from tribulation.node.runtime.network.inbound import Inbound
from tribulation.node.runtime.network.link import Link
from tribulation.node.wire import MAX_PAYLOAD, Kind, encode, frame

from .one_node import FrameClient, OneNode, wait_for

LONG = {"ascii": "i" * (MAX_PAYLOAD - 100), "escaped three times": "é" * 400_000, "one too many": "i" * 65}


class Injected(Exception):
    """What a handler raises in these tests; nothing catches it by name."""


@pytest.mark.parametrize("request_", [{"admin": "status"}, {"open": True}, {"ops": [["r", "k"]]}, {"memory": "digest"}])
@pytest.mark.parametrize("id_", LONG)
def test_an_id_that_is_too_long_is_refused_and_not_repeated(tmp_path: Path, id_: str, request_: dict[str, Any]) -> None:
    with OneNode(tmp_path) as node:
        with node.client() as client:
            raw = json.dumps({"id": LONG[id_], **request_}, ensure_ascii=False).encode()
            client.send(frame(Kind.REQUEST, raw))
            answer = client.answer()
            assert (answer["id"], answer["status"], answer["error"]) == (None, "fail", "bad-request")
            assert len(json.dumps(answer)) < 1000 and "64 characters" in answer["message"]
            assert client.ask({"id": 2, "admin": "status"})["id"] == 2
        assert node.broken == {}


@pytest.mark.parametrize("id_", ["i" * 64, 2**63 - 1, -(2**63), 0, ""])
def test_an_id_at_the_bound_comes_back(tmp_path: Path, id_: int | str) -> None:
    with OneNode(tmp_path) as node, node.client() as client:
        assert client.ask({"id": id_, "admin": "status"})["id"] == id_


def test_an_answer_that_fits_no_frame_is_replaced_by_one_that_does(tmp_path: Path) -> None:
    """Replies are bounded by construction: the id has a bound, and so has whatever else is in one."""
    with OneNode(tmp_path) as node, node.client() as client:
        sessions: list[int] = []
        # A leader that has just been elected may refuse the first requests.
        wait_for(
            lambda: sessions.extend(filter(None, [client.ask({"id": 1, "open": True}).get("session")])) or sessions,
            "a session",
        )
        (session,) = sessions
        for seq in range(1, 12):
            ops = [["append", "k", "v" * 100_000]]
            answer = client.ask({"id": "é" * 64, "session": session, "seq": seq, "ops": ops})
        assert (answer["id"], answer["error"]) == ("é" * 64, "reply-too-large")


def test_the_bound_on_requests_in_flight_repeats_no_long_id(tmp_path: Path) -> None:
    """The answer `busy` is given before the core sees the request."""
    with OneNode(tmp_path) as node, node.client() as client:
        many = [encode(Kind.REQUEST, {"id": number, "ops": [["r", "k"]]}) for number in range(300)]
        client.send(b"".join(many) + encode(Kind.REQUEST, {"id": LONG["ascii"], "open": True}))
        answers = [client.answer() for _ in range(301)]
        assert {answer["id"] for answer in answers if type(answer["id"]) is not int} == {None}


def ask(node: OneNode) -> None:
    with node.client() as victim:
        assert victim.ask({"id": 1, "admin": "status"}) == {}


def say_hello_only(node: OneNode) -> None:
    with node.client() as victim:
        assert victim.next() is None


def come_as_a_node(node: OneNode) -> None:
    with FrameClient(node.address, role="node") as victim:
        victim.send(frame(Kind.MESSAGE, json.dumps(to_wire(TimeoutNow(1))).encode()))
        assert victim.next() is None


def send_a_datagram(node: OneNode) -> None:
    from socket import AF_INET, SOCK_DGRAM, socket

    with socket(AF_INET, SOCK_DGRAM) as sock:
        sock.sendto(b"anything", node.udp)
    wait_for(lambda: "Injected" in node.broken, "the datagram")


HANDLERS: dict[str, tuple[Any, str, Callable[[OneNode], None]]] = {
    "the socket is ready": (Inbound, "on_ready", say_hello_only),
    "bytes are read": (Connection, "receive", say_hello_only),
    "a frame is decoded": (Connection, "next_frame", say_hello_only),
    "a frame is taken": (Inbound, "_take", ask),
    "a hello is taken": (Inbound, "_take_hello", say_hello_only),
    "a node comes": (Inbound, "_take_hello", come_as_a_node),
    "a request is taken": (Inbound, "_take_request", ask),
    "a reply is queued": (Inbound, "reply", ask),
    "bytes are queued": (Connection, "queue", ask),
    "bytes are sent": (Connection, "flush", ask),
    "the queue is flushed": (Inbound, "flush", ask),
    "time passes": (Inbound, "tick", say_hello_only),
    "a connection is accepted": (network_module, "tune", say_hello_only),
    "a datagram is read": (Datagrams, "_take", send_a_datagram),
}


@pytest.mark.parametrize("place", HANDLERS)
def test_whatever_a_handler_raises_ends_its_connection_and_nothing_else(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name, provoke = HANDLERS[place]
    original, left = getattr(owner, name), [1]

    def raising(*arguments: Any) -> Any:
        if left:
            left.pop()
            raise Injected(place)
        return original(*arguments)

    with OneNode(tmp_path, membership={"udp_port": 9999, "broadcast": False}) as node:
        with node.client() as bystander:
            assert bystander.ask({"id": 1, "admin": "status"})["status"] == "ok"
            monkeypatch.setattr(owner, name, raising)
            if name == "tick":
                # Whose tick is next is the loop's affair: the bystander may be the one.
                wait_for(lambda: not left, "a tick")
            else:
                provoke(node)
                assert not left, "it was not injected"
                assert bystander.ask({"id": 2, "admin": "status"})["status"] == "ok"
        wait_for(lambda: dict(node.broken) == {"Injected": 1}, "the count")
        node.serves()
    log = [json.loads(line) for line in (tmp_path / "node.log").read_text().splitlines()]
    (line,) = [line for line in log if "an error of this node" in line["message"]]
    assert "Injected" in line["traceback"]


def test_an_end_that_fails_too_ends_no_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(*arguments: Any) -> Any:
        raise Injected

    with OneNode(tmp_path) as node:
        monkeypatch.setattr(Inbound, "_take_request", raising)
        monkeypatch.setattr(Connection, "half_close", raising)
        original = Connection.close

        def closing(connection: Connection) -> None:
            original(connection)
            raise Injected

        monkeypatch.setattr(Connection, "close", closing)
        ask(node)
        monkeypatch.undo()
        node.serves()
        assert node.broken["Injected"] >= 2


def test_a_link_that_raises_is_dialled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, left = Link._dial, [3]

    def raising(link: Link, now_ns: int) -> None:
        if left[0]:
            left[0] -= 1
            raise Injected
        original(link, now_ns)

    monkeypatch.setattr(Link, "_dial", raising)
    with OneNode(tmp_path) as node:
        node.runtime._network.meet("n2", "127.0.0.1", 1)  # type: ignore[union-attr]
        wait_for(lambda: left[0] == 0 and node.broken.get("Injected") == 3, "three attempts")
        node.serves()
