"""Adapters of systems with several processes and ports on a host, with real processes and real sockets."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tribulation.harness.agent.faults import named
from tribulation.harness.agent.processes import processes
from tribulation.testing import Daemon, DeployError, DriverClient, Host, Op, Outcome

from .loopback import LoopbackHost, free_port


class Pair(Daemon):
    def processes(self, host: Host, cluster: Sequence[Host]) -> Mapping[str, Sequence[str]]:
        serve = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(1000)"
        return {name: [sys.executable, "-c", serve, str(port)] for name, port in self.ports.items()}


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Pair, LoopbackHost]]:
    host, made = LoopbackHost("n1", "127.0.0.1", str(tmp_path / "it's here")), Pair()
    made.ports = {"one": free_port(), "two": free_port()}  # type: ignore[misc]
    made.install(host, [host])
    made.start(host, {})
    try:
        made.wait_ready(host, 30)
        yield made, host
    finally:
        made.uninstall(host)


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_each_process_has_a_name_a_log_and_a_port(pair: tuple[Pair, LoopbackHost]) -> None:
    made, host = pair
    assert set(made.kept_files(host)) == {"logs/server.log", "logs/one.log", "logs/two.log"}
    assert "processes" in made.capabilities and "processes" not in Daemon().capabilities
    pids = {name: processes.find(dict(how)) for name, how in made.controls(host).items()}
    assert None not in pids.values() and len({*pids.values(), made.pid(host)}) == 3
    made.stop(host)
    until(lambda: not any(processes.alive(pid) for pid in pids.values() if pid))


def test_one_is_killed_and_started_and_the_other_goes_on(pair: tuple[Pair, LoopbackHost]) -> None:
    made, host = pair
    config = {"named": {name: dict(how) for name, how in made.controls(host).items()}}
    one, two = (processes.find(config["named"][name]) for name in ("one", "two"))
    wanted = {"one": {"killed": True}}
    force = named.change(named.claim({}, wanted, config), wanted, config)
    assert one and two and not processes.alive(one) and processes.alive(two)
    time.sleep(0.3)
    assert processes.find(config["named"]["one"]) is None, "its supervisor started it again"
    assert set(force) == {"one"} and made.pid(host) is not None
    assert named.undo(force) and not named.undo({})
    until(lambda: processes.find(config["named"]["one"]) not in (None, one))
    assert processes.find(config["named"]["two"]) == two


def test_one_is_stopped_and_continued(pair: tuple[Pair, LoopbackHost]) -> None:
    made, host = pair
    config = {"named": {name: dict(how) for name, how in made.controls(host).items()}}
    wanted = {"two": {"paused": True}}
    force = named.change(named.claim({}, wanted, config), wanted, config)
    states = {name: processes.tree(config["named"][name]).processes for name in ("one", "two")}
    assert [process.stopped for process in states["two"]] == [True]
    assert [process.stopped for process in states["one"]] == [False]
    assert named.change(named.claim(force, {}, config), {}, config) == {}
    assert [process.stopped for process in processes.tree(config["named"]["two"]).processes] == [False]


def test_one_that_ends_by_itself_stays_down_and_a_start_starts_both(pair: tuple[Pair, LoopbackHost]) -> None:
    made, host = pair
    how = dict(made.controls(host)["one"])
    one, root = processes.find(how), made.pid(host)
    assert one and root
    os.kill(one, signal.SIGKILL)
    until(lambda: Path(how["marker"]).exists())
    with pytest.raises(DeployError, match="ended while it started"):
        made.wait_ready(host, 20)
    os.killpg(root, signal.SIGKILL)
    until(lambda: made.pid(host) is None)
    made.start(host, {})
    assert not Path(how["marker"]).exists(), "it is of the process before"
    made.wait_ready(host, 30)
    assert processes.find(how) not in (None, one)


class Asking(DriverClient):
    """Asks the first port of its node which node to talk to."""

    def connect(self, address: tuple[str, int], timeout_s: float) -> Any:
        with socket.create_connection(self.address(port=7), timeout_s) as sock:
            said = sock.recv(100).decode()
        self.served_by = next(node for node, known in self.addresses.items() if known == said)
        return socket.create_connection(self.address(self.served_by), timeout_s)

    def read(self, op: Op) -> int:
        return int(self.connection.recv(10))


class Servers:
    """A `PortDial`: each node and port a server that says one word."""

    addresses: Mapping[str, str] = {"n1": "10.0.0.1", "n2": "10.0.0.2"}

    def __init__(self) -> None:
        self.dialled: list[tuple[str, int]] = []

    def __call__(self, node: str, timeout_s: float) -> socket.socket:
        return self.at(node, 1, timeout_s)

    def at(self, node: str, port: int, timeout_s: float) -> socket.socket:
        self.dialled.append((node, port))
        near, far = socket.socketpair()
        far.sendall(b"10.0.0.2" if port == 7 else b"5")
        far.detach()
        return near


def test_a_client_that_asks_whom_to_talk_to_says_who_answered() -> None:
    servers, client = Servers(), Asking()
    client.open("n1", servers, 5)
    try:
        assert client.invoke(Op("read"), 5) == Outcome("ok", 5, extra={"served_by": "n2"})
        assert servers.dialled == [("n1", 1), ("n1", 7), ("n2", 1)]
    finally:
        client.close()


def test_a_client_of_a_single_server_says_who_answered() -> None:
    """It is bound to a node that serves no client: a checker must not take that one for the server."""

    class Single(Asking):
        to_node = "n1"

        def connect(self, address: tuple[str, int], timeout_s: float) -> Any:
            return socket.create_connection(address, timeout_s)

    client = Single()
    client.open("n2", Servers(), 5)
    assert client.invoke(Op("read"), 5) == Outcome("ok", 5, extra={"served_by": "n1"})
    client.close()


def test_other_ports_need_a_dial_that_reaches_them() -> None:
    client = Asking()
    near, far = socket.socketpair()
    with near, far, pytest.raises(TypeError, match="port 7 of n1"):
        client.open("n1", lambda node, timeout_s: near, 5)
