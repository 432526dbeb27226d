"""Redis with Sentinel: a server and a sentinel on each host; the first host's server is the first primary, the others replicate it.

Clients ask the sentinel of their own node which server is the primary, as Sentinel's protocol for clients says, and connect to that one.
`options: {min_replicas_to_write: 1}` makes a primary refuse writes while fewer replicas are connected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import redis
from redis_single import connected

from tribulation.testing import Daemon, Dial, DriverClient, Host, Op

REDIS = """port {redis}
bind *
protected-mode no
dir {data}
appendonly yes
appendfsync always
replica-announce-ip {address}
repl-diskless-sync-delay 0
min-replicas-to-write {least}
"""
SENTINEL = """port {sentinel}
bind *
protected-mode no
sentinel announce-ip {address}
sentinel monitor main {first} {redis} 2
sentinel down-after-milliseconds main 1000
sentinel failover-timeout main 3000
"""


class RedisSentinel(Daemon):
    ports = {"redis": 16379, "sentinel": 26379}  # noqa: RUF012
    programs = packages = ("redis-server",)

    def files(self, host: Host, cluster: Sequence[Host]) -> Mapping[str, str]:
        first, least = cluster[0].address, int(self.options.get("min_replicas_to_write", 0))
        values = {
            "data": self.data_directory(host),
            "address": host.address,
            "first": first,
            "least": least,
            **self.ports,
        }
        replica = "" if host.address == first else f"replicaof {first} {self.port}\n"
        return {"redis.conf": REDIS.format(**values) + replica, "sentinel.conf": SENTINEL.format(**values)}

    def processes(self, host: Host, cluster: Sequence[Host]) -> Mapping[str, Sequence[str]]:
        return {
            "redis": ["redis-server", self.path(host, "redis.conf")],
            "sentinel": ["redis-server", self.path(host, "sentinel.conf"), "--sentinel"],
        }

    def leader(self, hosts: Sequence[Host], dial: Dial) -> str | None:
        """The node that most sentinels call the primary."""
        ask = f"timeout 2 redis-cli -p {self.ports['sentinel']} sentinel get-master-addr-by-name main"
        said = Counter(host.run(ask, check=False, timeout_s=5).stdout.split("\n")[0] for host in hosts)
        return next((host.name for host in hosts if host.address == said.most_common(1)[0][0]), None)


class SentinelClient(DriverClient):
    definite = (redis.exceptions.BusyLoadingError, redis.exceptions.ResponseError)
    """The server refused before it did anything: READONLY, NOREPLICAS, …"""

    def connect(self, address: tuple[str, int], timeout_s: float) -> Any:
        sentinel = connected(self.address(port=RedisSentinel.ports["sentinel"]), timeout_s)
        found = sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")
        sentinel.close()
        self.served_by = next((node for node, known in self.addresses.items() if found and known == found[0]), None)
        primary = connected(self.address(self.served_by), timeout_s)
        if self.served_by is None or primary.role()[0] != "master":
            raise redis.exceptions.ConnectionError(f"{self.served_by} is not the primary")
        return primary

    def add(self, op: Op) -> None:
        self.connection.sadd(op.key, op.value)

    def read(self, op: Op) -> list[int]:
        return sorted(int(item) for item in self.connection.smembers(op.key))


service, client = RedisSentinel, SentinelClient
