"""Machines of several nodes on one virtual network: datagrams with loss and latency, broadcast, and nodes that do not run for a while.

It drives one machine a node through its outbox, as `Core` does: events in, effects out, in virtual time.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from tribulation.node.config.node import MS, NodeConfig
from tribulation.node.core.interface.datagrams import decode_datagram
from tribulation.node.core.interface.effects import Broadcast, CancelTimer, SendDatagram, SetTimer, Trace
from tribulation.node.core.interface.events import Datagram
from tribulation.node.core.interface.outbox import Outbox
from tribulation.node.core.interface.rng import Chance
from tribulation.node.core.interface.signals import Changed

PORT = 9999


def host_of(name: str) -> str:
    return f"10.0.0.{int(name[1:])}"


def make_config(name: str, flaws: Sequence[str] = (), **membership: Any) -> NodeConfig:
    return NodeConfig.from_json(
        {
            "node": name,
            "cluster": "test",
            "peers": {name: [host_of(name), 10000]},
            "voters": {"n1": 1},
            "membership": membership,
            "flaws": list(flaws),
        }
    )


def record(name: str, state: str = "ACTIVE", incarnation: int = 1, since: int = 1) -> dict[str, Any]:
    return {
        "host": host_of(name),
        "port": 10000,
        "udp_port": PORT,
        "role": "hybrid",
        "capacity": {"slots": 16, "cpu_percent": 100, "memory_mib": 1024},
        "incarnation": incarnation,
        "state": state,
        "since": since,
    }


class Node:
    def __init__(self, name: str, machine: Any, out: Outbox) -> None:
        self.name, self.machine, self.out = name, machine, out
        self.up = True
        self.asleep_until_ns = 0
        self.timers: dict[str, SetTimer] = {}
        self.waiting: list[Datagram] = []
        self.traces: list[tuple[int, str, dict[str, Any]]] = []
        self.signals: list[Any] = []
        self.sent: list[tuple[int, int]] = []
        """When, and how many bytes."""

    def traced(self, event: str, **fields: Any) -> list[int]:
        """When it traced this event with these fields."""
        return [t for t, name, data in self.traces if name == event and fields.items() <= data.items()]


class Net:
    """`loss` is the share of datagrams that get lost, latency is drawn between the two bounds."""

    def __init__(self, seed: int = 1, loss: float = 0.0, latency_ns: tuple[int, int] = (MS // 5, 2 * MS)) -> None:
        self.random = Random(seed)
        self.seed, self.loss, self.latency_ns = seed, loss, latency_ns
        self.now = 1000 * MS
        self.nodes: dict[str, Node] = {}
        self.cut: Callable[[str, str], bool] = lambda a, b: False
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def add(self, kind: Any, config: NodeConfig, incarnation: int = 1) -> Node:
        name, out = config.node, Outbox()
        machine = kind(config, out, incarnation, Chance(self.seed, name, incarnation))
        node = self.nodes[name] = Node(name, machine, out)
        machine.start(self.now)
        self._settle(node)
        return node

    def at(self, time_ns: int, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (time_ns, self._count, action))

    def run(self, ns: int) -> None:
        end = self.now + ns
        while self._queue and self._queue[0][0] <= end:
            self.now, _, action = heapq.heappop(self._queue)
            action()
        self.now = end

    def view(self, records: dict[str, Any], *names: str) -> None:
        """These records are applied on the nodes of these names, or on all that are up."""
        for node in [self.nodes[name] for name in names] if names else self.nodes.values():
            if node.up:
                node.machine.signals[Changed](self.now, Changed("members", list(records), records))
                self._settle(node)

    def kill(self, name: str) -> None:
        self.nodes[name].up = False

    def sleep(self, name: str, ns: int) -> None:
        """It does not run for so long: its timers fire late, and what arrives waits."""
        node = self.nodes[name]
        node.asleep_until_ns = max(node.asleep_until_ns, self.now + ns)
        self.at(node.asleep_until_ns, lambda: self._wake(node))

    def _wake(self, node: Node) -> None:
        if self.now < node.asleep_until_ns or not node.up:
            return
        # As the runtime's loop does: timers that are due first, then what the socket holds.
        for timer in sorted(node.timers.values(), key=lambda timer: timer.at_ns):
            if timer.at_ns <= self.now:
                self._fire(node, timer)
        waiting, node.waiting = node.waiting, []
        for datagram in waiting:
            self._deliver(node, datagram)

    def _settle(self, node: Node) -> None:
        node.signals += node.out.signals
        node.out.signals.clear()
        node.machine.flush(self.now)
        node.machine.check()
        for effect in node.out.take():
            if isinstance(effect, SendDatagram):
                self._send(node, [other for other in self.nodes if host_of(other) == effect.host], effect.data)
            elif isinstance(effect, Broadcast):
                self._send(node, list(self.nodes), effect.data)
            elif isinstance(effect, SetTimer):
                node.timers[effect.key] = effect
                self.at(effect.at_ns, lambda timer=effect: self._fire(node, timer))
            elif isinstance(effect, CancelTimer):
                node.timers.pop(effect.key, None)
            elif isinstance(effect, Trace):
                node.traces.append((self.now, effect.event, dict(effect.fields)))

    def _fire(self, node: Node, timer: SetTimer) -> None:
        if node.up and self.now >= node.asleep_until_ns and node.timers.get(timer.key) is timer:
            del node.timers[timer.key]
            node.machine.on_timer(self.now, timer.key)
            self._settle(node)

    def _send(self, node: Node, receivers: list[str], data: bytes) -> None:
        node.sent.append((self.now, len(data)))
        for name in receivers:
            if self.random.random() < self.loss or self.cut(node.name, name):
                continue
            other = self.nodes[name]
            datagram = Datagram(host_of(node.name), PORT, data)
            arrives_ns = self.now + self.random.randint(*self.latency_ns)
            self.at(arrives_ns, lambda other=other, datagram=datagram: self._deliver(other, datagram))

    def _deliver(self, node: Node, datagram: Datagram) -> None:
        if not node.up:
            return
        if self.now < node.asleep_until_ns:
            node.waiting.append(datagram)
            return
        node.machine.on_datagram(self.now, datagram, decode_datagram("test", datagram.data))
        self._settle(node)
