"""Hosts that are folders of this machine with loopback addresses of their own: real processes and sockets, no namespaces."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.node.fuzz.processes import free_port as free_port
from tribulation.harness.errors import HostError
from tribulation.harness.hosts.base import Channel, CommandResult


class LoopbackHost:
    sudo: tuple[str, ...] = ()
    control = ("127.0.0.1", 22)

    def __init__(self, name: str, address: str, directory: Path, python: str = sys.executable) -> None:
        self.name = name
        self.address = address
        self.directory = str(directory)
        self.python = python

    def run(
        self, command: str | Sequence[str], *, timeout_s: float = 20.0, check: bool = True, stdin: bytes | None = None
    ) -> CommandResult:
        text = command if isinstance(command, str) else shlex.join(command)
        # It would end every process of this machine.
        assert not re.search(r"kill\b.*(--|-[A-Z0-9]+) +-?[01]\b", text), text
        started_s = time.monotonic()
        done = subprocess.run(
            ["sh", "-c", text], input=stdin or b"", capture_output=True, timeout=timeout_s, check=False
        )
        out, err = (stream.decode(errors="replace") for stream in (done.stdout, done.stderr))
        if check and done.returncode != 0:
            raise HostError(f"{self.name}: {text!r} ended with {done.returncode}: {err}")
        return CommandResult(done.returncode, out, err, time.monotonic() - started_s)

    def start(self, command: str | Sequence[str], *, timeout_s: float = 20.0) -> Channel:
        raise NotImplementedError("no test here needs a channel")

    def put(self, content: bytes, path: str, *, mode: int = 0o644, timeout_s: float = 60.0) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(target.name + ".put")
        temporary.write_bytes(content)
        temporary.chmod(mode)
        temporary.rename(target)

    def get(self, path: str, *, timeout_s: float = 60.0) -> bytes:
        return Path(path).read_bytes()


def make_hosts(directory: Path, count: int) -> list[LoopbackHost]:
    return [LoopbackHost(f"n{i}", f"127.0.0.{i}", directory / f"n{i}") for i in range(1, count + 1)]


def dial_to(hosts: Sequence[LoopbackHost], port: int) -> Callable[[str, float], socket.socket]:
    addresses = {host.name: host.address for host in hosts}

    def dial(node: str, timeout_s: float) -> socket.socket:
        sock = socket.create_connection((addresses[node], port), timeout=timeout_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    return dial


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = 10.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {timeout_s:g} s for {what}"
        time.sleep(0.01)
