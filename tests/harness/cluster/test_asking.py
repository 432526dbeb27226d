"""The asker against scripted nodes, over real sockets: what is asked again, what is reported, and what is given up."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tribulation.harness.cluster.asking import Asker, Refused
from tribulation.harness.cluster.waiting import Missed
from tribulation.node.wire import Decoder, Kind, encode

HELLO = encode(Kind.HELLO, {"cluster": "test", "role": "node", "name": "n1", "incarnation": 1})
Answer = Callable[[Mapping[str, Any]], "Mapping[str, Any] | None"]


class Scripted:
    """A node that answers the requests that come, in order, with `answers`; None closes the connection instead. `asked` are their bodies."""

    def __init__(self, *answers: Mapping[str, Any] | None) -> None:
        self.asked: list[Mapping[str, Any]] = []
        self._answers = list(answers)
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
            with sock:
                self._talk(sock)

    def _talk(self, sock: socket.socket) -> None:
        sock.sendall(HELLO)
        decoder = Decoder()
        while data := sock.recv(65536):
            decoder.feed(data)
            while (found := decoder.next()) is not None:
                if found.kind is not Kind.REQUEST:
                    continue
                self.asked.append(found.payload)
                answer = self._answers.pop(0)
                if answer is None:
                    return
                sock.sendall(encode(Kind.REPLY, {"id": found.payload["id"], **answer}))


@pytest.fixture
def scripted() -> Iterator[Callable[..., tuple[Asker, Scripted]]]:
    made: list[tuple[Asker, Scripted]] = []

    def make(*answers: Mapping[str, Any] | None) -> tuple[Asker, Scripted]:
        node = Scripted(*answers)
        made.append((Asker("test", node.dial), node))
        return made[-1]

    yield make
    for asker, node in made:
        asker.close()
        node.close()


OK = {"status": "ok"}
NO_QUORUM = {"status": "fail", "error": "no-quorum", "message": "no contact"}


def test_a_command_is_sent_with_its_fields_and_a_deadline(scripted) -> None:
    asker, node = scripted({**OK, "awaited": True, "record": {"host": "n2"}})
    answer = asker.do("n1", "agents.spawn", {"agent": "a"}, settle=True, timeout_s=2.0)
    assert answer["record"] == {"host": "n2"}
    (body,) = node.asked
    assert (body["do"], body["with"], body["await"]) == ("agents.spawn", {"agent": "a"}, True)
    assert 0 < body["deadline_ms"] <= 2000


def test_what_passes_is_asked_again_and_what_does_not_is_reported(scripted) -> None:
    asker, node = scripted(NO_QUORUM, OK, {"status": "fail", "error": "no-room", "message": "n2 is full"})
    asker.do("n1", "agents.stop", {"agent": "a"})
    assert len(node.asked) == 2
    with pytest.raises(Refused, match=r"n1 answered agents.spawn with no-room: n2 is full"):
        asker.do("n1", "agents.spawn", {"agent": "a"})


def test_who_is_not_patient_hears_of_the_first_refusal(scripted) -> None:
    asker, node = scripted(NO_QUORUM)
    with pytest.raises(Refused) as refused:
        asker.do("n1", "agents.stop", {"agent": "a"}, patient=False)
    assert refused.value.error == "no-quorum" and len(node.asked) == 1


def test_what_was_recorded_but_not_done_in_time_is_missed_with_its_record(scripted) -> None:
    asker, _ = scripted({**OK, "awaited": False, "record": {"state": "queued"}})
    with pytest.raises(Missed, match=r"tasks.submit .* not done within 5 s; its record: \{'state': 'queued'\}"):
        asker.do("n1", "tasks.submit", {"task": "t"}, settle=True)


def test_a_kept_connection_that_broke_is_made_anew(scripted) -> None:
    asker, node = scripted(OK, None, {**OK, "leader": "n1"})
    asker.do("n1", "agents.stop", {"agent": "a"})
    status = asker.status("n1")
    assert status is not None and status["leader"] == "n1"
    assert len(node.asked) == 3


def test_a_node_that_closes_is_one_that_does_not_answer(scripted) -> None:
    asker, _ = scripted(None)
    assert asker.status("n1") is None


def test_nobody_listens(scripted) -> None:
    asker, node = scripted()
    node.close()
    assert asker.looked("n1", "members") is None
    with pytest.raises(Missed, match=r"n1 did not answer agents.stop"):
        asker.do("n1", "agents.stop", {"agent": "a"}, timeout_s=0.1)


def test_a_view_is_its_first_result(scripted) -> None:
    asker, node = scripted({**OK, "results": [{"n1": {}}]}, NO_QUORUM)
    assert asker.view("n1", "members", level="stale") == {"n1": {}}
    assert (node.asked[0]["view"], node.asked[0]["level"]) == ("members", "stale")
    assert asker.looked("n1", "members") is None
