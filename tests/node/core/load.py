"""Clients on a test cluster: sessions, unique values, retries of what is unknown; and whether what they saw can be explained."""

from __future__ import annotations

from random import Random
from typing import Any

from tribulation.node.config.node import MS

from .cluster import Cluster
from .linear import explain


class Client:
    """One operation at a time. An unknown write is sent again with its `seq`, elsewhere, up to `retries` times."""

    def __init__(self, load: Load, number: int) -> None:
        self.load, self.cluster = load, load.cluster
        self.name = f"c{number}"
        self.random = Random(f"client {load.cluster.seed}/{number}")
        self.session: int | None = None
        self.seq = 0
        self.id = 0
        self.seen = 0

    def send(self, body: dict[str, Any], answer: Any) -> None:
        self.id += 1
        nodes = sorted(self.cluster.nodes)
        node = self.random.choice(nodes)
        if self.cluster.nodes[node].core is None:
            self.cluster.at(20 * MS, lambda: answer({"status": "fail", "error": "no-connection"}))
            return
        answered: list[bool] = []

        def once(reply: dict[str, Any]) -> None:
            if not answered:
                answered.append(True)
                answer(reply)

        deadline_ms = body.get("deadline_ms", 800)
        self.cluster.request(node, self.name, {"id": self.id, "deadline_ms": deadline_ms, **body}, once)
        self.cluster.at((deadline_ms + 200) * MS, lambda: once({"status": "info", "error": "silent"}))

    def next(self, delay_ms: int = 0) -> None:
        if self.load.stopped:
            return
        pause = self.random.randint(1, self.load.pause_ms) + delay_ms
        self.cluster.at(pause * MS, self.open if self.session is None else self.operate)

    def open(self) -> None:
        def answer(reply: dict[str, Any]) -> None:
            if reply["status"] == "ok":
                self.session, self.seq = reply["session"], 0
            self.next(0 if reply["status"] == "ok" else 50)

        self.send({"open": True}, answer)

    def operate(self) -> None:
        key = f"k{self.random.randint(1, self.load.keys)}"
        chance = self.random.random()
        if chance < 0.4:
            self._read(key)
        elif key == "k1":
            self._write(key, ("append", self.load.value()))
        elif chance < 0.75:
            self._write(key, ("w", self.load.value()))
        else:
            self._write(key, ("cas", self.load.recent.get(key), self.load.value()))

    def _read(self, key: str) -> None:
        level = self.random.choice(("linearizable", "linearizable", "linearizable", "sequential", "stale"))
        number = self.load.invoke(key, ("r",)) if level == "linearizable" else None
        seen = self.seen

        def answer(reply: dict[str, Any]) -> None:
            if reply["status"] == "ok":
                self.seen = max(self.seen, reply["index"])
                if level == "sequential" and reply["index"] < seen:
                    self.load.violations.append(f"{self.name} had seen {seen}, and read at {reply['index']}")
                if level == "stale" and reply.get("stale") is not True:
                    self.load.violations.append(f"a stale read without its mark: {reply}")
                if number is not None:
                    self.load.complete(number, "ok", reply["results"][0])
            self.next(0 if reply["status"] == "ok" else 20)

        self.send({"level": level, "seen": seen, "ops": [["r", key]], "session": self.session}, answer)

    def _write(self, key: str, operation: tuple[Any, ...]) -> None:
        number = self.load.invoke(key, operation)
        self.seq += 1
        micro = [operation[0], key, *operation[1:]]
        body = {"session": self.session, "seq": self.seq, "ops": [micro]}
        self._attempt(body, number, key, operation, self.random.choice((0, 1, 3)), doubt=False)

    def _attempt(
        self, body: dict[str, Any], number: int, key: str, operation: tuple[Any, ...], retries: int, doubt: bool
    ) -> None:
        def answer(reply: dict[str, Any]) -> None:
            status, error = reply["status"], reply.get("error")
            if status == "ok":
                self.seen = max(self.seen, reply["index"])
                self.load.complete(number, "ok", reply["results"][0])
                self.load.recent[key] = operation[-1] if operation[0] != "append" else None
                self.next()
            elif error == "mismatch":
                self.load.complete(number, "fail", reply["results"])
                self.load.recent[key] = reply["results"][0]
                self.next()
            elif status == "fail" and not doubt:
                self.load.complete(number, "fail", None)
                self.session = None if error == "session-expired" else self.session
                self.next(20)
            elif retries and error != "superseded":
                self.cluster.at(30 * MS, lambda: self._attempt(body, number, key, operation, retries - 1, True))
            else:
                self.session = None
                self.next(20)

        self.send(dict(body), answer)


class Load:
    """`stopped` ends it. `check` says what cannot be explained."""

    def __init__(self, cluster: Cluster, clients: int = 4, keys: int = 3, pause_ms: int = 120) -> None:
        self.cluster, self.keys, self.pause_ms = cluster, keys, pause_ms
        self.stopped = False
        self.recent: dict[str, Any] = {}
        self.violations: list[str] = []
        self.completed = {"ok": 0, "fail": 0}
        self._events: dict[str, list[tuple[str, int, tuple[Any, ...], Any]]] = {}
        self._operations: list[tuple[str, tuple[Any, ...]]] = []
        self._value = 0
        self.clients = [Client(self, number) for number in range(clients)]

    def start(self) -> Load:
        for client in self.clients:
            client.next()
        return self

    def value(self) -> int:
        self._value += 1
        return self._value

    def invoke(self, key: str, operation: tuple[Any, ...]) -> int:
        self._operations.append((key, operation))
        number = len(self._operations) - 1
        self._events.setdefault(key, []).append(("invoke", number, operation, None))
        return number

    def complete(self, number: int, kind: str, result: Any) -> None:
        key, operation = self._operations[number]
        self.completed[kind] += 1
        value = tuple(result) if isinstance(result, list) and operation[0] in ("r", "append") else result
        if operation[0] == "cas" and isinstance(result, list):
            value = [tuple(item) if isinstance(item, list) else item for item in result]
        self._events[key].append((kind, number, operation, value))

    def check(self) -> list[str]:
        found = list(self.violations)
        for key, events in sorted(self._events.items()):
            problem = explain(events)
            if problem is not None:
                found.append(f"{key} is not linearizable: {problem}")
        return found
