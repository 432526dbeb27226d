"""Checker `vacuity`: whether the run tested anything.

It never finds an anomaly. It returns UNKNOWN when a valid verdict of the others would mean little: an operation that never once took place, no read
that saw a write, a load that was hardly ever answered, a fault that did nothing, a kind of fault that never met an operation. A fault that was masked
by another one, which was verified, is listed separately (`masked`). So is one that a search drew (`without_effect`), and one of several of a kind that came when no operation was open. Its
figures show how hard the run was.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from tribulation.histories.model.columns import NO_NUMBER, Int64

from ..base.logged import Logged, logged
from ..base.operation_counts import Crowd
from ..base.result import Budget, CheckResult, Fault, RunRecord, Verdict
from ..base.selection import NOTHING
from ..faults.drawn import without_effect
from ..faults.kinds import STAYS, called
from ..faults.masked import masked
from ..faults.windows import Window, windows
from .exercised import FEW_TRIES, doubts_of, workloads_of

_PARTS = 20
_LEAST_SHARE = 10
"""In less than one of so many parts of the load that had an operation, one ended ok: then the run tested nearly nothing."""


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
            *_doubts_of_silence(record, ops),
            *_doubts_of_faults(record, {*hidden, *nothing}),
            *_doubts_of_kinds(spans, idle, crowd),
        ]
        if doubts:
            return CheckResult(self.name, Verdict.UNKNOWN, (), stats, "; ".join(doubts))
        return CheckResult(self.name, Verdict.VALID, (), stats)


def _doubts_of_silence(record: RunRecord, ops: Logged) -> list[str]:
    """Return a doubt about a run whose load was hardly ever answered: faults then met a system that did nothing.

    The load is split into equal parts. In most of those with an operation under way none may have ended ok, which takes most operations: one client
    that hangs throughout does not make it so.
    """
    end_ns = record.phases.get("load_end", record.history.duration_ns)
    begun = np.flatnonzero(ops.invoke_ns < end_ns)
    ok = ops.ok[begun]
    if not record.is_run or len(begun) < FEW_TRIES or 2 * int(ok.sum()) >= len(begun):
        return []
    first_ns = int(ops.invoke_ns[begun].min())
    ends_ns = np.where(ops.complete_ns[begun] == NO_NUMBER, end_ns, np.minimum(ops.complete_ns[begun], end_ns))
    part_ns = (end_ns - first_ns) // _PARTS + 1
    first, last = (ops.invoke_ns[begun] - first_ns) // part_ns, (ends_ns - first_ns) // part_ns
    tried, answered = _parts_met(first, last), _parts_met(first[ok], last[ok])
    if answered * _LEAST_SHARE >= tried:
        return []
    share = f"operations ended ok in {answered} of {tried} parts of the load of {part_ns / 1e9:.2g} s each, {int(ok.sum())} of {len(begun)}"
    return [
        f"{share}: nearly nothing was tested; hint: leave a majority of the nodes up for longer, or shorten the faults"
    ]


def _parts_met(first: Int64, last: Int64) -> int:
    """Return how many parts were met by an operation that lasts from part `first` to part `last`."""
    change = np.bincount(first, minlength=_PARTS + 1) - np.bincount(last + 1, minlength=_PARTS + 1)[: _PARTS + 1]
    return int(np.count_nonzero(np.cumsum(change) > 0))


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
        doubts.append(f"no operation was in progress during {which}")
    return doubts
