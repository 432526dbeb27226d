"""Checker `split-brain`: split brain by its four definitions, which are reported separately.

SB1 two leaders in one term. SB2 two nodes that believe to lead at the same time, in different terms: Raft allows that, so it is a figure and never a
violation. SB3 acknowledged writes that are not on one log: an index that was acknowledged later holds another entry. SB4 a stale leader serves a
read: a read saw a state from before something that was already acknowledged when it was invoked.

SB1 and SB2 need traces; SB3 sees more with them; SB4 needs only replies that carry their log index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tribulation.histories import Operation
from tribulation.histories.model.columns import ABSENT, NO_NUMBER, OPEN

from ..base import acknowledged
from ..base.budget import OutOfBudget
from ..base.findings import Findings
from ..base.logged import Logged, logged
from ..base.result import Anomaly, Budget, CheckResult, RunRecord, Verdict
from ..base.selection import NOTHING
from ..faults.connectivity import epochs
from ..raft.acknowledged_writes import AckCount, judge_acknowledged
from ..raft.facts import Survey
from ..raft.shared_survey import survey_of
from ..traces.traces import TraceError
from .leader_overlap import overlaps

_SHOWN_OVERLAPS = 5


class SplitBrainChecker:
    """Checker of split brain. Stats hold each definition separately: `SB1` … `SB4`, with counts, and for SB2 durations."""

    name = "split-brain"
    operations = NOTHING

    def applies(self, record: RunRecord) -> bool:
        return any(record.traces.values()) or bool(logged(record).indexed.any())

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        operations = logged(record)
        findings = Findings()
        reads = _judge_reads(operations, findings)
        facts: Survey | None = None
        trouble: str | None = None
        if any(record.traces.values()):
            try:
                facts = survey_of(record, budget, Findings())
            except (TraceError, OutOfBudget) as error:
                trouble = str(error)
        writes = judge_acknowledged(operations, facts, findings)
        two_leaders = [] if facts is None else [a for a in facts.findings.kept if a.kind == "two-leaders"]
        anomalies = (*(Anomaly(f"SB1-{a.kind}", a.ops, a.explanation, a.details) for a in two_leaders), *findings.kept)
        stats = _stats(record, operations, facts, findings, writes, reads)
        if anomalies:
            return CheckResult(self.name, Verdict.INVALID, anomalies, stats)
        reason = trouble or _doubt(facts, writes, reads)
        return CheckResult(self.name, Verdict.UNKNOWN if reason else Verdict.VALID, (), stats, reason)


def _doubt(facts: Survey | None, writes: AckCount, reads: _ReadCount) -> str | None:
    if facts is not None and facts.traces.problems:
        return "; ".join(facts.traces.problems[:5])
    if facts is not None and facts.reigns:
        return None
    if not writes.indexed and not reads.indexed:
        return "the traces show no leader, and no completion carries a log index"
    return None


# -- SB4


@dataclass(frozen=True, slots=True)
class _ReadCount:
    indexed: int
    stale_marked: int


def _judge_reads(view: Logged, findings: Findings) -> _ReadCount:
    """Check by position in the history: the highest index acknowledged before a read was invoked must be in the state it saw. O(n log n)."""
    asked = np.flatnonzero(view.ok & ~view.write & view.indexed)
    strong = asked[~view.stale[asked]]
    done = np.flatnonzero((view.complete != OPEN) & view.ran & ~view.stale & view.indexed)
    done = done[np.argsort(view.complete[done], kind="stable")]
    before = np.searchsorted(view.complete[done], view.invoke[strong])
    if len(done):
        highest = np.maximum.accumulate(view.index[done])
        known = highest[np.maximum(before - 1, 0)]
        for place in np.flatnonzero((before > 0) & (view.index[strong] < known)):
            first = done[np.searchsorted(highest, known[place])]
            _report_stale(view.operation(strong[place]), view.operation(first), findings)
    return _ReadCount(len(strong), len(asked) - len(strong))


def _report_stale(op: Operation, before: Operation, findings: Findings) -> None:
    findings.add(
        "SB4-stale-read",
        f"{acknowledged.describe(op)}, served by {acknowledged.served_by(op)} in term {acknowledged.term(op)}, saw the state at log index {_index(op)}, although "
        f"{acknowledged.describe(before)} had been answered at index {_index(before)} (by {acknowledged.served_by(before)} in term {acknowledged.term(before)}) before "
        "it was asked.",
        ops=(before.invoke_index, op.invoke_index),
        details={"read_index": _index(op), "acknowledged_index": _index(before)},
    )


def _index(op: Operation) -> int:
    return acknowledged.log_index(op) or 0


# -- figures


def _stats(
    record: RunRecord,
    operations: Logged,
    facts: Survey | None,
    findings: Findings,
    writes: AckCount,
    reads: _ReadCount,
) -> dict[str, Any]:
    lost = sum(count for kind, count in findings.counts.items() if kind.startswith("SB3"))
    stats: dict[str, Any] = {
        "SB3": {
            "violations": lost,
            "acknowledged": writes.writes,
            "with_index": writes.indexed,
            "compared": writes.compared,
            "acknowledged_apart": _acknowledged_apart(record, operations),
        },
        "SB4": {
            "violations": findings.counts.get("SB4-stale-read", 0),
            "reads": reads.indexed,
            "reads_marked_stale": reads.stale_marked,
        },
    }
    if facts is None:
        return {"SB1": "not checked: no traces", "SB2": "not checked: no traces", **stats}
    both = sorted(overlaps(facts.reigns), key=lambda overlap: -overlap.surely_ns)
    return {
        "SB1": {"violations": facts.findings.counts.get("two-leaders", 0), "elections": len(facts.reigns)},
        "SB2": {
            "overlaps": len(both),
            "total_ms": round(sum(overlap.surely_ns for overlap in both) / 1e6, 3),
            "longest": [overlap.about() for overlap in both[:_SHOWN_OVERLAPS]],
        },
        **stats,
    }


def _acknowledged_apart(record: RunRecord, view: Logged) -> list[dict[str, Any]]:
    """Return intervals in which nodes of two separated components both acknowledged writes: where to look, not a proof."""
    history = epochs(record.faults, record.reachability)
    if not any(epoch.cut for epoch in history.epochs):
        return []
    parts: dict[int, list[frozenset[str]]] = {}
    sides: dict[int, dict[frozenset[str], int]] = {}
    rows = np.flatnonzero(view.acknowledged & (view.complete_ns != NO_NUMBER) & (view.server != ABSENT))
    for row, begun_ns, ended_ns in zip(
        rows.tolist(), view.invoke_ns[rows].tolist(), view.complete_ns[rows].tolist(), strict=True
    ):
        epoch = history.within(begun_ns, ended_ns)
        if epoch is None or not epoch.cut:
            continue
        node = view.names[view.server[row]]
        if epoch.start_ns not in parts:
            parts[epoch.start_ns] = epoch.components(record.nodes)
        part = next((part for part in parts[epoch.start_ns] if node in part), frozenset({node}))
        sides.setdefault(epoch.start_ns, {}).setdefault(part, int(view.invoke[row]))
    return [
        {"from_ms": round(start_ns / 1e6, 3), "ops": list(found.values())}
        for start_ns, found in sorted(sides.items())
        if len(found) > 1
    ][:_SHOWN_OVERLAPS]
