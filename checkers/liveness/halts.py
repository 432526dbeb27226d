"""Checker `halts`: no node stops itself, refuses what it wrote itself, or restarts without a known cause.

Trace lines: `halt` (`reason`), `snapshot-refused`, `memory-garbage` and `command-failed`: a node found something that a correct one finds only on a
damaged disk. In a simulated run the simulator knows which disks it damaged, so a complaint without damage is `halted-without-cause` or
`damage-without-cause`. On hosts a disk may fail by itself: the complaint is unknown then, unless a fault of the ledger explains it. The same holds
for a process that was restarted although no fault ended the one before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from ..base.findings import Findings
from ..base.result import Budget, CheckResult, RunRecord, Verdict
from ..base.selection import NOTHING
from ..faults.kinds import ends_processes, targets
from ..traces.columns import placed
from ..traces.traces import Line, Traces, excerpt, read_traces
from .simulated_truth import Truth, known_truth

HALT = "halt"
FAILED = "command-failed"
OF_OTHERS = frozenset({"snapshot-refused", "memory-garbage"})
"""Data from another node is wrong: that node's disk may be the cause."""

COMPLAINTS = OF_OTHERS | {HALT, FAILED}
BOOTING_LINES = 8
"""A halt among the first few lines of a life is about what was found on the disk."""

_MAY_DAMAGE = frozenset({"disk", "wipe", "membership", "memory", "power"})
"""On hosts; a real disk without power may have lost more than it should."""

_KIND: Mapping[str, str] = {HALT: "halted-without-cause", FAILED: "command-failed"}


class HaltsChecker:
    name = "halts"
    operations = NOTHING

    def applies(self, record: RunRecord) -> bool:
        return any(record.traces.values())

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        traces, truth = read_traces(record), known_truth(record)
        findings, doubts, excused = Findings(), list[str](), 0
        for incarnation in traces:
            for position, line in placed(incarnation.lines, COMPLAINTS):
                if _excused(record, traces, truth, line, position):
                    excused += 1
                elif truth is None and line["event"] != FAILED:
                    doubts.append(f"{_described(line)}, and no fault of the run explains it")
                else:
                    kind = _KIND.get(line["event"], "damage-without-cause")
                    findings.add(kind, f"{_described(line)}, {_whole(truth)}.", details={"traces": [excerpt(line)]})
        doubts += [] if truth is not None else _unasked(record, traces)
        stats: dict[str, Any] = {"excused": excused, "anomalies": dict(findings.counts)}
        if findings.counts:
            return CheckResult(self.name, Verdict.INVALID, tuple(findings.kept), stats)
        reason = "; ".join(dict.fromkeys(doubts)) or None
        return CheckResult(self.name, Verdict.UNKNOWN if reason else Verdict.VALID, (), stats, reason)


def _described(line: Line) -> str:
    reason = str(line.get("reason") or line.get("kind") or "").partition("\nhint")[0]
    what = {HALT: "stopped itself", FAILED: "could not apply a command"}.get(line["event"], f"traced {line['event']}")
    return f"{line['node']} {what}" + (f" ({reason})" if reason else "")


def _whole(truth: Truth | None) -> str:
    return "which its system had accepted" if truth is None else "and nothing had been done to a disk that explains it"


def _excused(record: RunRecord, traces: Traces, truth: Truth | None, line: Line, position: int) -> bool:
    """Return whether damage that was done, or may have been done, explains the line."""
    event, node, at = line["event"], str(line["node"]), traces.place(line)
    if event == FAILED:
        return False
    of_others = event in OF_OTHERS or (event == HALT and position >= BOOTING_LINES)
    if truth is not None:
        forgot = truth.forgot_ns is not None and truth.forgot_ns <= at.high_ns
        return truth.was_damaged(node, at.high_ns) or (of_others and forgot)
    return any(
        fault.start_ns <= at.high_ns and (of_others or node in targets(fault))
        for fault in record.faults
        if fault.kind in _MAY_DAMAGE or fault.intended.get("corrupt_ppm") or fault.intended.get("may_damage")
    )


def _unasked(record: RunRecord, traces: Traces) -> list[str]:
    """Return nodes of which a new process began although no fault that may end processes had been done to them."""
    found = []
    for node, lives in traces.incarnations.items():
        ends = [fault.start_ns for fault in record.faults if ends_processes(fault) and node in targets(fault)]
        for before, after in pairwise(lives):
            until_ns = traces.place(after.lines[0]).high_ns
            if record.attached and until_ns < 0:
                continue  # what ended it came before the run: an earlier run, or the operator of the system
            if before.lines[-1]["event"] != HALT and not any(start_ns <= until_ns for start_ns in ends):
                found.append(
                    f"the process of {node} ended (incarnation {before.number}), although no fault of the run ends processes on it"
                )
    return found
