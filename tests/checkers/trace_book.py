"""Writes traces line by line for literal stories: a line takes the next `seq` and the book's time, in ms of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tribulation.checkers import Budget, CheckResult, Fault, RunRecord
from tribulation.histories import Event, History, Type

MS = 1_000_000
THREE = {"n1": 1, "n2": 1, "n3": 1}


class Book:
    """Clocks are right to ±`error_ms` unless it is set otherwise. Crc 100 + index stands for the command at an index."""

    def __init__(self, voters: Mapping[str, int] = THREE, error_ms: float = 0.1) -> None:
        self.voters = dict(voters)
        self.lines: dict[str, list[dict[str, Any]]] = {}
        self.events: list[Event] = []
        self.at_ms = 0.0
        self.offsets = {name: (0, int(error_ms * MS)) for name in voters}
        self.faults: list[Fault] = []
        self._places: dict[str, list[int]] = {}

    def line(self, node: str, event: str, at_ms: float | None = None, **fields: Any) -> dict[str, Any]:
        self.at_ms = self.at_ms + 1 if at_ms is None else at_ms
        incarnation, seq = self._places.setdefault(node, [1, 0])
        head = {"node": node, "incarnation": incarnation, "seq": seq, "mono_ns": int(self.at_ms * MS), "event": event}
        line = {**head, **fields}
        self.lines.setdefault(node, []).append(line)
        self._places[node][1] += 1
        return line

    def boot(
        self, node: str, term: int = 0, last: tuple[int, int] = (0, 0), again: bool = False, **fields: Any
    ) -> None:
        """`last` is (index, term) of the last entry on its disk."""
        if again:
            self._places[node] = [self._places[node][0] + 1, 0]
        known = {"voted_for": None, "snapshot_index": 0, "voters": self.voters, "torn": False, **fields}
        self.line(node, "start", term=term, last_index=last[0], last_term=last[1], **known)

    def boot_all(self) -> Book:
        for node in self.voters:
            self.boot(node)
        return self

    def win(
        self, node: str, term: int, votes: Sequence[str], last_index: int = 0, voters: Mapping[str, int] | None = None
    ) -> None:
        """Vote lines of all voters, then the winner's."""
        for voter in votes:
            self.line(voter, "term", term=term)
            self.line(voter, "vote", term=term, candidate=node)
        self.line(
            node, "leader", term=term, last_index=last_index, votes=list(votes), voters=dict(voters or self.voters)
        )

    def append(self, node: str, *entries: tuple[int, int], crc: int = 100) -> None:
        """Entries are (index, term)."""
        self.line(node, "append", entries=[[index, term, crc + index] for index, term in entries])

    def durable(self, node: str, index: int, term: int) -> None:
        self.line(node, "durable", index=index, term=term)

    def commit(
        self, node: str, index: int, term: int, match: Mapping[str, int], voters: Mapping[str, int] | None = None
    ) -> None:
        self.line(node, "commit", index=index, term=term, match=dict(match), voters=dict(voters or self.voters))

    def apply(self, node: str, *entries: tuple[int, int], crc: int = 100) -> None:
        self.line(node, "apply", entries=[[index, term, crc + index] for index, term in entries])

    def replicate(self, leader: str, followers: Sequence[str], index: int, term: int) -> None:
        """One entry the whole way: written and durable on all of them, committed and applied on the leader."""
        for node in [leader, *followers]:
            self.append(node, (index, term))
            self.durable(node, index, term)
        match = {name: index if name in (leader, *followers) else 0 for name in self.voters}
        self.commit(leader, index, term, match)
        self.apply(leader, (index, term))

    def op(
        self,
        f: str,
        start_ms: float,
        end_ms: float | None,
        kind: str = "ok",
        process: int | None = None,
        level: str = "linearizable",
        value: Any = None,
        **extra: Any,
    ) -> int:
        """An operation by itself; its index. Operations must be given in an order in which their events may be written."""
        process = len(self.events) if process is None else process
        index = len(self.events)
        error = extra.pop("error", None)
        self.events.append(Event(index, int(start_ms * MS), process, Type.INVOKE, f, value, "k", None, level))
        if end_ms is not None:
            done = Event(
                index + 1, int(end_ms * MS), process, Type(kind), f, value, "k", None, level, None, error, extra
            )
            self.events.append(done)
        return index

    def fault(self, kind: str, from_ms: float, to_ms: float | None, verified: bool = True, **what: Any) -> None:
        heal_ns = None if to_ms is None else int(to_ms * MS)
        name = f"{kind}-{len(self.faults)}"
        start_ns = int(from_ms * MS)
        self.faults.append(Fault(name, kind, what, None, verified, start_ns, start_ns, heal_ns, heal_ns))

    def record(self, **more: Any) -> RunRecord:
        fields: dict[str, Any] = {
            "history": History(self.events),
            "traces": self.lines,
            "nodes": sorted(self.voters),
            "voters": self.voters,
            "clock_offsets_ns": self.offsets,
            "faults": self.faults,
        }
        return RunRecord(**{**fields, **more})


def both_ways(*pairs: tuple[str, str]) -> list[list[str]]:
    return [[a, b] for a, b in pairs] + [[b, a] for a, b in pairs]


def kinds(result: CheckResult) -> list[str]:
    return sorted({anomaly.kind for anomaly in result.anomalies})


BUDGET = Budget(time_s=60, cpu=True)
