"""A reference cluster of real processes on loopback, for tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tribulation.harness.deploy.deploy import deploy_down, deploy_up
from tribulation.harness.systems.base import Op, Outcome
from tribulation.harness.systems.reference.client import ReferenceClient
from tribulation.harness.systems.reference.system import ReferenceService

from .loopback import LoopbackHost, dial_to, free_port, make_hosts, wait_for


class Cluster:
    """`with Cluster(directory, 3) as cluster:` is up and has a leader."""

    def __init__(self, directory: Path, nodes: int, **options: Any) -> None:
        self.hosts = make_hosts(directory, nodes)
        self.service = ReferenceService({"cluster": "test", "port": free_port(), "timing": "fast", **options})
        self.dial = dial_to(self.hosts, self.service.port)
        self._clients: list[ReferenceClient] = []

    def __enter__(self) -> Cluster:
        try:
            deploy_up(self.service, self.hosts)
            self.leader()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.close()
        deploy_down(self.service, self.hosts)

    def host(self, name: str) -> LoopbackHost:
        return next(host for host in self.hosts if host.name == name)

    def leader(self) -> str:
        found: list[str] = []

        def look() -> bool:
            leader = self.service.leader(self.hosts, self.dial)
            found.extend([leader] if leader else [])
            return bool(found)

        wait_for(look, "a leader", 20)
        return found[0]

    def client(self, node: str) -> ReferenceClient:
        client = ReferenceClient("test", tls=self.service.client_tls)
        client.open(node, self.dial, 5.0)
        self._clients.append(client)
        return client

    def until_ok(self, op: Op, node: Callable[[], str], timeout_s: float = 20.0) -> Outcome:
        """Try until it is ok, with a fresh client each time."""
        outcomes: list[Outcome] = []

        def attempt() -> bool:
            try:
                client = self.client(node())
            except OSError:
                return False
            outcomes.append(client.invoke(op, 2.0))
            client.close()
            return outcomes[-1].type == "ok"

        wait_for(attempt, f"{op} to be ok; got {outcomes[-3:]}", timeout_s)
        return outcomes[-1]

    def kill(self, *names: str) -> None:
        for name in names:
            host = self.host(name)
            host.run(self.service.control_of(host).kill_command())
        for name in names:
            wait_for(lambda name=name: self.service.pid(self.host(name)) is None, f"{name} to be dead")

    def restart(self, *names: str) -> None:
        for name in names:
            host = self.host(name)
            host.run(self.service.control_of(host).restart_command())
        for name in names:
            self.service.wait_ready(self.host(name), 20)

    def signal(self, name: str, signal: str) -> None:
        host = self.host(name)
        host.run(self.service.control_of(host).signal_command(signal))

    def file(self, name: str, path: str) -> Path:
        return Path(self.service.control_of(self.host(name)).path(path))
