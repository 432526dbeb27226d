"""The base classes of adapters, with real processes and real sockets."""

from __future__ import annotations

import errno
import shlex
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tribulation.harness.nemesis.cluster.fault_disk import OnDisk
from tribulation.harness.systems.adapter.forwarder import Forwarder
from tribulation.testing import Daemon, DeployError, DriverClient, Host, Op, Outcome

from .loopback import LoopbackHost

RESET = struct.pack("ii", 1, 0)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        yield server


@pytest.fixture
def forwarder(listener: socket.socket) -> Iterator[Forwarder]:
    made = Forwarder(lambda: socket.create_connection(listener.getsockname(), 5))
    yield made
    made.close()


def joined(forwarder: Forwarder, listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    near = socket.create_connection(forwarder.address, 10)
    far, _ = listener.accept()
    far.settimeout(10)
    return near, far


def test_bytes_and_a_half_close_go_both_ways(forwarder: Forwarder, listener: socket.socket) -> None:
    near, far = joined(forwarder, listener)
    with near, far:
        near.sendall(b"question")
        near.shutdown(socket.SHUT_WR)
        assert far.recv(100) == b"question" and far.recv(100) == b""
        far.sendall(b"answer")
        far.shutdown(socket.SHUT_WR)
        assert near.recv(100) == b"answer" and near.recv(100) == b""


def test_a_side_that_does_not_read_stops_only_its_sender(forwarder: Forwarder, listener: socket.socket) -> None:
    near, far = joined(forwarder, listener)
    with near, far:
        near.settimeout(0.3)
        with pytest.raises(TimeoutError):
            near.sendall(bytes(200_000_000))
        near.settimeout(10)
        far.sendall(b"still here")
        assert near.recv(100) == b"still here"


@pytest.mark.parametrize("which", ["near", "far"])
def test_a_reset_is_a_reset_on_the_other_side(forwarder: Forwarder, listener: socket.socket, which: str) -> None:
    near, far = joined(forwarder, listener)
    resets, sees = (near, far) if which == "near" else (far, near)
    with near, far:
        resets.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        resets.close()
        with pytest.raises(ConnectionResetError):
            sees.recv(100)


def test_what_cannot_be_dialled_is_a_reset(listener: socket.socket) -> None:
    def refused() -> socket.socket:
        raise ConnectionRefusedError

    forwarder = Forwarder(refused)
    with pytest.raises(ConnectionResetError), socket.create_connection(forwarder.address, 10) as near:
        near.recv(100)
    forwarder.close()


def test_a_deadline_ends_a_driver_that_waits_for_ever(forwarder: Forwarder, listener: socket.socket) -> None:
    near, far = joined(forwarder, listener)
    with near, far:
        forwarder.deadline_s = time.monotonic() + 0.1
        with pytest.raises(ConnectionResetError):
            near.recv(100)


def test_closing_ends_everything_and_leaves_no_thread(listener: socket.socket) -> None:
    before = threading.active_count()
    forwarder = Forwarder(lambda: socket.create_connection(listener.getsockname(), 5))
    near, far = joined(forwarder, listener)
    forwarder.close()
    with near, far, pytest.raises(ConnectionResetError):
        near.recv(100)
    deadline_s = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert threading.active_count() <= before


class DriverError(Exception):
    """What the driver of another project raises."""


class Refused(DriverError):
    """Nothing was done."""


class Lines(DriverClient):
    definite = (Refused,)

    def connect(self, address: tuple[str, int], timeout_s: float) -> socket.socket:
        return socket.create_connection(address, timeout_s)

    def write(self, op: Op) -> None:
        raise {"refused": Refused, "doubt": DriverError, "net": ConnectionResetError, "bug": TypeError}[op.value]

    def read(self, op: Op) -> Any:
        self.connection.sendall(b"?")
        return int(self.connection.recv(10))

    def cas(self, op: Op) -> Outcome:
        return Outcome("fail", 3, error="mismatch")

    def wait(self, op: Op) -> Any:
        self.connection.settimeout(None)
        return self.connection.recv(10) or 0


@pytest.fixture
def client(listener: socket.socket) -> Iterator[Lines]:
    found = Lines()
    found.open("n1", lambda node, timeout_s: socket.create_connection(listener.getsockname(), timeout_s), 5)
    yield found
    found.close()


def test_what_a_driver_raises_becomes_an_outcome(client: Lines) -> None:
    outcomes = {value: client.invoke(Op("write", "k", value), 5) for value in ("refused", "doubt", "net")}
    assert [(one.type, one.error) for one in outcomes.values()] == [
        ("fail", "Refused"),
        ("info", "DriverError"),
        ("info", "ConnectionResetError"),
    ]
    assert client.invoke(Op("cas", "k", [1, 2]), 5) == Outcome("fail", 3, error="mismatch")
    with pytest.raises(TypeError):
        client.invoke(Op("write", "k", "bug"), 5)
    with pytest.raises(NotImplementedError, match="'enqueue'"):
        client.invoke(Op("enqueue", "k", 1), 5)


def test_an_answer_and_an_answer_that_does_not_come(client: Lines, listener: socket.socket) -> None:
    far, _ = listener.accept()
    with far:
        far.sendall(b"7")
        assert client.invoke(Op("read", "k"), 5) == Outcome("ok", 7)
        began_s = time.monotonic()
        assert client.invoke(Op("wait", "k"), 0.2).type == "info"
        assert time.monotonic() - began_s < 5


def test_a_node_that_refuses_refuses_the_client() -> None:
    def refused(node: str, timeout_s: float) -> socket.socket:
        raise ConnectionRefusedError(node)

    with pytest.raises(ConnectionRefusedError, match="n2"):
        Lines().open("n2", refused, 1)


SERVER = """
import os, signal, socketserver, subprocess, sys
child = subprocess.Popen(["sleep", "1000"])
print("child", child.pid, flush=True)
if sys.argv[2] == "ends":
    sys.exit("no such disk")
class Server(socketserver.TCPServer):
    allow_reuse_address = True
Server(("127.0.0.1", int(sys.argv[1])), socketserver.BaseRequestHandler).serve_forever()
"""


class Served(Daemon):
    port = 0
    programs: Sequence[str] = ("sh",)
    mode = "stays"

    def files(self, host: Host, cluster: Sequence[Host]) -> Mapping[str, str]:
        return {"server.py": SERVER}

    def command(self, host: Host, cluster: Sequence[Host]) -> Sequence[str]:
        return [sys.executable, self.path(host, "server.py"), str(self.port), self.mode]


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_a_daemon_is_installed_started_stopped_and_gone(tmp_path: Path) -> None:
    host = LoopbackHost("n1", "127.0.0.1", str(tmp_path / "it's $(here)"))
    served = Served()
    with socket.create_server(("127.0.0.1", 0)) as free:
        served.port = free.getsockname()[1]
    assert served.capabilities == {"clock", "disk"}
    served.install(host, [host])
    assert served.pid(host) is None
    served.start(host, {"NAME": "a b"})
    served.wait_ready(host, 20)
    pid = served.pid(host)
    assert pid is not None and b"NAME=a b" in Path(f"/proc/{pid}/environ").read_bytes()
    served.start(host, {})
    assert served.pid(host) == pid
    log = Path(served.kept_files(host)["logs/server.log"])
    child = int(log.read_text().split()[1])
    served.stop(host)
    assert served.pid(host) is None
    until(lambda: not Path(f"/proc/{child}").exists() or "Z (zombie)" in Path(f"/proc/{child}/status").read_text())
    # Another process has the number now.
    Path(served.path(host, "pid")).write_text("1 1\n")
    assert served.pid(host) is None
    # It died before its start time was read.
    Path(served.path(host, "pid")).write_text("999999999 \n")
    assert served.pid(host) is None
    served.uninstall(host)
    assert not Path(served.path(host)).exists()


def test_what_is_missing_and_what_ends_at_once_is_said(tmp_path: Path) -> None:
    host = LoopbackHost("n1", "127.0.0.1", str(tmp_path))
    served = Served()
    served.programs, served.packages = ("no-such-program",), ("such-package",)  # type: ignore[misc]
    with pytest.raises(DeployError, match="needs no-such-program") as refused:
        served.install(host, [host])
    assert "apt-get install such-package" in str(refused.value)
    served.programs, served.mode = (), "ends"  # type: ignore[misc]
    served.install(host, [host])
    served.start(host, {})
    with pytest.raises(DeployError, match=r"ended while it started: (?s:.*)no such disk"):
        served.wait_ready(host, 20)
    served.uninstall(host)


def test_what_a_preparation_leaves_running_ends_with_the_system(tmp_path: Path) -> None:
    """A command that took too long goes on: an initdb kept its disk in use after its run had ended."""

    class Slow(Served):
        def prepare(self, host: Host, cluster: Sequence[Host]) -> None:
            file = shlex.quote(self.path(host, "child"))
            host.run(f"sleep 300 </dev/null >/dev/null 2>&1 & echo $! >{file}; wait", timeout_s=1)

    host, slow = LoopbackHost("n1", "127.0.0.1", str(tmp_path / "it's here")), Slow()
    with pytest.raises(subprocess.TimeoutExpired):
        slow.install(host, [host])
    child = int(Path(slow.path(host, "child")).read_text())
    assert Path(f"/proc/{child}").exists()
    slow.uninstall(host)
    until(lambda: not Path(f"/proc/{child}").exists() or "Z (zombie)" in Path(f"/proc/{child}/status").read_text())


def test_a_daemon_without_data_has_no_disk_to_harm() -> None:
    class InMemory(Daemon):
        data = None

    assert isinstance(Served(), OnDisk) and not isinstance(InMemory(), OnDisk)
    assert "disk" not in InMemory().capabilities


@pytest.mark.parametrize("pid", [1, True, 0, -1, "12"])
def test_a_stop_signals_no_process_that_is_not_the_systems(tmp_path: Path, pid: Any) -> None:
    """A signal to the group of number 1 would reach every process of the host."""

    class Wrong(Daemon):
        port = 1

        def command(self, host: Host, cluster: Sequence[Host]) -> Sequence[str]:
            return ["sleep", "100"]

        def pid(self, host: Host) -> int | None:
            found: int | None = pid
            return found

    class Listening(LoopbackHost):
        def run(self, command: str | Sequence[str], **_: Any) -> Any:
            raise AssertionError(f"{command!r} is run")

    with pytest.raises(DeployError, match=r"Wrong\.pid\(n1\) answered"):
        Wrong().stop(Listening("n1", "127.0.0.1", tmp_path))


def test_a_forwarder_that_lacked_descriptors_accepts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    accept, refused = socket.socket.accept, []

    def full(self: socket.socket) -> Any:
        if len(refused) < 3:
            refused.append(self)
            raise OSError(errno.EMFILE, "Too many open files")
        return accept(self)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(socket.socket, "accept", full)
        forwarder = Forwarder(lambda: socket.create_connection(listener.getsockname(), 5))
        with socket.create_connection(forwarder.address, 5) as near:
            far, _ = accept(listener)
            with far:
                near.sendall(b"here")
                assert far.recv(4) == b"here" and len(refused) == 3
        forwarder.close()
