"""PySyncObj (PyPI): three replicas, each behind the TCP front of `syncobj_server.py`."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.node.fuzz.processes import free_port

from .load import DEADLINE_S, VALUE, Processes

NODES = ("p1", "p2", "p3")
SERVER = Path(__file__).with_name("syncobj_server.py")


class SyncObj(Processes):
    name = "pysyncobj"
    nodes = NODES
    durable = "in memory at a majority: it never syncs"
    reads = "local: may be stale"

    def __init__(self, timing: str = "default") -> None:
        if importlib.util.find_spec("pysyncobj") is None:
            raise RuntimeError("pysyncobj is not installed; hint: make bench-peers brings it")
        self._timing = timing
        ports = [free_port() for _ in range(6)]
        self._ports = dict(zip(NODES, ports[:3], strict=True))
        self._own = {node: f"127.0.0.1:{port}" for node, port in zip(NODES, ports[3:], strict=True)}
        super().__init__()

    def started(self, node: str) -> subprocess.Popen[bytes]:
        partners = [address for name, address in self._own.items() if name != node]
        command = [sys.executable, str(SERVER), self._timing, str(self._ports[node]), self._own[node], *partners]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def leader(self) -> str:
        deadline_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline_s:
            for port in self._ports.values():
                try:
                    answer = _Client(port, "leader").wait()
                except OSError:
                    continue
                for node, address in self._own.items():
                    if answer == f"ok {address}":
                        return node
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} has no leader after {DEADLINE_S} s")

    def client(self, node: str, what: str, timeout_s: float = DEADLINE_S) -> _Client:
        return _Client(self._ports[node], what, timeout_s)


class _Client:
    def __init__(self, port: int, what: str, timeout_s: float = DEADLINE_S) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._what = what
        self._unread = b""

    def ask(self, key: str) -> None:
        self.sock.sendall(f"w {key} {VALUE}\n".encode() if self._what == "write" else f"r {key}\n".encode())

    def hear(self) -> int:
        chunk = self.sock.recv(1 << 16)
        if not chunk:
            raise ConnectionError("a PySyncObj replica ended the connection")
        *lines, self._unread = (self._unread + chunk).split(b"\n")
        for line in lines:
            if not line.startswith(b"ok"):
                raise RuntimeError(f"PySyncObj answered {line.decode()}")
        return len(lines)

    def wait(self) -> str:
        """Ask for the leader, once; the connection is closed."""
        with self.sock:
            self.sock.sendall(b"leader\n")
            answer = b""
            while not answer.endswith(b"\n"):
                chunk = self.sock.recv(4096)
                if not chunk:
                    break
                answer += chunk
            return answer.decode().strip()
