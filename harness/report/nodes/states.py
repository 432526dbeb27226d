"""The state of each node over time: when it led and in which term, when a fault had stopped it, when it had halted itself. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tribulation.checkers.base.result import Fault

from .lines import Line

STOPPED = {"kill": "killed", "power": "without power", "pause": "paused", "wipe": "wiped"}
"""Kind of fault → the state of the nodes that it targets."""


@dataclass(frozen=True, slots=True)
class Span:
    """`term` is set where the node led."""

    node: str
    from_ns: int
    until_ns: int
    state: str
    term: int | None = None

    def covers(self, at_ns: int) -> bool:
        return self.from_ns <= at_ns < self.until_ns


def spans(lines: Iterable[Line], faults: Sequence[Fault], end_ns: int) -> list[Span]:
    down = [span for fault in faults for span in _stopped(fault, end_ns)]
    by_node: dict[str, list[Line]] = {}
    for line in lines:
        if line.at_ns is not None and line.event in ("start", "leader", "follower", "halt"):
            by_node.setdefault(line.node, []).append(line)
    led = [span for node, its in by_node.items() for span in _led(node, its, down, end_ns)]
    return sorted([*down, *led], key=lambda span: (span.node, span.from_ns))


def _stopped(fault: Fault, end_ns: int) -> list[Span]:
    nodes = fault.intended.get("nodes")
    if fault.kind not in STOPPED or not isinstance(nodes, list):
        return []
    from_ns = fault.start_ns if fault.injected_ns is None else fault.injected_ns
    until_ns = end_ns if fault.heal_ns is None else fault.heal_ns
    return [Span(str(node), from_ns, max(from_ns, until_ns), STOPPED[fault.kind]) for node in nodes]


def _led(node: str, lines: list[Line], down: Sequence[Span], end_ns: int) -> list[Span]:
    lines.sort(key=lambda line: line.at_ns or 0)
    ends = [span.from_ns for span in down if span.node == node and span.state != "paused"]
    found = []
    for at, line in enumerate(lines):
        term = line.fields.get("term")
        if line.at_ns is None:
            continue
        from_ns = line.at_ns
        if line.event == "halt":
            starts = [one.at_ns for one in lines[at + 1 :] if one.event == "start" and one.at_ns is not None]
            found.append(Span(node, from_ns, max(from_ns, min([*starts, end_ns])), "halted"))
        if line.event != "leader" or type(term) is not int:
            continue
        following = [one.at_ns for one in lines[at + 1 : at + 2] if one.at_ns is not None]
        until_ns = min([*following, *(end for end in ends if end > from_ns), end_ns])
        found.append(Span(node, from_ns, max(from_ns, until_ns), "leader", term))
    return found


def leaders(found: Sequence[Span], at_ns: int) -> list[Span]:
    """Nodes that led at this moment, by their own traces; the newest term last."""
    return sorted(
        (span for span in found if span.term is not None and span.covers(at_ns)), key=lambda span: span.term or 0
    )
