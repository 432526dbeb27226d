"""Traces of any events, line by line, for literal stories: line number i of a story is written at i ms, by clocks that are right to ±0.1 ms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tribulation.checkers import Budget, CheckResult, Fault, RunRecord, Verdict, checker
from tribulation.histories import History

from .stories import MS, Story


class Lines:
    """`at_ms` of a line is given, or 1 ms after the one before."""

    def __init__(self, *nodes: str) -> None:
        self.nodes = nodes or ("n1", "n2", "n3")
        self.lines: dict[str, list[dict[str, Any]]] = {}
        self.places: dict[str, list[int]] = {}
        self.at_ms = -1.0
        self.faults: list[Fault] = []
        self.operations = Story()

    def line(self, node: str, event: str, at_ms: float | None = None, **fields: Any) -> Lines:
        self.at_ms = self.at_ms + 1 if at_ms is None else at_ms
        incarnation, seq = self.places.setdefault(node, [1, 0])
        head = {"node": node, "incarnation": incarnation, "seq": seq, "mono_ns": int(self.at_ms * MS), "event": event}
        self.lines.setdefault(node, []).append({**head, **fields})
        self.places[node][1] += 1
        return self

    def boot(self, node: str) -> Lines:
        self.places[node] = [self.places[node][0] + 1, 0]
        return self

    def lose(self, node: str) -> Lines:
        """A line of its trace is missing here."""
        self.places[node][1] += 1
        return self

    def quiet(self) -> Lines:
        """Every node has a trace that says nothing."""
        for node in self.nodes:
            if node not in self.lines:
                self.line(node, "quorum")
        return self

    def fault(self, kind: str, node: str, start_ms: float, end_ms: float | None = None, within_ms: float = 0) -> Lines:
        """Injected within `within_ms` from its start, healed within as much."""
        begin, heal = int(start_ms * MS), None if end_ms is None else int(end_ms * MS)
        within = int(within_ms * MS)
        name = f"f{len(self.faults) + 1}"
        back = None if heal is None else heal + within
        self.faults.append(Fault(name, kind, {"nodes": [node]}, None, True, begin, begin + within, heal, back))
        return self

    def judge(self, name: str, without: str = "", **record: Any) -> CheckResult:
        """`without` names a node whose clock was not measured."""
        offsets = {node: (0, MS // 10) for node in self.nodes if node != without}
        whole = RunRecord(
            history=History(self.operations.events),
            traces=self.lines,
            nodes=self.nodes,
            faults=tuple(self.faults),
            clock_offsets_ns=offsets,
            **record,
        )
        found = checker(name)
        return (
            found.check(whole, Budget())
            if found.applies(whole)
            else CheckResult(name, Verdict.UNKNOWN, reason="does not apply")
        )


def places(anomaly: Any) -> list[tuple[str, int]]:
    """(node, seq) of the trace lines of a witness."""
    lines: list[Mapping[str, Any]] = anomaly.details["traces"]
    return [(line["node"], line["seq"]) for line in lines]
