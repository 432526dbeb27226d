"""Checker `upkeep`: duties of nodes without a request: a leader without contact to a quorum steps down, and a log that grows is compacted.

Neither breaks a promise about data, so no other checker would see it: such a leader holds its clients until their deadlines, and such a log fills the
disk. Times and thresholds are those of the nodes' configuration, which a simulated run knows with its true times.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..base.findings import Findings
from ..base.result import Budget, CheckResult, Fault, RunRecord, Verdict
from ..base.selection import NOTHING
from ..base.wording import seconds
from ..faults.kinds import changes_voters
from ..traces.traces import Traces, excerpt, read_traces
from .served import Following, followings
from .simulated_truth import Truth, known_truth

STEP_DOWN_ELECTIONS = 3
"""Election timeouts in which a leader without a quorum must step down: at each heartbeat it checks whether a quorum answered within the last one."""

COMPACTIONS = 4
"""Thresholds of entries that may be applied without a snapshot: one is being written while others come."""


class UpkeepChecker:
    name = "upkeep"
    operations = NOTHING

    def applies(self, record: RunRecord) -> bool:
        return bool(record.truth) and any(record.traces.values())

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        traces, truth, findings = read_traces(record), known_truth(record), Findings()
        if truth is None:
            return CheckResult(
                self.name, Verdict.UNKNOWN, reason="the duties of nodes are known only in simulated runs"
            )
        _compaction(traces, truth, findings)
        if not any(map(changes_voters, record.faults)):
            _step_down(record, traces, truth, findings)
        stats: dict[str, Any] = {"anomalies": dict(findings.counts)}
        return CheckResult(
            self.name, Verdict.INVALID if findings.counts else Verdict.VALID, tuple(findings.kept), stats
        )


def _compaction(traces: Traces, truth: Truth, findings: Findings) -> None:
    """Check compaction. A node whose disk was slow or damaged may be late with its snapshot; it is left out."""
    if not truth.snapshot_threshold:
        return
    for life in traces:
        if life.node in truth.damaged_ns or life.node in truth.slowed or life.gaps:
            continue
        taken, applied, last = 0, 0, None
        for line in life.lines:
            if line["event"] == "start":
                taken = applied = line["snapshot_index"]
            elif line["event"] in ("snapshot", "snapshot-installed"):
                taken = max(taken, line["index"])
            elif line["event"] == "apply" and line["entries"]:
                applied, last = line["entries"][-1][0], line
        if last is not None and applied - taken > COMPACTIONS * truth.snapshot_threshold + SLACK:
            text = f"{life.node} applied {applied - taken} entries since its last snapshot (allowed: {truth.snapshot_threshold}), and its log was not compacted."
            findings.add("log-not-compacted", text, details={"node": life.node, "traces": [excerpt(last, applied)]})


SLACK = 1_100
"""Entries of one batch, which may be applied at once."""


def _step_down(record: RunRecord, traces: Traces, truth: Truth, findings: Findings) -> None:
    """Report leaders that went on although one partition kept a quorum from them for too long. An answer needs both directions of a link."""
    allowed_ns = STEP_DOWN_ELECTIONS * truth.election_ns
    known = followings(traces)
    for fault in record.faults:
        if fault.kind != "cut" or not fault.verified or fault.seen_ns is None:
            continue
        until_ns = fault.heal_ns if fault.heal_ns is not None else record.phases.get("end", 0)
        if until_ns - fault.seen_ns < allowed_ns:
            continue
        for reign in _cut_off(fault, known, (fault.seen_ns, fault.seen_ns + allowed_ns)):
            if _stood_still(record.faults, reign.leader, fault.seen_ns, until_ns):
                continue
            text = (
                f"{reign.leader} went on leading in term {reign.term} although the partition {fault.id} kept a quorum from it from {seconds(fault.seen_ns)} on, "
                f"for {allowed_ns / 1e9:g} s at the least (an election timeout: {truth.election_ns / 1e9:g} s)."
            )
            findings.add(
                "leads-without-quorum", text, details={"node": reign.leader, "term": reign.term, "fault": fault.id}
            )


def _cut_off(fault: Fault, known: Mapping[str, Sequence[Following]], stretch: tuple[int, int]) -> Iterable[Following]:
    """Yield reigns that lasted all through the interval, of nodes that reach no quorum in both directions."""
    cut = {(source, target) for source, target in fault.intended.get("edges", ())}
    for node, mine in known.items():
        for one in mine:
            if one.leader != node or not one.voters or one.from_ns > stretch[0] or one.to_ns <= stretch[1]:
                continue
            heard = [other for other in one.voters if (node, other) not in cut and (other, node) not in cut]
            if 2 * sum(one.voters[other] for other in heard) <= sum(one.voters.values()):
                yield one


def _stood_still(faults: Iterable[Fault], node: str, from_ns: int, to_ns: int) -> bool:
    """Return whether the process may not have run, or its clock may have been wrong."""
    return any(
        fault.kind in ("pause", "cpu", "clock", "kill", "power", "wipe", "memory", "disk")
        and fault.start_ns <= to_ns
        and (fault.over_ns is None or fault.over_ns >= from_ns)
        and (node in fault.intended.get("nodes", ()) or fault.kind == "clock")
        for fault in faults
    )
