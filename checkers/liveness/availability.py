"""Checker `availability`: which operations were answered during faults, and how soon after their heal.

The time from a verified heal to the first ok operation is judged only against a bound of the campaign, `max_recovery_s`; without it, it is only
reported. Also judged are requests through each node after the heal (`through_each`), attempts that failed while the system was whole (`attempts`),
and, in simulated runs, requests under a stable leader (`served`).

A heal is no evidence in these cases: another fault, of whatever kind, may have been active before anything was answered, and may be the reason; no
operation was tried early enough; or the nodes' traces show why no leader could be elected.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tribulation.histories import History, Operation, Type

from ..base.logged import logged
from ..base.operation_counts import Crowd
from ..base.options import bound, settings_of
from ..base.result import Anomaly, Budget, CheckResult, Fault, RunRecord, Verdict
from ..base.selection import NOTHING
from ..base.wording import describe, seconds
from ..faults.kinds import ONCE, called
from ..faults.windows import Window, run_end_ns, sides, windows
from ..traces.traces import TraceError, read_traces
from .attempts import failed_attempts
from .election_excuses import Stretch, excuse
from .served import under_a_leader
from .simulated_truth import known_truth
from .through_each import SETTLE, through_each

SHOWN = 6

NOWHERE = "unknown"
"""The side of operations that name no node."""


def _is_settled(history: History) -> bool:
    """Return whether the run had operations through each node in turn."""
    if history.loaded:
        return any(op.workload == SETTLE for op in history.operations())
    columns = history.columns
    return any(columns.workload_names[number] == SETTLE for number in set(columns.workload.tolist()))


class AvailabilityChecker:
    name = "availability"
    operations = NOTHING
    options = (
        bound("max_recovery_s", None, "the longest allowed time from a heal to the first ok operation", shared=True),
    )

    def applies(self, record: RunRecord) -> bool:
        return bool(record.faults) or _is_settled(record.history)

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        result = self._after_heals(record) if record.faults else CheckResult(self.name, Verdict.VALID)
        limit_s = settings_of(record, self)["max_recovery_s"]
        findings, doubt = through_each(record, limit_s)
        attempts, other_doubt = failed_attempts(record, limit_s)
        findings.extend(attempts)
        doubt = doubt or other_doubt
        truth = known_truth(record)
        if truth is not None and any(record.traces.values()):
            findings.extend(under_a_leader(record, truth, read_traces(record)))
        if findings.counts:
            anomalies = (*result.anomalies, *findings.kept)
            return replace(result, verdict=Verdict.INVALID, anomalies=anomalies)
        if doubt is not None and result.verdict is Verdict.VALID:
            return replace(result, verdict=Verdict.UNKNOWN, reason=doubt)
        return result

    def _after_heals(self, record: RunRecord) -> CheckResult:
        ops = record.history.operations()
        spans = windows(record)
        limit_s = settings_of(record, self)["max_recovery_s"]
        disturbances = _disturbances(record)
        crowd, after = Crowd.by_node(logged(record)), _After(ops)
        effects = [_effect(span, disturbances, crowd, after, record) for span in spans]
        stats: dict[str, Any] = {"faults": effects, "ok": sum(op.type is Type.OK for op in ops)}
        recoveries = [item["recovery_ms"] for item in effects if item["recovery_ms"] is not None]
        if recoveries:
            stats["recovery_ms_max"] = max(recoveries)
        if not ops or not spans:
            reason = "no operation was recorded" if not ops else "no fault was injected"
            return CheckResult(self.name, Verdict.UNKNOWN, (), stats, reason)
        silent = _silent(spans, after) if record.is_run else None
        if limit_s is None:
            return CheckResult(self.name, Verdict.UNKNOWN if silent else Verdict.VALID, (), stats, silent)
        anomalies = [(span, _slow(span, disturbances, after, float(limit_s))) for span in spans]
        found = [(span, anomaly) for span, anomaly in anomalies if anomaly is not None]
        if not found:
            kept = any(_kept(span, after, float(limit_s)) for span in spans)
            doubt = silent or (None if kept else f"no heal could be compared with the limit of {limit_s:g} s")
            return CheckResult(self.name, Verdict.UNKNOWN if doubt else Verdict.VALID, (), stats, doubt)
        blamed, excused = _without_excuse(record, found, float(limit_s))
        return CheckResult(self.name, Verdict.INVALID if blamed else Verdict.UNKNOWN, blamed, stats, excused)


@dataclass(frozen=True, slots=True)
class _Disturbance:
    """`fault` may have been active at any time from `start_ns` to `over_ns`."""

    fault: Fault
    start_ns: int
    over_ns: int


def _disturbances(record: RunRecord) -> list[_Disturbance]:
    """Return one for every intended fault: one whose injection failed may have been active for a while, and one whose heal was not verified may still be."""
    end_ns = run_end_ns(record)
    found = []
    for fault in record.faults:
        over_ns = fault.seen_ns if fault.kind in ONCE else fault.over_ns
        found.append(_Disturbance(fault, fault.start_ns, end_ns if over_ns is None or not fault.undone else over_ns))
    return found


class _After:
    """Operations after a moment, and which was answered first: in order of invocation, searched by bisection."""

    def __init__(self, ops: Sequence[Operation]) -> None:
        self._ops = sorted(ops, key=lambda op: op.invoke_ns)
        self._invoked_ns = [op.invoke_ns for op in self._ops]
        self._first_ok: list[Operation | None] = [None]
        self._last_ns = [0]
        for op in reversed(self._ops):
            best, last_ns = self._first_ok[-1], self._last_ns[-1]
            answered = op.type is Type.OK and (best is None or (op.complete_ns or 0) <= (best.complete_ns or 0))
            self._first_ok.append(op if answered else best)
            self._last_ns.append(max(last_ns, op.complete_ns or op.invoke_ns))
        self._first_ok.reverse()
        self._last_ns.reverse()

    def first_ok(self, at_ns: int) -> Operation | None:
        """Return the operation that ended first, of those that began after the moment and ended ok."""
        return self._first_ok[bisect_left(self._invoked_ns, at_ns)]

    def tried(self, at_ns: int) -> Sequence[Operation]:
        """Return the first few operations that began after the moment."""
        begin = bisect_left(self._invoked_ns, at_ns)
        return self._ops[begin : begin + SHOWN]

    def count(self, at_ns: int) -> int:
        return len(self._ops) - bisect_left(self._invoked_ns, at_ns)

    def last_ns(self, at_ns: int) -> int:
        """Return when the last operation that began after the moment ended, or began if its end is unknown."""
        return self._last_ns[bisect_left(self._invoked_ns, at_ns)]


def _effect(
    span: Window, disturbances: Sequence[_Disturbance], crowd: Crowd, after: _After, record: RunRecord
) -> dict[str, Any]:
    begun = crowd.begun_in(span.start_ns, span.end_ns)
    nodes = record.nodes or sorted({node for node in begun if node})
    side_of = sides(span.fault, nodes)
    counts: dict[str, Counter[str]] = {side: Counter() for side in dict.fromkeys(side_of.values())}
    for node, found in begun.items():
        counts.setdefault(side_of.get(node, NOWHERE), Counter()).update(found)
    first = after.first_ok(span.end_ns)
    return {
        "id": span.fault.id,
        "kind": span.fault.kind,
        "duration_ms": round((span.end_ns - span.start_ns) / 1e6, 3),
        "sides": {side: {kind: found[kind] for kind in ("ok", "fail", "info")} for side, found in counts.items()},
        "recovery_ms": None if first is None or not span.healed else _recovery_ms(span, first),
        "disturbed": _disturbed(span, disturbances, first),
    }


def _recovery_ms(span: Window, first: Operation) -> float:
    return round(((first.complete_ns or 0) - span.end_ns) / 1e6, 3)


def _disturbed(span: Window, disturbances: Sequence[_Disturbance], first: Operation | None) -> bool:
    """Return whether another fault may have been active between the heal and the first ok operation."""
    until_ns = None if first is None else first.complete_ns
    over_ns = _over_ns(span)
    return any(
        other.fault is not span.fault and other.over_ns > over_ns and (until_ns is None or other.start_ns < until_ns)
        for other in disturbances
    )


def _over_ns(span: Window) -> int:
    """Return when the heal was verified: before that the fault may still have been active."""
    return span.end_ns if span.fault.over_ns is None else span.fault.over_ns


def _silent(spans: Sequence[Window], after: _After) -> str | None:
    """Return the first heal after which operations were tried and none ended ok. Refusals are not answers."""
    for span in spans:
        if span.healed and after.count(span.end_ns) and after.first_ok(span.end_ns) is None:
            tried = after.count(span.end_ns)
            return f"after the {called(span.fault.kind)} {span.fault.id}, healed at {seconds(span.end_ns)}, none of {tried} operations ended ok"
    return None


def _kept(span: Window, after: _After, limit_s: float) -> bool:
    """Return whether something ended ok within the bound after a verified heal."""
    first = after.first_ok(span.end_ns)
    seen = span.healed and span.fault.over_ns is not None and span.fault.undone
    return seen and first is not None and (first.complete_ns or 0) - _over_ns(span) <= limit_s * 1e9


def _slow(span: Window, disturbances: Sequence[_Disturbance], after: _After, limit_s: float) -> Anomaly | None:
    first, tried, over_ns = after.first_ok(span.end_ns), after.tried(span.end_ns), _over_ns(span)
    # An operation that begins only when the time is nearly over is no evidence about the time before.
    soon = bool(tried) and tried[0].invoke_ns <= over_ns + limit_s * 5e8
    healed = span.healed and span.fault.over_ns is not None and span.fault.undone
    if not healed or not soon or _disturbed(span, disturbances, first):
        return None
    name = f"the {called(span.fault.kind)} {span.fault.id}, healed at {seconds(over_ns)}"
    details: dict[str, Any] = {"fault": span.fault.id, "max_recovery_s": limit_s}
    if first is None:
        # An operation that is refused before the limit is over is no evidence yet.
        if after.last_ns(span.end_ns) - over_ns < limit_s * 1e9:
            return None
        text = f"After {name}, none of {after.count(span.end_ns)} operations ended ok (allowed: {limit_s:g} s)."
        return Anomaly("no-recovery", tuple(op.invoke_index for op in tried), text, details)
    recovery_ms = round(((first.complete_ns or 0) - over_ns) / 1e6, 3)
    if recovery_ms <= limit_s * 1e3:
        return None
    text = f"After {name}, the first ok operation ended {recovery_ms / 1e3:.3f} s later (allowed: {limit_s:g} s): {describe(first)}."
    return Anomaly("slow-recovery", (first.invoke_index,), text, {**details, "recovery_ms": recovery_ms})


def _without_excuse(
    record: RunRecord, found: Sequence[tuple[Window, Anomaly]], limit_s: float
) -> tuple[tuple[Anomaly, ...], str | None]:
    """Return those for which the traces know no excuse; and the first excuse."""
    try:
        traces = read_traces(record) if record.traces else None
    except TraceError as error:
        return (), str(error)
    if traces is None:
        return tuple(anomaly for _, anomaly in found), None
    blamed: list[Anomaly] = []
    reason = None
    for span, anomaly in found:
        over_ns = _over_ns(span)
        why = excuse(traces, Stretch("the cluster", record.nodes, over_ns, over_ns + round(limit_s * 1e9)))
        if why is None:
            blamed.append(anomaly)
        else:
            reason = reason or f"{anomaly.explanation} But {why}"
    return tuple(blamed), reason
