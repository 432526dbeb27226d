"""Redis as a system under test: one server on the first host, which keeps an append-only file and syncs it before each answer.

Needs Debian's `redis-server`. `options: {appendfsync: everysec}` lets it lose what it acknowledged within a second before a power loss.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import Any

from tribulation.harness.hosts.base import Host
from tribulation.harness.systems.base import Dial, Op, Outcome

PORT = 16379
CAS = (
    "local now = redis.call('GET', KEYS[1]) or 'nil' "
    "if now == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) return 'done' else return now end"
)


class RedisService:
    """Implements `tribulation.harness.systems.base.Service`."""

    name = "redis"
    capabilities = frozenset({"clock", "disk"})
    port = PORT

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._appendfsync = str(options.get("appendfsync", "always"))
        self._first = ""

    def _at(self, host: Host, name: str = "") -> str:
        return f"{host.directory}/redis/{name}"

    def data_directory(self, host: Host) -> str:
        return self._at(host, "data")

    def install(self, host: Host, cluster: Sequence[Host]) -> None:
        self._first = cluster[0].name
        host.run(["mkdir", "-p", self.data_directory(host)])
        settings = {
            "port": PORT,
            "bind": "0.0.0.0",
            "protected-mode": "no",
            "dir": self.data_directory(host),
            "appendonly": "yes",
            "appendfsync": self._appendfsync,
            "save": '""',
            "daemonize": "no",
        }
        text = "".join(f"{name} {value}\n" for name, value in settings.items())
        host.put(text.encode(), self._at(host, "redis.conf"))

    def start(self, host: Host, environment: Mapping[str, str]) -> None:
        if host.name != self._first or self.pid(host) is not None:
            return
        variables = " ".join(f"{name}={value}" for name, value in environment.items())
        server = f"env {variables} setsid redis-server {self._at(host, 'redis.conf')}"
        host.run(f"cd {self._at(host)} && ({server} >>server.log 2>&1 & echo $! >pid)")

    def wait_ready(self, host: Host, timeout_s: float) -> None:
        if host.name == self._first:
            tries = max(1, int(timeout_s * 10))
            ask = f"redis-cli -p {PORT} ping | grep -q PONG"
            host.run(f"for i in $(seq {tries}); do {ask} && exit 0; sleep 0.1; done; exit 1", timeout_s=timeout_s + 10)

    def pid(self, host: Host) -> int | None:
        file = self._at(host, "pid")
        look = f"grep -q redis-server /proc/$(cat {file})/cmdline && cat {file}"
        found = host.run(look, check=False)
        return int(found.stdout) if found.exit_code == 0 and found.stdout.strip() else None

    def stop(self, host: Host) -> None:
        pid = self.pid(host)
        if pid is not None:
            host.run(f"kill {pid}; for i in $(seq 100); do kill -0 {pid} || exit 0; sleep 0.05; done", check=False)

    def collect(self, host: Host) -> Mapping[str, bytes]:
        return {"logs/server.log": host.get(self._at(host, "server.log"))} if host.name == self._first else {}

    def uninstall(self, host: Host) -> None:
        host.run(["rm", "-rf", self._at(host)])

    def leader(self, hosts: Sequence[Host], dial: Dial) -> str | None:
        return self._first

    def status(self, host: Host, dial: Dial) -> Mapping[str, Any] | None:
        return None

    def clock(self, host: Host) -> int | None:
        """The wall clock as the server sees it, in ns; None when it does not answer."""
        found = host.run(f"redis-cli -p {PORT} time", check=False, timeout_s=5)
        parts = found.stdout.split()
        return int(parts[0]) * 10**9 + int(parts[1]) * 1000 if len(parts) == 2 else None


class RedisClient:
    """Speaks Redis's protocol over a plain socket. An answer that does not come leaves a write in doubt."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._socket: socket.socket | None = None

    def open(self, node: str, dial: Dial, timeout_s: float) -> None:
        self._socket = dial(self._server, timeout_s)
        self._lines = self._socket.makefile("rb")

    def invoke(self, op: Op, timeout_s: float) -> Outcome:
        assert self._socket is not None
        self._socket.settimeout(timeout_s)
        try:
            return self._try(op)
        except OSError as error:
            return Outcome("fail" if op.f == "read" else "info", error=type(error).__name__)
        except RedisError as error:
            # LOADING and the like: refused before anything was done.
            return Outcome("fail", error=str(error))

    def _try(self, op: Op) -> Outcome:
        if op.f == "add":
            self._ask("SADD", op.key, op.value)
            return Outcome("ok")
        if op.f == "read" and op.workload == "set":
            return Outcome("ok", [int(item) for item in self._ask("SMEMBERS", op.key)])
        if op.f == "read":
            return Outcome("ok", _value(self._ask("GET", op.key)))
        if op.f == "write":
            self._ask("SET", op.key, op.value)
            return Outcome("ok")
        expected, new = op.value
        answer = self._ask("EVAL", CAS, 1, op.key, "nil" if expected is None else expected, new)
        return Outcome("ok") if answer == b"done" else Outcome("fail", _value(answer), error="mismatch")

    def _ask(self, *words: Any) -> Any:
        assert self._socket is not None
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
        if self._socket is not None:
            self._socket.close()


class RedisError(Exception):
    """The server refused."""


def _value(answer: bytes | None) -> int | None:
    return None if answer is None or answer == b"nil" else int(answer)


def service(options: Mapping[str, Any]) -> RedisService:
    return RedisService(options)


def client(options: Mapping[str, Any]) -> RedisClient:
    return RedisClient(str(options.get("server", "n1")))
