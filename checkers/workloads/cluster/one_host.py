"""One host at a time for an agent, in true time: epochs alone do not show that a host which was given up runs on while its successor begins.

A host that is cut off stops its agents after one election timeout without contact to a quorum, and one with contact reads of the successor in the log.
Until then both may run, and what the old one does is void by its epoch. A host that runs on for longer was not stopped.

An agent runs on a host from `agent-started` to `agent-stopped`, `agent-suspended` or `agent-standing` (the end of its migration), or to the last line
of the process. Only a simulated run knows true times, and when a process stood still.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ...base.conclusion import sentence
from ...base.findings import Findings
from ...base.result import Fault, RunRecord
from ...base.wording import seconds
from ...faults.kinds import targets
from ...liveness.simulated_truth import known_truth
from ...traces.traces import FOREVER_NS, Incarnation, Line, Traces, excerpt

STARTED = "agent-started"
ENDS = frozenset({"agent-stopped", "agent-suspended", "agent-standing"})
_TIMELY = frozenset({"cut", "reset", "voters", "transfer"})
"""Faults that do not stop a process and do not slow it down."""


@dataclass(frozen=True, slots=True)
class Run:
    """`host` ran the agent from `from_ns` to `to_ns`; both are certain."""

    host: str
    from_ns: int
    to_ns: int
    line: Line


def one_host_at_a_time(record: RunRecord, traces: Traces, findings: Findings) -> None:
    truth = known_truth(record)
    if truth is None or not truth.fair or not truth.lossless:
        return
    allowed_ns = truth.recovery_ns
    for agent, runs in sorted(timely_runs(record, traces).items()):
        for place, run in enumerate(runs):
            for other in runs[place + 1 :]:
                if other.from_ns + allowed_ns >= run.to_ns:
                    break
                until_ns = min(run.to_ns, other.to_ns)
                if other.host != run.host and until_ns - other.from_ns > allowed_ns:
                    _report(agent, run, other, until_ns, findings)


def timely_runs(record: RunRecord, traces: Traces) -> dict[str, list[Run]]:
    """Return by agent its runs in order of their begin, without the times in which a fault may have stopped or slowed down the host."""
    found: dict[str, list[Run]] = {}
    for node, lives in traces.incarnations.items():
        if not traces.clocks.knows(node):
            continue
        slow = [_span(fault) for fault in record.faults if fault.kind not in _TIMELY and node in targets(fault)]
        for life in lives:
            for agent, run in _of_a_life(traces, life):
                found.setdefault(agent, []).extend(_without(run, slow))
    for runs in found.values():
        runs.sort(key=lambda run: run.from_ns)
    return found


def _span(fault: Fault) -> tuple[int, int]:
    return fault.start_ns, FOREVER_NS if fault.over_ns is None or not fault.undone else fault.over_ns


def _of_a_life(traces: Traces, life: Incarnation) -> Iterable[tuple[str, Run]]:
    running: dict[str, Line] = {}
    for position, line in enumerate(life.lines):
        if position in life.gaps:
            running.clear()  # Some may have been stopped in the lines that are missing.
        agent = str(line.get("agent"))
        if line["event"] == STARTED:
            running.setdefault(agent, line)
        elif line["event"] in ENDS and agent in running:
            began = running.pop(agent)
            yield agent, Run(life.node, traces.place(began).high_ns, traces.place(line).low_ns, began)
    last_ns = traces.place(life.lines[-1]).low_ns
    for agent, began in running.items():
        yield agent, Run(life.node, traces.place(began).high_ns, last_ns, began)


def _without(run: Run, spans: Sequence[tuple[int, int]]) -> list[Run]:
    """Return the parts of the run outside the spans."""
    left = [run]
    for start_ns, end_ns in spans:
        left = [
            replace(one, from_ns=from_ns, to_ns=to_ns)
            for one in left
            for from_ns, to_ns in ((one.from_ns, min(one.to_ns, start_ns)), (max(one.from_ns, end_ns), one.to_ns))
            if from_ns < to_ns
        ]
    return left


def _report(agent: str, run: Run, other: Run, until_ns: int, findings: Findings) -> None:
    text = (
        f"agent {agent} ran on {run.host} (epoch {run.line['epoch']}) and on {other.host} (epoch {other.line['epoch']}) at one time, "
        f"from {seconds(other.from_ns)} to {seconds(until_ns)}"
    )
    details = {"agent": agent, "traces": [excerpt(run.line), excerpt(other.line)]}
    findings.add("two-hosts-at-once", sentence(text), details=details)
