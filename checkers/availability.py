"""Checker `availability`: who was answered while faults were in force, and how soon after their heal.

It reports; it judges only against bounds that the campaign gives: `max_recovery_s`, the longest time from a heal to the first ok operation.
A heal after which another fault came into force before anything was answered is no evidence, for that fault may be the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from histories import Operation, Type

from .result import Anomaly, Budget, CheckResult, RunRecord, Verdict
from .windows import Window, sides, windows
from .wording import describe, seconds

NOWHERE = "unknown"
"""The side of operations that name no node."""


class AvailabilityChecker:
    name = "availability"

    def applies(self, record: RunRecord) -> bool:
        return bool(record.faults)

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        ops = record.history.operations()
        spans = windows(record)
        limit_s = _option(record, "max_recovery_s")
        told = [_tell(span, spans, ops, record) for span in spans]
        stats: dict[str, Any] = {"faults": told, "ok": sum(op.type is Type.OK for op in ops)}
        recoveries = [item["recovery_ms"] for item in told if item["recovery_ms"] is not None]
        if recoveries:
            stats["recovery_ms_max"] = max(recoveries)
        if not ops or not spans:
            reason = "no operation was recorded" if not ops else "no fault was injected"
            return CheckResult(self.name, Verdict.UNKNOWN, (), stats, reason)
        if limit_s is None:
            return CheckResult(self.name, Verdict.VALID, (), stats)
        anomalies = tuple(_slow(span, spans, ops, float(limit_s)) for span in spans)
        found = tuple(anomaly for anomaly in anomalies if anomaly is not None)
        return CheckResult(self.name, Verdict.INVALID if found else Verdict.VALID, found, stats)


def _option(record: RunRecord, name: str) -> Any:
    """A bound from the campaign: given for this checker, or for all."""
    own = record.options.get("availability")
    return own[name] if isinstance(own, Mapping) and name in own else record.options.get(name)


def _tell(span: Window, spans: Sequence[Window], ops: Sequence[Operation], record: RunRecord) -> dict[str, Any]:
    nodes = record.nodes or sorted({op.node for op in ops if op.node is not None})
    side_of = sides(span.fault, nodes)
    counts: dict[str, Counter[str]] = {side: Counter() for side in dict.fromkeys(side_of.values())}
    for op in ops:
        if span.began_in(op):
            side = side_of.get(op.node or "", NOWHERE)
            counts.setdefault(side, Counter())[op.type.value] += 1
    first = _first_ok_after(span, ops)
    return {
        "id": span.fault.id,
        "kind": span.fault.kind,
        "duration_ms": round((span.end_ns - span.start_ns) / 1e6, 3),
        "sides": {side: {kind: found[kind] for kind in ("ok", "fail", "info")} for side, found in counts.items()},
        "recovery_ms": None if first is None or not span.healed else _recovery_ms(span, first),
        "disturbed": _disturbed(span, spans, first),
    }


def _first_ok_after(span: Window, ops: Sequence[Operation]) -> Operation | None:
    """The first operation that began after the heal and ended ok."""
    after = [op for op in ops if op.type is Type.OK and op.invoke_ns >= span.end_ns]
    return min(after, key=lambda op: op.complete_ns or 0, default=None)


def _recovery_ms(span: Window, first: Operation) -> float:
    return round(((first.complete_ns or 0) - span.end_ns) / 1e6, 3)


def _disturbed(span: Window, spans: Sequence[Window], first: Operation | None) -> bool:
    """Whether another fault was in force between the heal and the first ok operation."""
    until_ns = None if first is None else first.complete_ns
    return any(
        other is not span and other.end_ns > span.end_ns and (until_ns is None or other.start_ns < until_ns)
        for other in spans
    )


def _slow(span: Window, spans: Sequence[Window], ops: Sequence[Operation], limit_s: float) -> Anomaly | None:
    first = _first_ok_after(span, ops)
    tried = [op for op in ops if op.invoke_ns >= span.end_ns]
    if not span.healed or not tried or _disturbed(span, spans, first):
        return None
    name = f"the {span.fault.kind} {span.fault.id}, healed at {seconds(span.end_ns)}"
    details: dict[str, Any] = {"fault": span.fault.id, "max_recovery_s": limit_s}
    if first is None:
        # An operation that is refused before the limit is over does not tell yet.
        last_ns = max(op.complete_ns or op.invoke_ns for op in tried)
        if last_ns - span.end_ns < limit_s * 1e9:
            return None
        text = f"After {name}, none of {len(tried)} operations ended ok (allowed: {limit_s:g} s)."
        return Anomaly("no-recovery", tuple(op.invoke_index for op in tried[:6]), text, details)
    recovery_ms = _recovery_ms(span, first)
    if recovery_ms <= limit_s * 1e3:
        return None
    text = f"After {name}, the first ok operation ended {recovery_ms / 1e3:.3f} s later (allowed: {limit_s:g} s): {describe(first)}."
    return Anomaly("slow-recovery", (first.invoke_index,), text, {**details, "recovery_ms": recovery_ms})
