"""Checker `quorum`: the quorum guarantees Q1 to Q4, which hold while a majority of the voters' weight is connected, and while it is not.

Q1 every ok write was durable on voters with more than half of the weight before its ok. Q2 no write whose whole interval lies where no connected
component had that weight is ok. Q3 each linearizable read was confirmed by such a set after it was invoked. Q4 without a quorum, stale reads answer
marked, and writes end refused or unknown by their deadline.

Q1 and Q3 need traces (`trace_evidence`); Q2 and Q4 need a history and the ledger (`no_quorum_windows`, and `partition_sides` for a side that has no
quorum while another one has).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base.budget import OutOfBudget
from ..base.findings import Findings
from ..base.logged import Logged, logged
from ..base.options import bound, flag, settings_of
from ..base.result import Budget, CheckResult, RunRecord, Verdict
from ..base.selection import NOTHING
from ..faults.connectivity import epochs
from ..raft.facts import Survey
from ..raft.shared_survey import survey_of
from ..raft.voter_timeline import voter_timeline
from ..traces.traces import TraceError
from .no_quorum_windows import DEFAULT_GRACE_MS, judge_unmarked, judge_windows, windows_without_quorum
from .partition_sides import judge_sides
from .trace_evidence import judge_reads, judge_writes


class QuorumChecker:
    """Checker of the quorum guarantees. Stats hold each one separately: `Q1` … `Q4`, how much was examined, and how much stayed undecided."""

    name = "quorum"
    operations = NOTHING
    options = (
        bound(
            "deadline_ms",
            None,
            "the time in which a write must be answered, for operations without a deadline of their own",
            shared=True,
        ),
        bound(
            "deadline_grace_ms", DEFAULT_GRACE_MS, "how much later than its deadline an answer may come", shared=True
        ),
        flag(
            "reads_need_quorum",
            False,
            "without traces: the system answers no linearizable read by a lease, so each needs a quorum",
        ),
    )

    def applies(self, record: RunRecord) -> bool:
        if not _of_the_log(record).write.any():
            return False
        return bool(record.voters) or any(record.traces.values())

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        operations = _of_the_log(record)
        findings = Findings()
        facts: Survey | None = None
        trouble: str | None = None
        if any(record.traces.values()):
            try:
                facts = survey_of(record, budget, Findings())
            except (TraceError, OutOfBudget) as error:
                trouble = str(error)
        settings = settings_of(record, self)
        if facts is not None:
            leased = any(clock == "monotonic" for _, clock in facts.leases.forms.values)
            settings = {**settings, "reads_need_quorum": not leased}
        timeline = voter_timeline(record, facts)
        history = epochs(record.faults, record.reachability)
        windows = windows_without_quorum(history, timeline)
        stats: dict[str, Any] = {}
        if facts is not None:
            stats["Q1"] = judge_writes(operations, facts, timeline, findings)
            stats["Q3"] = judge_reads(operations, facts, findings)
        stats["Q2"], stats["Q4"] = judge_windows(record, operations, windows, history, timeline, findings, settings)
        needed = settings["reads_need_quorum"]
        stats["Q2"].update(judge_sides(record, operations, history, timeline, windows, needed, findings))
        stats["Q4"]["stale_reads"] = judge_unmarked(operations, windows, findings)
        stats["notes"] = list(history.notes)
        if findings.kept:
            return CheckResult(self.name, Verdict.INVALID, tuple(findings.kept), stats)
        reason = trouble or _doubt(record, operations, facts, stats)
        return CheckResult(self.name, Verdict.UNKNOWN if reason else Verdict.VALID, (), stats, reason)


def _of_the_log(record: RunRecord) -> Logged:
    """Return the operations that required a quorum of the log."""
    view = logged(record)
    return view.only(~view.without_log)


def _doubt(record: RunRecord, view: Logged, facts: Survey | None, stats: Mapping[str, Any]) -> str | None:
    if not view.write.any():
        return "the history has no writes"
    if not view.ok.any() and not stats["Q2"]["writes_begun_inside"]:
        return "no operation succeeded, and none was tried while no quorum could exist"
    if facts is None:
        return None if record.voters else "traces and the voters' weights are unknown"
    if facts.traces.problems:
        return "; ".join(facts.traces.problems[:5])
    if stats["Q1"]["writes"] and not stats["Q1"]["proven"] and not stats["Q1"]["claimed"]:
        return "no ok write could be compared with the traces"
    return None
