"""Checker `vacuity`: did this run test anything?

It never finds an anomaly. It returns UNKNOWN when a valid verdict of the others would mean little: an operation that never once took place, no read
that saw a write, a fault that did nothing, a kind of fault that never met an operation. A fault that was masked by another one, which was verified,
is listed separately (`masked`). So is one that a search drew (`without_effect`), and one of several of a kind that came when no operation was open. Its
figures show how hard the run was.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from tribulation.histories.model.columns import NO_NUMBER

from ..base.logged import Logged, logged
from ..base.operation_counts import Crowd
from ..base.result import Budget, CheckResult, Fault, RunRecord, Verdict
from ..base.selection import NOTHING
from ..faults.drawn import without_effect
from ..faults.kinds import STAYS, called
from ..faults.masked import masked
from ..faults.windows import Window, windows
from .exercised import doubts_of, workloads_of


class VacuityChecker:
    name = "vacuity"
    operations = NOTHING

    def applies(self, record: RunRecord) -> bool:
        return True

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        ops = logged(record)
        spans = windows(record)
        hidden = masked(record.faults)
        nothing = without_effect(record.faults, hidden)
        crowd = Crowd.by_f(ops)
        rates = _rates(crowd.counts())
        during = {span.fault.id: _rates(crowd.open_in(span.start_ns, span.end_ns)) for span in spans}
        idle = [span for span in spans if not during[span.fault.id]]
        exercised = workloads_of(record)
        overlap, contended, keys = _concurrency(ops)
        stats: dict[str, Any] = {
            "operations": len(ops),
            "by_f": rates,
            "during_faults": during,
            "masked": {fault: list(others) for fault, others in hidden.items()},
            "without_effect": list(nothing),
            "met_no_operation": [span.fault.id for span in idle],
            "reads_ok": sum(mine.reads for mine in exercised.values()),
            "reads_that_saw_writes": sum(mine.saw for mine in exercised.values()),
            "keys": keys,
            "contended_keys": contended,
            "most_open_at_once": overlap,
        }
        doubts = [
            *(doubts_of(exercised, record.is_run) if len(ops) else ["no operation was recorded"]),
            *_doubts_of_faults(record, {*hidden, *nothing}),
            *_doubts_of_kinds(spans, idle, crowd),
        ]
        if doubts:
            return CheckResult(self.name, Verdict.UNKNOWN, (), stats, "; ".join(doubts))
        return CheckResult(self.name, Verdict.VALID, (), stats)


def _rates(counts: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, Any]]:
    """f → counts of ok, fail and info, and the share of ok."""
    return {f: {**found, "ok_rate": round(found["ok"] / sum(found.values()), 4)} for f, found in sorted(counts.items())}


def _concurrency(ops: Logged) -> tuple[int, int, int]:
    """The most operations open at once, keys on which two ever were, and keys. Unknown operations count until their client gave up."""
    ended = ops.complete_ns != NO_NUMBER
    key = ops.workload.astype(np.int64) * (len(ops.keys) + 1) + ops.key + 1
    keys = np.concatenate([key, key[ended]])
    times = np.concatenate([ops.invoke_ns, ops.complete_ns[ended]])
    change = np.repeat([1, -1], [len(ops), int(np.count_nonzero(ended))])
    # At equal times the end comes first: intervals that only touch do not overlap.
    order = np.lexsort((change, times))
    most = np.cumsum(change[order]).max(initial=0)
    order = order[np.argsort(keys[order], kind="stable")]
    grouped, open_ = keys[order], np.cumsum(change[order])
    first = np.flatnonzero(np.diff(grouped, prepend=-1))
    # What was counted before a key's first point belongs to other keys.
    others = np.repeat(open_[first] - change[order[first]], np.diff(first, append=len(grouped)))
    contended = np.unique(grouped[open_ - others > 1])
    return int(most), len(contended), len(first)


def _doubts_of_faults(record: RunRecord, excused: Collection[str]) -> list[str]:
    doubts = []
    for fault in record.faults:
        if fault.injected_ns is None:
            doubts.append(f"fault {fault.id} ({called(fault.kind)}) was never injected")
        elif not fault.verified and fault.id not in excused:
            # With few nodes, a shape may yield no link at all.
            empty = fault.kind == "cut" and fault.intended.get("edges") == []
            why = "has no link to cut: its shape needs more nodes" if empty else "was not observed to take effect"
            doubts.append(f"fault {fault.id} ({called(fault.kind)}) {why}{_by_what(fault)}")
    return doubts


def _by_what(fault: Fault) -> str:
    """Return what a probe named as the reason."""
    reasons = (fault.observed or {}).get("unaffected") or {}
    first = next(((node, why[0]) for node, why in reasons.items() if why), None)
    return f": {first[0]}: {first[1]}" if first else ""


def _doubts_of_kinds(spans: Sequence[Window], idle: Sequence[Window], crowd: Crowd) -> list[str]:
    """Return the kinds of which no fault met an operation. The effects of some faults are met later: by operations that need what was acknowledged before."""
    met = {span.fault.kind for span in spans if span not in idle}
    met |= {
        span.fault.kind for span in idle if span.fault.kind in STAYS and crowd.is_around(span.start_ns, span.end_ns)
    }
    unmet = list(dict.fromkeys(span.fault.kind for span in idle if span.fault.kind not in met))
    # Of kinds that a search drew, some may meet no operation, as some may do nothing.
    noted = {kind for kind in unmet if all(span.fault.drawn for span in spans if span.fault.kind == kind)}
    doubts = []
    for kind in unmet if len(noted) > len(met) else [kind for kind in unmet if kind not in noted]:
        names = [span.fault.id for span in spans if span.fault.kind == kind]
        which = (
            f"fault {names[0]} ({called(kind)})"
            if len(names) == 1
            else f"any of {len(names)} faults of kind {called(kind)}"
        )
        doubts.append(f"no operation was under way during {which}")
    return doubts
