"""Short traces of two nodes whose lines mostly go on from each other, and now and then do not: other indices, terms, commands, names and types.

No protocol stands behind them. What a run of a correct node never shows is frequent here: entries that come backwards, fields that are numbers or
texts by turns, indices on both sides of a multiple of 1024.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from tribulation.checkers import RunRecord
from tribulation.histories import Event, History, Type

NODES = ("n1", "n2")
BASES = (0, 0, 1017, (1 << 20) - 6, (1 << 40) - 9)
"""Indices begin here."""
_MS = 1_000_000
_VOTERS = ({"n1": 1, "n2": 1}, {"n1": 1, "n2": 1}, {"n1": 2, "n2": 1}, {"n1": 2, "n2": 2}, {"n1": 1})


def scribbled(seed: int) -> RunRecord:
    random = Random(f"{seed}/scribbled")
    base, restless = random.choice(BASES), random.choice((0.0, 0.02, 0.1, 0.3))
    pens = [_Pen(random, node, base, restless) for node in NODES]
    for pen in pens:
        pen.start()
    for _ in range(random.choice((10, 40, 80))):
        random.choice(pens).go_on()
    events = sorted((event for pen in pens for event in pen.events), key=lambda event: event.time_ns)
    return RunRecord(
        History([replace(event, index=at) for at, event in enumerate(events)]),
        traces={pen.node: pen.lines for pen in pens},
        nodes=NODES,
        voters={"n1": 1, "n2": 1},
        clock_offsets_ns={node: (0, _MS // 10) for node in NODES},
    )


class _Pen:
    def __init__(self, random: Random, node: str, base: int, restless: float) -> None:
        self.random, self.node, self.restless = random, node, restless
        self.last = self.applied = self.committed = base
        self.term, self.at_ms, self.boots = 1, random.randrange(2), 0
        self.lines: list[dict[str, Any]] = []
        self.events: list[Event] = []
        self.seq, self.busy = 0, random.random() < 0.5

    def odd(self) -> bool:
        return self.random.random() < self.restless

    def line(self, event: str, **fields: Any) -> None:
        self.at_ms += self.random.randrange(3)
        head = {"node": self.node, "incarnation": self.boots, "seq": self.seq, "mono_ns": self.at_ms * _MS}
        self.lines.append({**head, "event": event, **fields})
        self.seq += 1

    def start(self) -> None:
        self.boots, self.seq = self.boots + 1, 0
        at = {"last_index": self.last, "last_term": self.term if self.last else 0, "snapshot_index": self.applied}
        self.line("start", term=self.term, voted_for=None, voters=dict(_VOTERS[0]), torn=self.odd(), **at)
        if self.random.random() < 0.7:
            self.lead()

    def lead(self) -> None:
        votes = ["n1", "n2"] if not self.odd() else ["n1"]
        voters = dict(self.random.choice(_VOTERS[: 2 + 3 * self.odd()]))
        self.line("leader", term=self.term, last_index=self.last, votes=votes, voters=voters)

    def near(self, index: int) -> int:
        return max(0, index + self.random.choice((-3, -2, -1, -1, 1, 2, 5))) if self.odd() else index

    def go_on(self) -> None:
        kinds = (self.append, self.append, self.apply, self.commit, self.durable, self.ack, self.confirm)
        if self.odd() and self.random.random() < 0.5:
            self.random.choice(
                (self.truncate, self.config, self.start, self.later, self.follow, self.lead, self.snapshot)
            )()
        else:
            self.random.choice(kinds)()
        if self.busy and self.random.random() < 0.1:
            self.random.choice((self.config, self.digest, self.digest))()

    def entries(self, index: int, term: int) -> tuple[list[list[Any]], int]:
        found: list[list[Any]] = []
        for _ in range(self.random.choice((1, 1, 2, 3, 0 if self.odd() else 1))):
            index = self.near(index + 1)
            crc: Any = self.random.choice((7, "7", -1, 1 << 63, None, [7])) if self.odd() else 100 + index
            found.append([index, self.near(term), crc])
        if self.odd() and found:
            self.random.choice(found)[self.random.randrange(2)] = self.random.choice((-1, -5, 1 << 41))
        return found, index

    def append(self) -> None:
        entries, self.last = self.entries(self.last, self.term)
        self.line("append", entries=entries)

    def apply(self) -> None:
        entries, self.applied = self.entries(self.applied, self.term)
        self.line("apply", entries=entries)

    def commit(self) -> None:
        self.committed = index = self.near(max(self.committed, min(self.last, self.committed + 1)))
        match = {name: self.near(index) for name in NODES[: 2 - self.odd()]}
        if self.odd():
            match["n3"] = index
        more = {} if self.odd() else {"term": self.near(self.term)}
        self.line(
            "commit", index=index, match=match, voters=dict(self.random.choice(_VOTERS[: 2 + 3 * self.odd()])), **more
        )

    def durable(self) -> None:
        self.line("durable", index=self.near(self.last), term=None if self.odd() else self.near(self.term))

    def ack(self) -> None:
        sessions: tuple[Any, ...] = (3, "c3", "c", None, [3])
        session = self.random.choice(sessions) if self.odd() else self.random.randrange(3)
        command = self.random.choice((True, "x", 1 << 64, None)) if self.odd() else len(self.events)
        index, kind = self.near(self.committed), "read" if self.odd() else "write"
        more = {} if self.odd() else {"term": self.near(self.term)}
        self.line("ack", session=session, index=index, kind=kind, command=command, **more)
        if session is not None and command is not None:
            extra = {"log_index": self.near(index), "term": self.near(self.term), "served_by": self.node}
            self.operation("write", {**extra, "session": session, "seq": command})

    def operation(self, f: str, extra: dict[str, Any]) -> None:
        process = 1000 * self.at_ms + 2 * len(self.events) + NODES.index(self.node)
        for kind, at_ms in ((Type.INVOKE, self.at_ms), (Type.OK, self.at_ms + 1)):
            more = {} if kind is Type.INVOKE else extra
            self.events.append(
                Event(0, at_ms * _MS, process, kind, f, process, "k", None, "linearizable", None, None, more)
            )

    def confirm(self) -> None:
        if self.random.random() < 0.3:
            self.line(
                "lease",
                until_ns=self.at_ms * _MS,
                clock=self.random.choice(("wall", None)) if self.odd() else "monotonic",
            )
            return
        acks: list[Any] = self.random.choice(
            ([], ["n2"], ["n1", "n2"], ["n"], [1]) if self.odd() else (["n1", "n2"], ["n2", "n1"])
        )
        voters = dict(self.random.choice(_VOTERS[: 2 + 3 * self.odd()]))
        self.line("read-confirmed", index=self.near(self.committed), acks=acks, voters=voters)
        self.operation("read", {"log_index": self.near(self.committed), "term": self.term, "served_by": self.node})

    def truncate(self) -> None:
        self.last = max(0, self.last - self.random.randrange(3))
        self.line("truncate", **{"from": self.last + 1})

    def config(self) -> None:
        self.line("config", index=self.near(self.last + 1), voters=dict(self.random.choice(_VOTERS)))

    def digest(self) -> None:
        digest = "d" if self.random.random() < 0.8 else "other"
        self.line("digest", index=self.near(self.applied), digest=digest)

    def later(self) -> None:
        self.term += 1
        self.line("term", term=self.term)

    def follow(self) -> None:
        self.line("follower", term=self.near(self.term), leader=None)

    def snapshot(self) -> None:
        index = self.near(self.applied)
        self.line(
            self.random.choice(("snapshot", "snapshot-installed")), index=index, term=self.near(self.term), digest="d"
        )
