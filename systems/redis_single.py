"""Redis, one server on the first host: it keeps an append-only file and syncs it before each answer.

`options: {appendfsync: everysec}` lets it lose what it acknowledged within a second before a power loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

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
        network = ["--port", str(self.port), "--bind", "*", "--protected-mode", "no"]
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


def connected(address: tuple[str, int], timeout_s: float) -> Any:
    """One connection that repeats nothing: a write that redis-py sent twice would happen twice."""
    once = Retry(NoBackoff(), 0)
    host, port = address
    return redis.Redis(host, port, socket_timeout=timeout_s, retry=once, decode_responses=True)


class RedisClient(DriverClient):
    to_node = "n1"
    definite = (redis.exceptions.BusyLoadingError, redis.exceptions.ResponseError)
    """The server refused before it did anything."""

    def connect(self, address: tuple[str, int], timeout_s: float) -> Any:
        return connected(address, timeout_s)

    def add(self, op: Op) -> None:
        self.connection.sadd(op.key, op.value)

    def read(self, op: Op) -> Any:
        if op.workload.startswith("set"):
            return sorted(int(item) for item in self.connection.smembers(op.key))
        return _value(self.connection.get(op.key))

    def write(self, op: Op) -> None:
        self.connection.set(op.key, op.value)

    def cas(self, op: Op) -> Outcome:
        expected, new = op.value
        answer = self.connection.eval(CAS, 1, op.key, "nil" if expected is None else expected, new)
        return Outcome("ok") if answer == "done" else Outcome("fail", _value(answer), error="mismatch")


def _value(answer: str | None) -> int | None:
    return None if answer is None or answer == "nil" else int(answer)


service, client = Redis, RedisClient
