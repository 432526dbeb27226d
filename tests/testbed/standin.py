"""Stand-ins for everything that the run pipeline talks to: hosts, their agents, the provider, the system and its clients, in memory.

The pipeline under test is the real one. Each stand-in passes a named *point* before it answers; a `Saboteur` that waits at that point in that phase of
the run makes it fail, and counts that it did.

    points      provider.up  provider.down  provider.dial  host.run  host.put  host.get  agent.start  agent.<verb>
                service.install  .start  .wait_ready  .pid  .stop  .collect  .uninstall  .leader  .status
                client.make  client.open  client.invoke  client.close
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tribulation.harness.errors import HostError
from tribulation.harness.hosts.base import CommandResult, Host
from tribulation.harness.systems.base import Dial, Op, Outcome

HANG_S = 0.3
"""How long a stand-in hangs before the caller's own deadline, which is longer, counts as reached."""

Answer = dict[str, Any]
Act = Callable[[Callable[[], Any]], Any]
"""What happens instead of the honest answer, which the argument would give."""


@dataclass(slots=True)
class Saboteur:
    """Fails the pipeline at `point` while it is in `phase` (None: in any), on `host` (None: on any), from passage `first` on, `times` times.

    `hits` counts how often it did: a cell of the table in which nothing was made to fail proves nothing.
    """

    point: str = ""
    act: Act = lambda honest: honest()
    phase: str | None = None
    host: str | None = None
    first: int = 1
    times: int = 1_000_000
    hits: int = 0
    now: str = "start"
    _passed: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, phase: str, detail: str = "") -> None:
        """The pipeline reports its phase (`Settings.notify`)."""
        self.now = phase

    def at(self, point: str, host: str, honest: Callable[[], Any]) -> Any:
        with self._lock:
            here = point == self.point and self.phase in (None, self.now) and self.host in (None, host)
            self._passed += here
            fails = here and self._passed >= self.first and self.hits < self.times
            self.hits += fails
        return self.act(honest) if fails else honest()


@dataclass(slots=True)
class World:
    """What is true on the stand-in hosts: what each agent was asked to keep in force, which processes run, and what the system stores."""

    saboteur: Saboteur
    wanted: dict[str, Answer] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    heard: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    started: dict[str, int] = field(default_factory=dict)
    """Node → how often its process was started; absent while it is down."""
    killed: set[str] = field(default_factory=set)
    """Nodes whose agent killed the process and has to start it again."""
    starts: int = 0
    values: dict[str, Any] = field(default_factory=dict)
    applied: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def is_cut(self, source: str, sink: str) -> bool:
        dropped = self.wanted.get(sink, {}).get("cut", {}).get("from", ())
        return self.addresses.get(source) in dropped

    def start(self, node: str) -> None:
        with self.lock:
            self.starts += 1
            self.started[node] = self.starts

    def is_up(self, node: str) -> bool:
        """Whether the node's process runs and is not stopped."""
        process = self.wanted.get(node, {}).get("process", {})
        return node in self.started and not process.get("killed") and not process.get("paused")

    def serves(self, node: str) -> bool:
        return self.is_up(node) and not self.is_cut("clients", node) and not self.is_cut(node, "clients")


class StandInAgent:
    """`Channel` to an agent that does nothing but remember what it was asked, and hears what the world's network would let it hear."""

    def __init__(self, world: World, vertex: str) -> None:
        self._world, self._vertex = world, vertex
        self._answers: list[Callable[[], str]] = []
        self._closed = False

    def send_line(self, line: str) -> None:
        if self._closed:
            raise HostError(f"{self._vertex}: the agent's connection is closed")
        request = json.loads(line)
        point = f"agent.{request['do']}"
        self._answers.append(
            lambda: self._world.saboteur.at(point, self._vertex, lambda: json.dumps({"ok": True, **self._do(request)}))
        )

    def read_line(self, timeout_s: float) -> str:
        if self._closed or not self._answers:
            raise HostError(f"{self._vertex}: the agent ended")
        try:
            return self._answers.pop(0)()
        except HostError:
            self._closed = True
            raise

    def close(self) -> None:
        self._closed = True

    def _do(self, request: Answer) -> Answer:
        with self._world.lock:
            return getattr(self, f"_{request['do']}")(request) or {}

    def _hello(self, request: Answer) -> Answer:
        if request["address"]:
            self._world.addresses[self._vertex] = request["address"]
        return {"port": 1, "addresses": []}

    def _configure(self, request: Answer) -> None:
        pass

    def _set(self, request: Answer) -> None:
        process = request["wanted"].get("process", {})
        self._world.wanted[self._vertex] = request["wanted"]
        if process.get("killed"):
            self._world.started.pop(self._vertex, None)
            self._world.killed.add(self._vertex)
        elif process.get("started_by_service"):
            self._world.killed.discard(self._vertex)
        else:
            self._restart()

    def _restart(self) -> None:
        """As a real agent: it starts what it killed, unless the service did."""
        if self._vertex in self._world.killed and self._vertex not in self._world.started:
            self._world.start(self._vertex)
        self._world.killed.discard(self._vertex)

    def _renew(self, request: Answer) -> Answer:
        return {"in_force": self._world.wanted.get(self._vertex, {}), "undone": 0}

    def _epoch(self, request: Answer) -> None:
        self._world.epochs[self._vertex] = request["epoch"]

    def _heard(self, request: Answer) -> Answer:
        world = self._world
        for sender in world.addresses:
            if sender != self._vertex and not world.is_cut(sender, self._vertex):
                world.heard[sender, self._vertex] = [world.epochs.get(sender, 0), 1, 1, time.monotonic_ns()]
        now_ns = time.monotonic_ns()
        mine = {a: [*seen[:3], now_ns - seen[3]] for (a, b), seen in world.heard.items() if b == self._vertex}
        return {"heard": mine, "period_s": 0.01}

    def _process(self, request: Answer) -> Answer:
        world, node = self._world, self._vertex
        if node not in world.started:
            return {"pid": None, "state": None, "started": None, "running": [], "stopped": []}
        paused = world.wanted.get(node, {}).get("process", {}).get("paused")
        state, running, stopped = ("T", [], ["100"]) if paused else ("S", ["100"], [])
        return {
            "pid": 100,
            "state": state,
            "started": world.started[node],
            "running": running,
            "stopped": stopped,
        }

    def _look(self, request: Answer) -> Answer:
        return {"readings": []}

    def _time(self, request: Answer) -> Answer:
        return {"mono_ns": time.monotonic_ns(), "wall_ns": time.time_ns()}

    def _clear(self, request: Answer) -> Answer:
        before = self._world.wanted.pop(self._vertex, {})
        self._restart()
        return {"undone": sorted(before)}


class StandInHost:
    """`Host` whose commands succeed and say nothing, and whose files are what was put there."""

    sudo: tuple[str, ...] = ()
    control = ("127.9.9.9", 22)
    python = "python3"

    def __init__(self, world: World, name: str, address: str) -> None:
        self.name, self.address, self.directory = name, address, f"/standin/{name}"
        self._world = world
        self._files: dict[str, bytes] = {}

    def run(
        self, command: str | Sequence[str], *, timeout_s: float = 20.0, check: bool = True, stdin: bytes | None = None
    ) -> CommandResult:
        return self._world.saboteur.at("host.run", self.name, lambda: CommandResult(0, "", "", 0.0))

    def start(self, command: str | Sequence[str], *, timeout_s: float = 20.0) -> StandInAgent:
        return self._world.saboteur.at("agent.start", self.name, lambda: StandInAgent(self._world, self.name))

    def put(self, content: bytes, path: str, *, mode: int = 0o644, timeout_s: float = 60.0) -> None:
        self._world.saboteur.at("host.put", self.name, lambda: self._files.__setitem__(path, content))

    def get(self, path: str, *, timeout_s: float = 60.0) -> bytes:
        return self._world.saboteur.at("host.get", self.name, lambda: self._files.get(path, b""))


class StandInProvider:
    """`Provider` of three hosts and of one for the clients. It calls itself `local`: such hosts are this run's own, and no other's."""

    name = "local"
    capabilities = frozenset({"cut", "kill", "pause"})

    def __init__(self, world: World, nodes: int = 3) -> None:
        self._world = world
        self._hosts = [StandInHost(world, f"n{i}", f"127.1.0.{i}") for i in range(1, nodes + 1)]
        self._clients = StandInHost(world, "clients", "127.1.0.200")
        self.client_addresses: Mapping[str, Sequence[str]] = {"clients": ["127.1.0.200"]}

    @property
    def hosts(self) -> Sequence[Host]:
        return self._hosts

    def up(self) -> Sequence[Host]:
        return self._world.saboteur.at("provider.up", "", lambda: self._hosts)

    def down(self) -> None:
        self._world.saboteur.at("provider.down", "", lambda: None)

    def dial(
        self, address: str, port: int, *, timeout_s: float, client: str = "clients", kind: int = socket.SOCK_STREAM
    ) -> socket.socket:
        raise OSError("no stand-in needs a socket")

    def client_host(self) -> Host:
        return self._clients


class StandInService:
    """`Service`: a linearizable store of registers and sets. Every node serves it while its process runs."""

    name = "standin"
    capabilities = frozenset({"status"})
    port = 1

    def __init__(self, world: World) -> None:
        self._world = world

    def _at(self, method: str, host: Host, honest: Callable[[], Any]) -> Any:
        return self._world.saboteur.at(f"service.{method}", host.name, honest)

    def install(self, host: Host, cluster: Sequence[Host]) -> None:
        self._at("install", host, lambda: None)

    def start(self, host: Host, environment: Mapping[str, str]) -> None:
        self._at("start", host, lambda: self._world.start(host.name))

    def wait_ready(self, host: Host, timeout_s: float) -> None:
        self._at("wait_ready", host, lambda: None)

    def pid(self, host: Host) -> int | None:
        return self._at("pid", host, lambda: 100 if host.name in self._world.started else None)

    def stop(self, host: Host) -> None:
        self._at("stop", host, lambda: self._world.started.pop(host.name, None))

    def collect(self, host: Host) -> Mapping[str, bytes]:
        return self._at("collect", host, lambda: {"logs/server.log": b"ready\n"})

    def uninstall(self, host: Host) -> None:
        self._at("uninstall", host, lambda: None)

    def leader(self, hosts: Sequence[Host], dial: Dial) -> str | None:
        return self._world.saboteur.at("service.leader", "", lambda: "n1" if self._world.is_up("n1") else None)

    def status(self, host: Host, dial: Dial) -> Mapping[str, Any] | None:
        return self._at("status", host, lambda: self._status(host.name))

    def _status(self, node: str) -> Mapping[str, Any] | None:
        if not self._world.is_up(node):
            return None
        with self._world.lock:
            digest = hash(json.dumps(self._world.values, sort_keys=True))
            return {"index": self._world.applied, "digest": f"{digest:x}", "leader": "n1"}


class StandInClient:
    """`Client` of the node that it is bound to. A node that does not serve refuses the connection."""

    def __init__(self, world: World) -> None:
        self._world, self._node = world, ""

    def open(self, node: str, dial: Dial, timeout_s: float) -> None:
        self._node = node
        self._world.saboteur.at("client.open", node, self._require)

    def _require(self) -> None:
        if not self._world.serves(self._node):
            raise ConnectionRefusedError(f"{self._node} does not serve")

    def invoke(self, op: Op, timeout_s: float) -> Outcome:
        return self._world.saboteur.at("client.invoke", self._node, lambda: self._invoke(op))

    def _invoke(self, op: Op) -> Outcome:
        if not self._world.serves(self._node):
            return Outcome("fail" if op.f == "read" else "info", error="closed")
        with self._world.lock:
            return self._apply(op)

    def _apply(self, op: Op) -> Outcome:
        values, empty = self._world.values, [] if op.workload == "set" else None
        now = values.get(op.key, empty)
        if op.f == "read":
            return Outcome("ok", now)
        if op.f == "cas" and now != op.value[0]:
            return Outcome("fail", now, error="mismatch")
        values[op.key] = [*now, op.value] if op.f == "add" else op.value[1] if op.f == "cas" else op.value
        self._world.applied += 1
        return Outcome("ok")

    def close(self) -> None:
        self._world.saboteur.at("client.close", self._node, lambda: None)
