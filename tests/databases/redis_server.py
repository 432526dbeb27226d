"""Redis as a system under test: one server on the first host, which keeps an append-only file and syncs it before each answer.

Needs Debian's `redis-server`. `options: {appendfsync: everysec}` lets it lose what it acknowledged within a second before a power loss.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import Any

from tribulation.testing import Daemon, Dial, DriverClient, Host, Op, Outcome

CAS = (
    "local now = redis.call('GET', KEYS[1]) or 'nil' "
    "if now == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) return 'done' else return now end"
)


class Redis(Daemon):
    port = 16379
    programs = packages = ("redis-server",)

    def runs_on(self, host: Host, cluster: Sequence[Host]) -> bool:
        return host.name == cluster[0].name

    def command(self, host: Host, cluster: Sequence[Host]) -> Sequence[str]:
        fsync = str(self.options.get("appendfsync", "always"))
        network = ["--port", str(self.port), "--bind", "0.0.0.0", "--protected-mode", "no"]
        files = ["--dir", self.data_directory(host), "--appendonly", "yes", "--appendfsync", fsync, "--save", ""]
        return ["redis-server", *network, *files]

    def ready(self, host: Host) -> bool:
        return "PONG" in host.run(f"redis-cli -p {self.port} ping", check=False, timeout_s=5).stdout

    def leader(self, hosts: Sequence[Host], dial: Dial) -> str | None:
        return hosts[0].name

    def clock(self, host: Host) -> int | None:
        """The wall clock as the server sees it, in ns; None when it does not answer."""
        parts = host.run(f"redis-cli -p {self.port} time", check=False, timeout_s=5).stdout.split()
        return int(parts[0]) * 10**9 + int(parts[1]) * 1000 if len(parts) == 2 else None


class RedisError(Exception):
    """The server refused: LOADING and the like, before anything was done."""


class RedisClient(DriverClient):
    to_node = "n1"
    definite = (RedisError,)

    def connect(self, address: tuple[str, int], timeout_s: float) -> Connection:
        return Connection(address, timeout_s)

    def add(self, op: Op) -> None:
        self.connection.ask("SADD", op.key, op.value)

    def read(self, op: Op) -> Any:
        if op.workload == "set":
            return [int(item) for item in self.connection.ask("SMEMBERS", op.key)]
        return _value(self.connection.ask("GET", op.key))

    def write(self, op: Op) -> None:
        self.connection.ask("SET", op.key, op.value)

    def cas(self, op: Op) -> Outcome:
        expected, new = op.value
        answer = self.connection.ask("EVAL", CAS, 1, op.key, "nil" if expected is None else expected, new)
        return Outcome("ok") if answer == b"done" else Outcome("fail", _value(answer), error="mismatch")


class Connection:
    """A driver in a few lines: Redis's protocol over a socket of its own."""

    def __init__(self, address: tuple[str, int], timeout_s: float) -> None:
        self._socket = socket.create_connection(address, timeout_s)
        self._lines = self._socket.makefile("rb")

    def ask(self, *words: Any) -> Any:
        parts = [str(word).encode() for word in words]
        request = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        self._socket.sendall(request)
        return self._answer()

    def _answer(self) -> Any:
        line = self._lines.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("closed")
        kind, text = line[:1], line[1:-2]
        if kind == b"-":
            raise RedisError(text.decode())
        if kind == b"$":
            return None if text == b"-1" else self._lines.read(int(text) + 2)[:-2]
        if kind == b"*":
            return [self._answer() for _ in range(int(text))]
        return text

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


def _value(answer: bytes | None) -> int | None:
    return None if answer is None or answer == b"nil" else int(answer)


def service(options: Mapping[str, Any]) -> Redis:
    return Redis(options)


def client(options: Mapping[str, Any]) -> RedisClient:
    return RedisClient(options)
