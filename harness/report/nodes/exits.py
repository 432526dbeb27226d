"""Processes that ended although no fault of the run had ended them, by the traces of the process that began after each. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tribulation.checkers.base.result import Fault
from tribulation.checkers.faults.kinds import ends_processes, targets

from .lines import Line


def unexpected_starts(lines: Sequence[Line], faults: Sequence[Fault]) -> list[Line]:
    """Return a warning for each, at the time at which the node began again: no trace has the time at which its process ended."""
    ends = [(fault.start_ns, targets(fault)) for fault in faults if ends_processes(fault)]
    lives: dict[str, list[Line]] = {}
    halted: set[tuple[str, object]] = set()
    for line in lines:
        if line.event == "halt":
            halted.add((line.node, line.fields.get("incarnation")))
        elif line.event == "start" and line.at_ns is not None:
            lives.setdefault(line.node, []).append(line)
    return [
        Line(node, after.at_ns, "warning", "trace", "restarted, although no fault had ended its process", "exited")
        for node, starts in lives.items()
        for before, after in pairwise(sorted(starts, key=lambda line: line.at_ns or 0))
        if (node, before.fields.get("incarnation")) not in halted
        and (after.at_ns or 0) >= 0
        and not any(start_ns <= (after.at_ns or 0) and node in nodes for start_ns, nodes in ends)
    ]
