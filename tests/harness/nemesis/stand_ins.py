"""Hosts that are no machines: their agents answer in memory, and lie, hang or die as a test says. Their network obeys the faults that are set.

cluster = StandIns(3)
cluster.lies["n2"] = {"renew": "garbage"}     # what n2 answers to that verb instead
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tribulation.harness.errors import HostError
from tribulation.harness.hosts.base import CommandResult
from tribulation.harness.hosts.errors import LateLineError
from tribulation.harness.nemesis.faults.ledger import Ledger
from tribulation.harness.nemesis.inject.injector import HostInjector
from tribulation.harness.trouble import Trouble


class Slow(float):
    """How many seconds after the request the right answer comes, however long is waited for it at a time."""


Lie = str | Exception | float | None | Callable[[dict[str, Any]], str]
"""A line to say instead, what reading it raises, for how many seconds the agent says nothing each time it is listened to, or a function of the right answer."""


class StandIns:
    """`n` hosts and the clients' place. `lies` by vertex and verb; `lied` counts the answers that were lies."""

    name = "stand-in"
    capabilities = frozenset({"cut", "kill", "pause"})

    def __init__(self, n: int) -> None:
        names = [f"n{i + 1}" for i in range(n)]
        self.addresses = {name: f"10.9.0.{i + 1}" for i, name in enumerate([*names, "clients"])}
        self._hosts = [StandIn(self, name) for name in names]
        self._clients = StandIn(self, "clients")
        self.client_addresses = {"clients": [self.addresses["clients"]]}
        self.lies: dict[str, dict[str, Lie]] = {}
        self.lied = 0
        self.released = threading.Event()
        """Ends all silence."""
        self.dropped: dict[str, set[str]] = {name: set() for name in self.addresses}
        """By receiver the addresses from which it takes nothing."""

    @property
    def hosts(self) -> list[StandIn]:
        return self._hosts

    def client_host(self) -> StandIn:
        return self._clients

    def dial(self, *_: Any, **__: Any) -> Any:
        raise ConnectionRefusedError("no process listens")


class StandIn:
    directory, python, sudo, control, clock = "/nowhere", "/nowhere/python", (), ("10.9.0.99", 22), "system"

    def __init__(self, cluster: StandIns, name: str) -> None:
        self.cluster, self.name, self.address = cluster, name, cluster.addresses[name]

    def put(self, content: bytes, path: str, **_: Any) -> None:
        pass

    def get(self, path: str, **_: Any) -> bytes:
        return b""

    def run(self, command: Any, **_: Any) -> CommandResult:
        return CommandResult(0, "", "", 0.0)

    def start(self, command: Any, **_: Any) -> AgentChannel:
        return AgentChannel(self)


class AgentChannel:
    """An agent in memory, as `tribulation.harness.agent.main` answers."""

    def __init__(self, host: StandIn) -> None:
        self._host, self._cluster = host, host.cluster
        self._answers: list[tuple[str, dict[str, Any], float]] = []
        """With the time of each request."""
        self._epoch = 0
        self._force: dict[str, Any] = {}
        self._closed = threading.Event()

    def send_line(self, line: str) -> None:
        if self._closed.is_set():
            raise HostError(f"{self._host.name}: closed", "is it up?")
        request = json.loads(line)
        self._answers.append((request["do"], self._answer(request), time.monotonic()))

    def read_line(self, timeout_s: float) -> str:
        verb, answer, asked_s = self._answers.pop(0)
        right = json.dumps({"ok": True, **answer})
        lie = self._cluster.lies.get(self._host.name, {}).get(verb)
        if lie is None:
            return right
        self._cluster.lied += 1
        if isinstance(lie, Exception):
            raise lie
        if isinstance(lie, float):
            left_s = asked_s + lie - time.monotonic() if isinstance(lie, Slow) else lie
            self._cluster.released.wait(min(max(0.0, left_s), timeout_s))
            if left_s >= timeout_s:
                what = f"{self._host.name} printed no line within {timeout_s:g} s"
                self._answers.insert(0, (verb, answer, asked_s))
                raise LateLineError(self._host.name, "agent", None, what, "is it overloaded?")
            return right
        return lie if isinstance(lie, str) else lie(answer)

    def close(self) -> None:
        self._closed.set()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        verb = request["do"]
        if verb == "hello":
            return {"port": 10001, "addresses": [self._host.address]}
        if verb == "set":
            self._force = {part: value for part, value in request["wanted"].items() if value}
            self._cluster.dropped[self._host.name] = set(self._force.get("cut", {}).get("from", ()))
        elif verb == "clear":
            undone, self._force = sorted(self._force), {}
            self._cluster.dropped[self._host.name] = set()
            return {"undone": undone}
        elif verb == "renew":
            return {"in_force": self._force, "undone": 0}
        elif verb == "epoch":
            self._epoch = request["epoch"]
        elif verb == "heard":
            return {"heard": self._heard(), "period_s": 0.1}
        elif verb == "process":
            return {"pid": 7, "state": "S", "started": 1, "running": ["7 server"], "stopped": []}
        elif verb == "time":
            return {"mono_ns": time.monotonic_ns(), "wall_ns": time.time_ns()}
        elif verb == "look":
            return {"readings": []}
        return {}

    def _heard(self) -> dict[str, list[int]]:
        dropped = self._cluster.dropped[self._host.name]
        others = {name: at for name, at in self._cluster.addresses.items() if name != self._host.name}
        return {name: [self._epoch, 1, 1, 1000] for name, at in others.items() if at not in dropped}


class NoService:
    """A service that is there and does nothing."""

    name, capabilities, port = "nothing", frozenset(), 10000

    def control(self, host: StandIn) -> dict[str, str]:
        return {"pid_file": "/nowhere/pid", "marker": "/nowhere/down"}

    def pid(self, host: StandIn) -> int:
        return 7

    def start(self, host: StandIn, environment: Any) -> None:
        pass

    def leader(self, hosts: Any, dial: Any) -> None:
        return None

    def status(self, host: Any, dial: Any) -> None:
        return None


@contextlib.contextmanager
def injecting(
    cluster: StandIns, ledger: Path, lease_s: float = 10.0, service: Any = None
) -> Iterator[tuple[HostInjector, Trouble]]:
    """Started; stopped at the end with agents that answer properly again."""
    trouble = Trouble()
    with Ledger(ledger) as lines:
        made = HostInjector(
            cluster.hosts,
            cluster,
            service or NoService(),
            lines,
            time.monotonic_ns,
            seed=0,
            lease_s=lease_s,
            trouble=trouble,
        )
        made.start()
        try:
            yield made, trouble
        finally:
            cluster.lies.clear()
            cluster.released.set()
            made.stop()
