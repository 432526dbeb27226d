"""A cluster in one process under virtual time: real cores, a lossy network, disks that forget, and every safety property watched.

Everything follows from one seed. `Cluster` runs nodes and checks their traces as they come; `tests/node/core/load.py` puts clients on it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random
from typing import Any

from tribulation.node.config.node import MS, NodeConfig
from tribulation.node.core.core import Core
from tribulation.node.core.interface.effects import CancelTimer, Effect, Halt, Reply, Send, SetTimer, Trace
from tribulation.node.core.interface.events import (
    Connected,
    Disconnected,
    Event,
    Received,
    Request,
    Start,
    StorageDone,
    TimerFired,
)
from tribulation.node.core.interface.messages import from_wire, to_wire

from .disk import Disk


class Node:
    """One incarnation after another of one data directory."""

    def __init__(self, cluster: Cluster, config: NodeConfig) -> None:
        self.cluster, self.config, self.name = cluster, config, config.node
        self.disk = Disk()
        self.incarnation = 0
        self.core: Core | None = None
        self.halted: str | None = None

    def start(self) -> None:
        self.incarnation += 1
        self.core = Core(self.config)
        self.halted = None
        self.done: set[int] = set()
        self.issued: set[int] = set()
        self.storage: list[Effect] = []
        self.storing = False
        self.held: list[Effect] = []
        self.timers: dict[str, int] = {}
        self.applied = 0
        self.inbox: list[Event] = []
        seed = self.cluster.seed * 1000 + self.incarnation
        self.step([Start(self.incarnation, seed, self.disk.files(), self.wall_ns())])

    def stop(self, power: bool = False, torn: bool = False) -> None:
        self.core = None
        if power:
            self.disk.power_cut(self.cluster.random, torn)

    def wall_ns(self) -> int:
        return self.cluster.now + self.cluster.offsets.get(self.name, 0)

    def post(self, event: Event) -> None:
        """Events that come at one instant are taken in one step, sometimes."""
        if self.core is None:
            return
        self.inbox.append(event)
        if len(self.inbox) == 1:
            incarnation = self.incarnation
            delay = self.cluster.random.choice((0, 0, MS // 10, MS))
            self.cluster.at(delay, lambda: self._turn(incarnation))

    def _turn(self, incarnation: int) -> None:
        if self.core is not None and incarnation == self.incarnation:
            inbox, self.inbox = self.inbox, []
            self.step(inbox)

    def step(self, events: list[Event]) -> None:
        assert self.core is not None
        effects = self.core.step(self.cluster.now, events)
        self.cluster.steps += 1
        if self.cluster.checking and self.cluster.steps % self.cluster.checking == 0:
            self.core.check()
        for effect in effects:
            self.take(effect)

    def take(self, effect: Effect) -> None:
        if isinstance(effect, SetTimer):
            self.timers[effect.key] = effect.generation
            incarnation = self.incarnation
            self.cluster.at(max(0, effect.at_ns - self.cluster.now), lambda: self._fire(incarnation, effect))
        elif isinstance(effect, CancelTimer):
            self.timers.pop(effect.key, None)
        elif isinstance(effect, Halt):
            self.halted = effect.reason
            self.core = None
        elif isinstance(effect, (Send, Reply, Trace)):
            assert all(op in self.issued for op in effect.after), f"{effect} waits for an operation that was never seen"
            if all(op in self.done for op in effect.after):
                self.release(effect)
            else:
                self.held.append(effect)
        else:
            assert all(op in self.issued for op in effect.after), effect
            self.issued.add(effect.op)
            self.storage.append(effect)
            self._store()

    def release(self, effect: Effect) -> None:
        cluster = self.cluster
        if isinstance(effect, Send):
            cluster.transmit(self.name, effect.peer, effect.message)
        elif isinstance(effect, Reply):
            cluster.on_reply(self.name, effect.client, dict(effect.body))
        elif isinstance(effect, Trace):
            cluster.on_trace(self, effect)

    def _fire(self, incarnation: int, timer: SetTimer) -> None:
        if incarnation == self.incarnation and self.core is not None and self.timers.get(timer.key) == timer.generation:
            self.post(TimerFired(timer.key, timer.generation, self.wall_ns()))

    def _store(self) -> None:
        """One storage thread: operations in order, each taking its time."""
        if not self.storing and self.storage:
            self.storing = True
            incarnation = self.incarnation
            self.cluster.at(self.cluster.storage_ns(), lambda: self._stored(incarnation))

    def _stored(self, incarnation: int) -> None:
        if self.core is None or incarnation != self.incarnation:
            return
        effect = self.storage.pop(0)
        self.disk.apply(effect)  # type: ignore[arg-type]
        self.storing = False
        self.done.add(effect.op)  # type: ignore[union-attr]
        held, self.held = self.held, []
        for waiting in held:
            if all(op in self.done for op in waiting.after):  # type: ignore[union-attr]
                self.release(waiting)
            else:
                self.held.append(waiting)
        self._store()
        self.post(StorageDone(effect.op))  # type: ignore[union-attr]


class Cluster:
    """`checking`: every how many steps a node's invariants are checked. `loss`, `duplicate` are probabilities; `delay` a range of ns, so that messages overtake each other."""

    def __init__(
        self,
        seed: int,
        nodes: int = 3,
        *,
        loss: float = 0.0,
        duplicate: float = 0.0,
        delay: tuple[int, int] = (MS // 5, 2 * MS),
        fsync: tuple[int, int] = (MS // 10, 3 * MS),
        checking: int = 1,
        wire: bool = True,
        **config: Any,
    ) -> None:
        self.seed, self.random = seed, Random(f"cluster {seed}")
        self.loss, self.duplicate, self.delay, self.fsync = loss, duplicate, delay, fsync
        self.checking, self.wire = checking, wire
        self.now = 0
        self.steps = 0
        self.cuts: set[tuple[str, str]] = set()
        self.offsets: dict[str, int] = {}
        self.replies: dict[str, Callable[[dict[str, Any]], None]] = {}
        self.traces: list[tuple[int, str, int, str, dict[str, Any]]] = []
        self.leaders: dict[int, str] = {}
        self.entries: dict[tuple[int, int], int] = {}
        self.state: dict[int, tuple[int, int]] = {}
        self.digests: dict[int, str] = {}
        self.violations: list[str] = []
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        names = [f"n{i + 1}" for i in range(nodes)]
        peers = {name: ["127.0.0.1", 10000 + i] for i, name in enumerate(names)}
        base = {"cluster": "test", "peers": peers, "timing": "fast", **config}
        self.nodes = {name: Node(self, NodeConfig.from_json({"node": name, **base})) for name in names}

    def start(self) -> Cluster:
        for node in self.nodes.values():
            node.start()
        return self

    def at(self, delay_ns: int, action: Callable[[], None]) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (self.now + delay_ns, self._sequence, action))

    def run(self, duration_ns: int) -> None:
        end = self.now + duration_ns
        while self._heap and self._heap[0][0] <= end:
            self.now, _, action = heapq.heappop(self._heap)
            action()
        self.now = end

    def run_until(self, condition: Callable[[], Any], limit_ns: int, what: str) -> Any:
        end = self.now + limit_ns
        while self._heap and self._heap[0][0] <= end:
            self.now, _, action = heapq.heappop(self._heap)
            action()
            found = condition()
            if found:
                return found
        raise AssertionError(f"seed {self.seed}: not within {limit_ns / 1e9} s: {what}")

    def storage_ns(self) -> int:
        return self.random.randint(*self.fsync)

    def transmit(self, sender: str, receiver: str, message: Any) -> None:
        if self.random.random() < self.loss:
            return
        copies = 2 if self.random.random() < self.duplicate else 1
        if self.wire:
            message = from_wire(to_wire(message))
        for _ in range(copies):
            self.at(self.random.randint(*self.delay), lambda: self._deliver(sender, receiver, message))

    def _deliver(self, sender: str, receiver: str, message: Any) -> None:
        if (sender, receiver) not in self.cuts:
            node = self.nodes[receiver]
            node.post(Received(sender, message, node.wall_ns()))

    def partition(self, *sides: list[str]) -> None:
        """Nodes of different sides do not hear each other."""
        self.cuts = {(a, b) for one in sides for a in one for other in sides if other is not one for b in other}

    def heal(self) -> None:
        healed, self.cuts = self.cuts, set()
        for a, b in sorted(healed):
            self.nodes[a].post(Disconnected(b))
            self.nodes[a].post(Connected(b))

    def request(self, node: str, client: str, body: dict[str, Any], answer: Callable[[dict[str, Any]], None]) -> None:
        key = f"{client}/{body['id']}"
        self.replies[key] = answer
        self.nodes[node].post(Request(client, body, self.nodes[node].wall_ns()))

    def on_reply(self, node: str, client: str, body: dict[str, Any]) -> None:
        answer = self.replies.pop(f"{client}/{body['id']}", None)
        assert answer is not None, f"answered twice or unasked: {client} {body}"
        answer(body)

    def call(self, node: str, body: dict[str, Any], limit_ns: int = 10_000 * MS) -> dict[str, Any]:
        """Ask and wait in virtual time."""
        got: list[dict[str, Any]] = []
        self._sequence += 1
        self.request(node, f"call{self._sequence}", {"id": 1, **body}, got.append)
        self.run_until(lambda: got, limit_ns, f"an answer to {body} from {node}")
        return got[0]

    def leader(self) -> str | None:
        """The live leader of the latest term."""
        best = None
        for node in self.nodes.values():
            status = node.core.status() if node.core is not None else {}
            if status.get("role") == "leader" and (best is None or status["term"] > best[0]):
                best = (status["term"], node.name)
        return best[1] if best else None

    def wait_leader(self, limit_ns: int = 10_000 * MS) -> str:
        return str(self.run_until(self.leader, limit_ns, "a leader"))

    def on_trace(self, node: Node, trace: Trace) -> None:
        """Watch election safety, log matching, state-machine safety, and equal digests at equal indices."""
        fields = dict(trace.fields)
        self.traces.append((self.now, node.name, node.incarnation, trace.event, fields))
        if trace.event == "leader":
            self._same(self.leaders, fields["term"], node.name, "two leaders in term")
        elif trace.event == "append":
            for index, term, crc in fields["entries"]:
                self._same(self.entries, (index, term), crc, "two entries at (index, term)")
        elif trace.event == "apply":
            for index, term, crc in fields["entries"]:
                if node.applied and index != node.applied + 1:
                    self.violations.append(f"{node.name} applied {index} after {node.applied}")
                node.applied = index
                self._same(self.state, index, (term, crc), "two entries applied at")
        elif trace.event in ("snapshot", "digest", "snapshot-installed"):
            if trace.event == "snapshot-installed":
                node.applied = fields["index"]
            self._same(self.digests, fields["index"], fields["digest"], "two states at")

    def _same(self, seen: dict[Any, Any], key: Any, value: Any, what: str) -> None:
        if seen.setdefault(key, value) != value:
            self.violations.append(f"{what} {key}: {seen[key]} and {value}")
