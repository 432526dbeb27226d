"""A small agent memory that is right: replicas with observed-remove sets, replaced texts and counts, which exchange whole states now and then. Its histories must be found valid."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from tribulation.histories import Type

from .memory_stories import Book
from .stories import Story

NODES = (1, 2, 3)


@dataclass
class Replica:
    """`seen`: dots. `things`: dot → (field, value), what was not removed or replaced."""

    seen: set[int] = field(default_factory=set)
    things: dict[int, tuple[str, Any]] = field(default_factory=dict)

    def join(self, other: Replica) -> None:
        mine = {dot: thing for dot, thing in self.things.items() if dot in other.things or dot not in other.seen}
        theirs = {dot: thing for dot, thing in other.things.items() if dot in self.things or dot not in self.seen}
        self.things = {**mine, **theirs}
        self.seen |= other.seen

    def change(self, dots: list[int], things: dict[str, Any]) -> None:
        self.seen.update(dots)
        for dot, (name, value) in zip(dots, things.items(), strict=True):
            if isinstance(value, str):
                self.things = {at: thing for at, thing in self.things.items() if thing[0] != name}
            self.things[dot] = (name, value)

    def shown(self) -> tuple[dict[str, Any] | None, dict[str, list[str]]]:
        if not self.things:
            return None, {}
        fields: dict[str, Any] = {}
        conflicts: dict[str, list[str]] = {}
        for _, (name, value) in sorted(self.things.items()):
            if isinstance(value, list):
                fields[name] = sorted([*fields.get(name, []), *value])
            elif isinstance(value, int):
                fields[name] = fields.get(name, 0) + value
            else:
                if name in fields:
                    conflicts[name] = [*conflicts.get(name, [fields[name]]), value]
                fields[name] = value
        return fields, conflicts


class World:
    """Two clients at each of three nodes. Operations take effect when they begin or when they end; of those in doubt some never do."""

    def __init__(self, random: Random, forgets: bool = True) -> None:
        self.random, self.book, self.forgets = random, Book(), forgets
        self.replicas = {node: Replica() for node in NODES}
        self.number = 0
        self.open: dict[int, list[Any]] = {}

    def play(self, events: int) -> Book:
        for _ in range(events):
            self._gossip()
            client = self.random.choice(NODES) + 10 * self.random.randrange(2)
            if client in self.open:
                self._end(client)
            else:
                self._begin(client)
        for client in list(self.open):
            self._end(client)
        for _ in range(3):
            for node in NODES:
                for other in NODES:
                    self.replicas[node].join(self.replicas[other])
        self.book.final()
        for node in NODES:
            fields, conflicts = self.replicas[node].shown()
            self._described(node, fields, conflicts)
        return self.book

    @property
    def story(self) -> Story:
        return self.book.operations

    def _described(self, node: int, fields: Any, conflicts: Any) -> None:
        result = None if fields is None else {"fields": fields, "conflicts": conflicts}
        self.story.ok(node, "recall", None, result, "episode/e1", level="eventual", served_by=f"n{node}")

    def _gossip(self) -> None:
        while self.random.random() < 0.4:
            one, other = self.random.sample(NODES, 2)
            self.replicas[one].join(self.replicas[other])

    def _begin(self, client: int) -> None:
        f = self.random.choices(["learn", "recall", "forget"], [6, 5, 1 if self.forgets else 0])[0]
        level = self.random.choice(["eventual", "eventual", "quorum"])
        value: Any = None if f == "recall" else {"kind": "episode", "record": "e1"}
        if f == "learn":
            value["fields"] = self._fields()
        self.story.begin(client, f, value, "episode/e1", level=level)
        early = self.random.random() < 0.5
        self.open[client] = [f, level, value, self._run(client, f, level, value) if early else None, early]

    def _end(self, client: int) -> None:
        f, level, value, result, ran = self.open.pop(client)
        doubtful = f != "recall" and self.random.random() < 0.15
        if not ran and not (doubtful and self.random.random() < 0.5):
            result = self._run(client, f, level, value)
        if doubtful:
            _, argument, key = self.story.open.pop(client)
            self.story._event(client, Type.INFO, f, argument, key, level=level, error="timeout")
            # A process in doubt does nothing more: its place is another one's.
            self._rename(client)
        else:
            reported = value if f != "recall" else result
            self.story.end(client, reported, level=level, served_by=f"n{client % 10}")

    def _rename(self, client: int) -> None:
        fresh = 100 + len(self.story.events)
        for at, event in enumerate(self.story.events):
            if event.process == client:
                self.story.events[at] = replace(event, process=fresh)

    def _run(self, client: int, f: str, level: str, value: Any) -> Any:
        node = client % 10
        replica = self.replicas[node]
        quorum = [node, self.random.choice([other for other in NODES if other != node])]
        if f == "recall":
            if level == "quorum":
                replica.join(self.replicas[quorum[1]])
            fields, conflicts = replica.shown()
            return None if fields is None else {"fields": fields, "conflicts": conflicts}
        if f == "forget":
            self.number += 1
            replica.seen.add(self.number)
            replica.things = {}
        else:
            fields = value["fields"]
            dots = [self.number + 1 + i for i in range(len(fields))]
            self.number += len(fields)
            replica.change(dots, fields)
        if level == "quorum":
            self.replicas[quorum[1]].join(replica)
        return None

    def _fields(self) -> dict[str, Any]:
        unique = len(self.story.events)
        fields: dict[str, Any] = {"agents": [f"e{unique}"]}
        if self.random.random() < 0.5:
            fields["goal"] = f"t{unique}"
        if self.random.random() < 0.5:
            fields["times_used"] = 1 + self.random.randrange(3)
        return fields
