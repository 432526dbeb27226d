"""Client programs: what they answer, stamps that are refused, and one sentence for each way in which a program goes wrong."""

from __future__ import annotations

import json
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.systems.adapter import program_process
from tribulation.harness.systems.adapter.forwarder import Forwarder
from tribulation.harness.systems.adapter.program import ProgramClient
from tribulation.harness.systems.adapter.program_messages import Answer, WrongAnswer, answer_of, outcome_of
from tribulation.harness.systems.base import Op, Outcome

PROGRAM = """
import json, os, socket, sys, time

def say(**answer):
    print(json.dumps(answer), flush=True)

def stamped(request, **more):
    now = time.monotonic_ns()
    say(**{"id": request["id"], "type": "ok", "invoked_ns": now, "completed_ns": now, **more})

print("it began", file=sys.stderr, flush=True)
connections = {}
for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "hello":
        say(id=request["id"], type="ok")
        continue
    if request["do"] == "setup":
        setup, how = request, request["options"].get("setup")
        if how == "exit":
            print("Error: cannot find it", file=sys.stderr)
            print("version 20", file=sys.stderr)
            sys.exit(3)
        if how == "refused":
            say(id=request["id"], type="fail", error="the driver was refused")
        elif how == "banner":
            print("Listening", flush=True)
        else:
            if how != "alone":
                at = request["addresses"][request["node"]]["client"]
                connections["own"] = socket.create_connection((at["host"], at["port"]))
            say(id=request["id"], type="ok")
        continue
    f, value = request["f"], request["value"]
    if f == "echo":
        invoked = time.monotonic_ns()
        connections["own"].sendall(value.encode())
        seen = connections["own"].recv(100).decode()
        stamped(request, value=seen, invoked_ns=str(invoked), served_by="n2", extra={"term": 4})
    elif f == "request":
        stamped(request, value=[setup, request])
    elif f == "wait":
        try:
            stamped(request, type="info", error=repr(connections["own"].recv(100)))
        except OSError as error:
            stamped(request, type="info", error=type(error).__name__)
    elif f == "raw":
        os.write(1, value.encode("latin-1"))
    elif f == "stamps":
        stamped(request, **{name: time.monotonic_ns() + by for name, by in value.items()})
    elif f == "unstamped":
        say(id=request["id"], type="ok")
    elif f == "served by":
        stamped(request, served_by=value)
    elif f == "deep":
        deep = 1
        for _ in range(value):
            deep = [deep]
        stamped(request, value=deep)
    elif f == "extra":
        stamped(request, extra=value)
    elif f == "twice":
        stamped(request)
        print("once more", flush=True)
    elif f == "exit":
        sys.exit(0)
    elif f == "kill":
        os.kill(os.getpid(), request.get("value") or 9)
    elif f == "stop answering":
        os.close(1)
        time.sleep(60)
    elif f == "fail":
        stamped(request, type="fail", error="mismatch", value=7)
    elif f == "flood":
        os.write(2, b"x" * (3 << 20))
        stamped(request)
    elif f == "endless":
        while True:
            os.write(1, b"x" * 65536)
    elif f == "silent":
        time.sleep(60)
"""


class Own(ProgramClient):
    command = (sys.executable, "program.py")
    operations = frozenset({"echo"})
    folder = Path()

    def _folder(self) -> Path:
        return self.folder


class Echo:
    """A server that answers each message with itself, unless it is `nothing`."""

    def __init__(self) -> None:
        self.addresses = {"n1": "10.0.0.1", "n2": "10.0.0.2"}
        self.dialled: list[tuple[str, int]] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def __call__(self, node: str, timeout_s: float) -> socket.socket:
        return self.at(node, 0, timeout_s)

    def at(self, node: str, port: int, timeout_s: float) -> socket.socket:
        self.dialled.append((node, port))
        return socket.create_connection(self.listener.getsockname(), timeout_s)

    def _accept(self) -> None:
        try:
            while True:
                threading.Thread(target=self._serve, args=(self.listener.accept()[0],), daemon=True).start()
        except OSError:
            return

    @staticmethod
    def _serve(connection: socket.socket) -> None:
        with connection, suppress(ConnectionResetError):
            while data := connection.recv(100):
                connection.sendall(data)


@pytest.fixture
def server() -> Iterator[Echo]:
    made = Echo()
    with closing(made.listener):
        yield made


@pytest.fixture
def opened(tmp_path: Path, server: Echo) -> Iterator[Callable[..., Own]]:
    """`opened(setup="refused")`: a client with that option, which is closed after the test."""
    (tmp_path / "program.py").write_text(PROGRAM)
    made: list[Own] = []

    def make(**options: Any) -> Own:
        client = Own(options)
        client.folder = tmp_path
        made.append(client)
        client.prepare(tmp_path / "stderr.log")
        client.open("n1", server, 10.0)
        return client

    yield make
    for one in made:
        one.close()


def asked(client: ProgramClient, f: str, value: Any = None, timeout_s: float = 10.0) -> Outcome:
    return client.invoke(Op(f, "k", value, workload="register"), timeout_s)


def test_it_answers_over_an_address_of_the_setup(opened: Callable[..., Own], server: Echo) -> None:
    answer = asked(opened(), "echo", "é")
    assert (answer.type, answer.value, answer.error) == ("ok", "é", None)
    stamps = answer.extra["client_ns"]
    assert answer.extra == {"term": 4, "served_by": "n2", "client_ns": stamps} and 0 <= stamps[0] <= stamps[1]
    assert server.dialled == [("n1", 0)]


def test_its_requests_name_the_operation_every_node_and_a_deadline(
    opened: Callable[..., Own], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Own, "ports", {"peer": 7})
    setup, invoke = asked(opened(more=1), "request", 3).value
    assert {node: sorted(ports) for node, ports in setup["addresses"].items()} == {
        "n1": ["client", "peer"],
        "n2": ["client", "peer"],
    }
    assert setup["network"] == {"n1": "10.0.0.1", "n2": "10.0.0.2"}
    assert (setup["do"], setup["id"], setup["node"], setup["options"]) == ("setup", 2, "n1", {"more": 1})
    deadline_ns = invoke.pop("deadline_ns")
    assert 0 < deadline_ns - time.monotonic_ns() < 10e9
    assert invoke == {
        "do": "invoke",
        "id": 3,
        "f": "request",
        "key": "k",
        "value": 3,
        "level": "linearizable",
        "workload": "register",
    }


def test_a_refused_setup_is_no_connection(opened: Callable[..., Own]) -> None:
    with pytest.raises(ConnectionError, match="the driver was refused"):
        opened(setup="refused")


WRONG: dict[str, tuple[str, Any, str, str]] = {
    "ends": ("exit", None, "client-ended", "ended with exit status 0 before it answered; its last words: it began"),
    "is killed": ("kill", None, "client-ended", "ended by SIGKILL before it answered"),
    "is killed by a nameless signal": ("kill", 40, "client-ended", "ended by signal 40 before it answered"),
    "closes its output": ("stop answering", None, "client-ended", "closed its standard output before it answered"),
    "a line that is not JSON": ("raw", "Listening\n", "client-error", "wrote a line that is not JSON: 'Listening'"),
    "bytes": ("raw", "\u00e9\n", "client-error", "wrote a line that is not JSON"),
    "no answer": ("raw", "[1]\n", "client-error", "answered '[1]': Expected `object`, got `array`"),
    "without a type": ("raw", '{"id": 3}\n', "client-error", "Object missing required field `type`"),
    "another type": ("raw", '{"id": 3, "type": "okay"}\n', "client-error", "Invalid enum value 'okay'"),
    "another field": ("raw", '{"id": 3, "type": "ok", "vaule": 1}\n', "client-error", "unknown field `vaule`"),
    "a field twice": (
        "raw",
        '{"id": 3, "type": "fail", "type": "ok"}\n',
        "client-error",
        "an object has 'type' twice",
    ),
    "of no node": ("served by", "n99", "client-error", "answered served_by 'n99', which is not a node of the cluster"),
    "another request": (
        "raw",
        '{"id": 9, "type": "ok"}\n',
        "client-error",
        "answered request 9, and 3 is the open one",
    ),
    "too deep": ("deep", 51, "client-error", "answered a value that is nested more than 50 deep"),
    "far too deep": ("deep", 900, "client-error", "answered a value that is nested more than 50 deep"),
    "a field as extra": ("extra", {"time": 1}, "client-error", "answered with extra 'time', which is a field of every"),
    "half a line": ("raw", '{"id"', "client-silent", """did not answer to the end of its line '{"id"' in time"""),
    "nothing": ("silent", None, "client-silent", "did not answer in time"),
    "an endless line": ("endless", None, "client-error", "wrote a line of more than 1 MiB"),
    "no stamps": ("unstamped", None, "client-error", "answered an operation without invoked_ns"),
    "too early": ("stamps", {"invoked_ns": -(10**10)}, "client-error", "ms before the request was sent"),
    "too late": ("stamps", {"completed_ns": 10**10}, "client-error", "ms after its answer was received"),
    "the wrong way round": ("stamps", {"invoked_ns": 10**9}, "client-error", "ms before invoked_ns"),
    "negative": ("stamps", {"invoked_ns": -(10**18)}, "client-error", "Expected `int` >= 0"),
}


@pytest.mark.parametrize("how", WRONG)
def test_each_way_to_go_wrong_is_in_doubt_and_one_sentence(
    opened: Callable[..., Own], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(program_process, "LONGEST_LINE", 1 << 20)
    f, value, error, message = WRONG[how]
    answer = asked(opened(), f, value, 0.3 if error == "client-silent" else 10.0)
    assert (answer.type, answer.error) == ("info", error)
    said = answer.extra["message"]
    assert message in said and "program.py" in said and len(said) < 250, said


def test_output_without_a_request_is_found_at_the_next_one(opened: Callable[..., Own]) -> None:
    client = opened()
    assert asked(client, "twice").type == "ok"
    program = client.connection
    deadline_s = time.monotonic() + 5
    assert program._read or program_process._ready(program._output, select.POLLIN, deadline_s)
    answer = asked(client, "echo", "x")
    assert answer.error == "client-error" and "wrote 'once more' without a request" in answer.extra["message"]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("exit", "ended with exit status 3 before it answered; its last words: Error: cannot find it"),
        ("banner", "wrote a line that is not JSON: 'Listening'"),
    ],
)
def test_a_mistake_in_the_setup_is_an_error_of_the_client(opened: Callable[..., Own], how: str, message: str) -> None:
    answer = asked(opened(setup=how), "echo", "x")
    assert (answer.type, answer.error) == ("info", "client-error") and message in answer.extra["message"]


def test_a_connection_that_is_accepted_late_is_one(opened: Callable[..., Own], monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may connect and answer before the forwarder's thread runs."""
    accept = Forwarder._accept
    monkeypatch.setattr(Forwarder, "_accept", lambda forwarder: (time.sleep(0.3), accept(forwarder)))
    assert asked(opened(), "twice").type == "ok"


def test_an_answer_over_no_address_of_ours_is_refused(opened: Callable[..., Own]) -> None:
    answer = asked(opened(setup="alone"), "request")
    assert answer.type == "info" and "had not connected to an address of its setup" in answer.extra["message"]


def test_a_refusal_keeps_its_value(opened: Callable[..., Own]) -> None:
    answer = asked(opened(), "fail")
    assert (answer.type, answer.value, answer.error) == ("fail", 7, "mismatch")


def test_a_program_that_waits_too_long_gets_a_reset_and_can_answer(opened: Callable[..., Own]) -> None:
    answer = asked(opened(), "wait", timeout_s=0.2)
    assert (answer.type, answer.error) == ("info", "ConnectionResetError")


def test_standard_error_is_kept_up_to_a_bound(opened: Callable[..., Own], tmp_path: Path) -> None:
    client = opened()
    assert asked(client, "request").type == "ok" and asked(client, "flood").type == "ok"
    client.close()
    kept = (tmp_path / "stderr.log").read_bytes()
    assert kept.startswith(b"it began\nxxx") and len(kept) == program_process.MOST_STDERR


def test_nothing_runs_after_it_is_closed(opened: Callable[..., Own]) -> None:
    client = opened()
    process = client.connection._process
    asked(client, "silent", timeout_s=0.1)
    client.close()
    assert process.poll() is not None


@given(
    st.integers(0, 10**19 - 1),
    st.integers(0, 10**6),
    st.integers(-(10**6), 10**6),
    st.integers(-(10**6), 10**6),
    st.booleans(),
)
def test_stamps_are_kept_only_inside_of_the_window(sent: int, window: int, first: int, last: int, text: bool) -> None:
    invoked, completed = max(0, sent + first), max(0, sent + last)
    answer = Answer(2, "ok", invoked_ns=str(invoked) if text else invoked, completed_ns=completed)
    if sent <= invoked <= completed <= sent + window:
        assert outcome_of(answer, sent, sent + window).extra["client_ns"] == [invoked - sent, completed - sent]
    else:
        with pytest.raises(WrongAnswer, match="stamped"):
            outcome_of(answer, sent, sent + window)


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda one: json.dumps(one).encode())
)
def test_any_line_is_an_answer_or_is_refused(line: bytes) -> None:
    try:
        assert answer_of(line, 1).id == 1
    except WrongAnswer as error:
        assert len(str(error)) < 400 and "\n" not in str(error)


def test_mistakes_of_the_class_are_known_before_anything_starts() -> None:
    class Nothing(ProgramClient):
        command = ("no-such-program",)

    class Text(ProgramClient):
        command = "node client.js"
        operations = "read"
        files = "client.js"

    class Numbers(ProgramClient):
        command, operations, files = (sys.executable,), 5, 5  # type: ignore[assignment]

    class NotExecutable(Own):
        command = (__file__,)

    class Gone(Own):
        files = ("not-there.js",)

    assert list(Nothing().problems()) == [
        "Nothing.command: there is no program 'no-such-program' on this machine",
        "Nothing.operations is (): a set of the operations that the program has",
    ]
    assert [problem.split(":")[0] for problem in Text().problems()] == [
        "Text.command returned 'node client.js', not a list of a program and its arguments",
        "Text.operations is 'read'",
        "Text.files is 'client.js'",
    ]
    assert [problem.split(":")[0] for problem in Numbers().problems()] == [
        "Numbers.operations is 5",
        "Numbers.files is 5",
    ]
    (problem,) = NotExecutable().problems()
    assert problem.startswith("NotExecutable.command: there is no program ")
    assert list(Gone().problems()) == ["Gone.files names 'not-there.js', and there is no such file"]
    assert list(Own().problems()) == []
