"""Clients in processes of their own: what they answer, and what becomes of an operation when its process is paused, killed, or ends."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tribulation.harness.errors import DeployError
from tribulation.harness.run.clients import worker
from tribulation.harness.run.clients.client import ENDED, SILENT, ProcessClient
from tribulation.harness.run.clients.pool import ClientProcesses
from tribulation.harness.run.plan.plan import Slot
from tribulation.harness.systems.base import Op, Outcome

ADAPTER = """
import os
from subprocess import Popen

from tribulation.testing import Daemon, Outcome


class Own(Daemon):
    name, port = "own", 1

    def command(self, host, cluster):
        return ["true"]


class Client:
    def open(self, node, dial, timeout_s):
        print("not an answer")
        self.connection = dial(node, timeout_s)

    def invoke(self, op, timeout_s):
        if op.f == "raise":
            raise KeyError("of the client")
        if op.f == "bytes":
            return Outcome("ok", b"raw")
        if op.f == "exit":
            os._exit(3)
        if op.f in ("leave", "leave and exit"):
            with open(op.value, "w") as number:
                number.write(str(Popen(["sleep", "600"]).pid))
            if op.f == "leave and exit":
                os._exit(3)
        if op.f == "fork" and os.fork() == 0:
            return Outcome("ok", "of the copy")
        self.connection.settimeout(timeout_s)
        self.connection.sendall(f"{op.value}\\n".encode())
        return Outcome("ok", self.connection.recv(100).decode())

    def close(self):
        self.connection.close()


def service(options):
    return Own(options)


def client(options):
    return Client()
"""


class Echo:
    """A server that answers each line when it may, and knows how connections ended."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.received: list[str] = []
        self.ended = threading.Semaphore(0)
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def dial(self, node: str, timeout_s: float) -> socket.socket:
        if node == "nowhere":
            raise ConnectionRefusedError("nothing listens")
        return socket.create_connection(self.listener.getsockname(), timeout_s)

    def _accept(self) -> None:
        try:
            while True:
                threading.Thread(target=self._serve, args=(self.listener.accept()[0],), daemon=True).start()
        except OSError:
            return

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(100):
                self.received.append(data.decode().strip())
                self.may_answer.wait(10)
                connection.sendall(data.strip())
        self.ended.release()


@pytest.fixture
def server() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.may_answer.set()
    made.listener.close()


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[ClientProcesses]:
    (tmp_path / "own.py").write_text(ADAPTER)
    slots = [Slot(number, "register", number, 2, "n1") for number in range(2)]
    with closing(ClientProcesses(tmp_path / "own.py", {}, slots, tmp_path)) as made:
        yield made


def opened(pool: ClientProcesses, server: Echo, slot: int = 0, node: str = "n1") -> ProcessClient:
    client = pool.client_of(slot)()
    client.open(node, server.dial, 5.0)
    assert isinstance(client, ProcessClient)
    return client


def begun(client: ProcessClient, value: object, timeout_s: float = 0.3) -> Callable[[], Outcome]:
    """The operation on a thread of its own; its outcome when it is over."""
    answers: list[Outcome] = []
    thread = threading.Thread(target=lambda: answers.append(client.invoke(Op("write", "k", value), timeout_s)))
    thread.start()

    def over() -> Outcome:
        thread.join(10)
        return answers[0]

    return over


def until(true: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.002)


def test_it_answers_as_in_a_thread(pool: ClientProcesses, server: Echo) -> None:
    client = opened(pool, server)
    assert client.invoke(Op("write", "k", [1, "é"]), 5.0) == Outcome("ok", "[1, 'é']")
    (seen,) = pool.seen().values()
    assert (seen.slot, seen.workload, seen.node, seen.operation) == (0, "register", "n1", None)
    assert seen.process != os.getpid() and seen.state in ("S", "R")
    client.close()
    assert server.ended.acquire(timeout=5), "its connection was closed"
    until(lambda: next(iter(pool.seen().values())).state is None)


def test_what_a_client_raises_is_raised_with_its_traceback(pool: ClientProcesses, server: Echo) -> None:
    client = opened(pool, server)
    with pytest.raises(Exception, match="KeyError: 'of the client'") as caught:
        client.invoke(Op("raise"), 5.0)
    assert "own.py" in "".join(caught.value.__notes__)
    with pytest.raises(Exception, match="TypeError: invoke answered an Outcome whose value holds b'raw'"):
        client.invoke(Op("bytes"), 5.0)
    with pytest.raises(ConnectionError, match="ConnectionRefusedError: nothing listens"):
        opened(pool, server, 1, "nowhere")


def test_a_process_that_ends_leaves_its_operation_in_doubt(pool: ClientProcesses, server: Echo) -> None:
    assert opened(pool, server).invoke(Op("exit"), 5.0) == Outcome("info", error=ENDED)
    assert opened(pool, server).invoke(Op("write", "k", 1), 5.0).type == "ok"


def test_a_copy_that_a_client_forked_answers_no_later_operation(pool: ClientProcesses, server: Echo) -> None:
    client = opened(pool, server)
    client.invoke(Op("fork", "k", 1), 5.0)
    assert [client.invoke(Op("write", "k", value), 5.0).value for value in (2, 3)] == ["2", "3"]


def test_a_paused_client_goes_on_when_it_is_resumed(pool: ClientProcesses, server: Echo) -> None:
    client = opened(pool, server)
    (process,) = pool.seen()
    pool.pause([process])
    until(lambda: pool.seen([process])[process].is_stopped)
    assert client.invoke(Op("write", "k", "late"), 0.2) == Outcome("info", error=SILENT)
    client.close()
    successor = opened(pool, server)
    assert successor.invoke(Op("write", "k", "next"), 5.0).type == "ok"
    assert server.received == ["next"] and pool.seen([process])[process].is_stopped
    pool.resume([process])
    until(lambda: server.received == ["next", "late"])
    until(lambda: process not in (now := pool.seen([process])) or now[process].state is None)


def test_a_killed_client_stays_down_until_it_is_released(pool: ClientProcesses, server: Echo) -> None:
    server.may_answer.clear()
    client = opened(pool, server)
    over = begun(client, "open", 5.0)
    until(lambda: server.received == ["open"])
    ((process, seen),) = pool.seen().items()
    assert seen.operation == "write"
    pool.kill([process])
    assert over() == Outcome("info", error=ENDED)
    server.may_answer.set()
    assert server.ended.acquire(timeout=5), "the kernel closed its connection"
    client.close()
    with pytest.raises(ConnectionRefusedError, match="keeps this client's process down"):
        opened(pool, server)
    pool.release([process])
    (again,) = pool.seen()
    assert again != process and opened(pool, server).invoke(Op("write", "k", 1), 5.0).type == "ok"
    assert list(pool.seen()) == [again]


def test_everything_ends_with_the_run(tmp_path: Path, server: Echo) -> None:
    (tmp_path / "own.py").write_text(ADAPTER)
    pool = ClientProcesses(tmp_path / "own.py", {}, [Slot(0, "register", 0, 1, "n1")], tmp_path)
    opened(pool, server)
    (process,) = pool.seen()
    pool.pause([process])
    pool.close()
    until(lambda: not Path(f"/proc/{process}").exists())


@pytest.mark.parametrize("f", ["leave", "leave and exit"])
def test_what_a_client_started_ends_with_its_process(
    pool: ClientProcesses, server: Echo, tmp_path: Path, f: str
) -> None:
    client = opened(pool, server)
    client.invoke(Op(f, "k", str(tmp_path / "number")), 1.0)
    client.close()
    number = (tmp_path / "number").read_text()
    until(lambda: not Path(f"/proc/{number}").exists())


def test_an_adapter_that_does_not_load_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("raise RuntimeError('only once')\n")
    with pytest.raises(DeployError, match="the adapter was not loaded"):
        ClientProcesses(tmp_path / "own.py", {}, [], tmp_path)


PROGRAM = """
import json, socket, sys
print("begun", file=sys.stderr, flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "setup":
        at = request["addresses"][request["node"]]["client"]
        socket.create_connection((at["host"], at["port"]))
    print(json.dumps({"id": request["id"], "type": "ok"}), flush=True)
"""


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[ClientProcesses]:
    """A pool of one client, which is a program."""
    head = "import sys\nfrom tribulation.testing import ProgramClient\n"
    client = "class Client(ProgramClient):\n    command, operations = [sys.executable, 'program.py'], {'write'}\n"
    (tmp_path / "own.py").write_text(
        head + ADAPTER[: ADAPTER.index("class Client:")] + client + ADAPTER[ADAPTER.index("\n\ndef service") :]
    )
    (tmp_path / "program.py").write_text(PROGRAM)
    slots = [Slot(0, "register", 0, 1, "n1")]
    with closing(ClientProcesses(tmp_path / "own.py", {}, slots, tmp_path / "logs")) as made:
        yield made


def test_a_program_is_kept_while_its_node_refuses(programs: ClientProcesses, server: Echo, tmp_path: Path) -> None:
    (first,) = programs._spare.values()
    for _ in range(3):
        client = programs.client_of(0)()
        with pytest.raises(ConnectionError, match="nothing listens"):
            client.open("nowhere", server.dial, 5.0)
        client.close()
    assert programs._spare == {0: first}
    assert (tmp_path / "logs/0.log").read_text() == "begun\n"
    opened(programs, server)
    assert list(programs.seen()) == [first]
    until(lambda: programs._spare.get(0) not in (None, first))


def test_a_program_that_is_killed_while_its_node_refuses_has_a_successor(
    programs: ClientProcesses, server: Echo
) -> None:
    client = programs.client_of(0)()
    with pytest.raises(ConnectionError, match="nothing listens"):
        client.open("nowhere", server.dial, 5.0)
    client.close()
    (process,) = programs.seen()
    programs.kill([process])
    programs.release([process])
    (again,) = programs.seen()
    assert again != process
    opened(programs, server)


def test_a_program_that_does_not_start_is_an_error(tmp_path: Path, programs: ClientProcesses) -> None:
    (tmp_path / "program.py").write_text("raise SystemExit('no driver: error 7')")
    with pytest.raises(DeployError, match=r"ended with exit status 1 before it .*; its last words: no driver: error 7"):
        ClientProcesses(tmp_path / "own.py", {}, [Slot(0, "register", 0, 1, "n1")], tmp_path / "logs")


def test_a_run_that_ends_before_it_read_every_answer_has_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(ADAPTER)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    given = json.dumps({"file": str(tmp_path / "own.py"), "options": {}, "logs": str(tmp_path)})
    words = [sys.executable, "-m", worker.__name__, given]
    with theirs, open(tmp_path / "stderr", "wb") as stderr:
        process = subprocess.Popen(words, stdin=theirs.fileno(), stderr=stderr)
    assert select.select([ours], [], [], 60)[0], "the adapter was loaded"
    ours.close()
    assert process.wait(60) == 0
    assert (tmp_path / "stderr").read_text() == ""
