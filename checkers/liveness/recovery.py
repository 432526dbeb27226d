"""Checker `recovery`: a healthy set of nodes answers again within a bound, and its terms then stand still.

It judges the liveness phase of a run (docs/reference/campaign.md), from the answers to the core's own clients: the first write and the first
linearizable read that took place, and the terms in answers and traces after the bound. It does not judge safety.

A core may be unable to recover by its system's own rules: a quorum of it lost the tail of its log, a node stopped itself, the core is no quorum in
the configuration, or in a ring one of its voters has none. That is not a violation; the verdict is then unknown and names the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tribulation.histories import Operation

from ..base.acknowledged import is_stale, is_write, ran, term
from ..base.options import bound, settings_of, whole
from ..base.result import Anomaly, Budget, CheckResult, RunRecord, Verdict
from ..base.selection import NOTHING
from ..base.wording import describe, seconds
from ..faults.kinds import called
from ..traces.columns import of
from ..traces.traces import TraceError, Traces, read_traces
from .election_excuses import Stretch, excuse, stopped_itself

WITHIN_MS = 10_000.0
ELECTIONS = 4


@dataclass(frozen=True, slots=True)
class _Phase:
    """The liveness phase. `bound_ns` is when the core must have answered; `rest` names the faults of the other nodes."""

    core: Sequence[str]
    rest: str
    began_ns: int
    bound_ns: int
    end_ns: int
    elections: int
    cut: frozenset[tuple[str, str]]

    def described(self) -> str:
        return f"the core {', '.join(self.core)} (whole from {seconds(self.began_ns)} on, with {self.rest} in force)"


class RecoveryChecker:
    name = "recovery"
    operations = NOTHING
    options = (
        bound(
            "within_ms", WITHIN_MS, "the time in which a healthy core must complete its first write and its first read"
        ),
        whole("elections", ELECTIONS, "how many terms may begin after that", least=0),
    )

    def applies(self, record: RunRecord) -> bool:
        return "core_healed" in record.phases

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        phase = _phase(record, settings_of(record, self))
        if phase is None:
            return CheckResult(
                self.name, Verdict.UNKNOWN, reason="no fault of the ledger names the core of a liveness phase"
            )
        mine = [op for op in record.history.operations() if op.node in phase.core]
        ops = [
            op for op in mine if phase.began_ns <= op.invoke_ns < phase.end_ns and (is_write(op) or not is_stale(op))
        ]
        traces, doubt = _traces(record)
        kinds = {"write": [op for op in ops if is_write(op)], "read": [op for op in ops if not is_write(op)]}
        tried = {kind: some for kind, some in kinds.items() if some}
        firsts = {kind: _first(some) for kind, some in tried.items()}
        terms = _terms(ops, traces, phase)
        stats: dict[str, Any] = {
            "core": list(phase.core),
            "rest": phase.rest,
            "recovery_ms": {kind: None if op is None else _after_ms(op, phase) for kind, op in firsts.items()},
            "terms_after_bound": terms,
        }
        found = [_late(kind, some, firsts[kind], phase) for kind, some in tried.items()]
        anomalies = [
            anomaly for anomaly in (*found, _growth(terms, phase), _silence(ops, firsts, phase)) if anomaly is not None
        ]
        excuse = _excuse(traces, phase) if any(anomaly.kind != "terms-grow" for anomaly in anomalies) else None
        if excuse is not None:
            return CheckResult(self.name, Verdict.UNKNOWN, (), stats, excuse)
        if anomalies:
            return CheckResult(self.name, Verdict.INVALID, tuple(anomalies), stats)
        reason = doubt or _untested(tried, firsts, ops, phase)
        return CheckResult(self.name, Verdict.UNKNOWN if reason else Verdict.VALID, (), stats, reason)


def _phase(record: RunRecord, settings: Mapping[str, Any]) -> _Phase | None:
    """Build the phase from the ledger's faults that name a core. With several cores, the nodes in all of them count."""
    faults = [fault for fault in record.faults if fault.intended.get("core")]
    cores = [set(fault.intended["core"]) for fault in faults]
    core = [node for node in record.nodes if cores and all(node in one for one in cores)]
    if not core:
        return None
    began_ns = record.phases["core_healed"]
    end_ns = record.phases.get("liveness_end", record.history.duration_ns)
    bound_ns = began_ns + round(settings["within_ms"] * 1e6)
    rest = " and ".join(f"{called(fault.kind)} {fault.id}" for fault in faults)
    cut = frozenset(
        (source, sink) for fault in faults if fault.kind == "cut" for source, sink in fault.intended.get("edges", ())
    )
    return _Phase(core, rest, began_ns, bound_ns, end_ns, settings["elections"], cut)


def _traces(record: RunRecord) -> tuple[Traces | None, str | None]:
    try:
        return (read_traces(record) if record.traces else None), None
    except TraceError as error:
        return None, str(error)


def _first(ops: Sequence[Operation]) -> Operation | None:
    return min((op for op in ops if ran(op)), key=_ended_ns, default=None)


def _ended_ns(op: Operation) -> int:
    return op.complete_ns if op.complete_ns is not None else op.invoke_ns


def _after_ms(op: Operation, phase: _Phase) -> float:
    return round((_ended_ns(op) - phase.began_ns) / 1e6, 3)


def _late(kind: str, tried: Sequence[Operation], first: Operation | None, phase: _Phase) -> Anomaly | None:
    """Return an anomaly if no operation took place by the bound, although clients tried in the first half of the time and at the bound."""
    if first is not None and _ended_ns(first) <= phase.bound_ns:
        return None
    half_ns = (phase.began_ns + phase.bound_ns) // 2
    before = [op for op in tried if op.invoke_ns <= half_ns]
    failed = [op for op in tried if not ran(op) and _ended_ns(op) >= phase.bound_ns]
    if not before or not (failed or first is not None):
        return None
    within = f"(allowed: {(phase.bound_ns - phase.began_ns) / 1e9:g} s)"
    details = {"core": list(phase.core), "within_ms": (phase.bound_ns - phase.began_ns) / 1e6}
    shown = [op.invoke_index for op in (before[0], *failed[:4])]
    if first is None:
        text = f"Of {len(tried)} {kind}s at {phase.described()} none took place until {seconds(phase.end_ns)} {within}."
        return Anomaly("not-recovered", tuple(dict.fromkeys(shown)), text, {**details, "kind": kind})
    text = f"The first {kind} at {phase.described()} took place {_after_ms(first, phase) / 1e3:.3f} s later {within}: {describe(first)}."
    more = {**details, "kind": kind, "recovery_ms": _after_ms(first, phase)}
    return Anomaly("late-recovery", (first.invoke_index,), text, more)


def _silence(ops: Sequence[Operation], firsts: Mapping[str, Operation | None], phase: _Phase) -> Anomaly | None:
    """Return an anomaly if the core answered once, and then nothing that was tried after the bound."""
    after = [op for op in ops if op.invoke_ns >= phase.bound_ns]
    ended = [op for op in after if op.complete_ns is not None]
    if not ended or any(ran(op) for op in after) or not any(first is not None for first in firsts.values()):
        return None
    text = f"{phase.described()[:1].upper()}{phase.described()[1:]} answered at first, but none of {len(after)} operations after {seconds(phase.bound_ns)} took place."
    return Anomaly("fell-silent", tuple(op.invoke_index for op in after[:4]), text, {"core": list(phase.core)})


def _terms(ops: Sequence[Operation], traces: Traces | None, phase: _Phase) -> list[int]:
    """Return the first and the last term of the core between the bound and the end, from answers and traces. Empty without any."""
    answers = [(op.complete_ns or 0, term(op)) for op in ops if ran(op)]
    terms = {number for at_ns, number in answers if number is not None and phase.bound_ns <= at_ns <= phase.end_ns}
    for incarnation in traces or ():
        if incarnation.node not in phase.core:
            continue
        for line in of(incarnation.lines, ("term",)):
            if traces is not None:
                at = traces.place(line)
                if at.low_ns >= phase.bound_ns and at.high_ns <= phase.end_ns:
                    terms.add(line["term"])
    return [min(terms), max(terms)] if terms else []


def _growth(terms: Sequence[int], phase: _Phase) -> Anomaly | None:
    if not terms or terms[1] - terms[0] <= phase.elections:
        return None
    stretch_s = (phase.end_ns - phase.bound_ns) / 1e9
    text = (
        f"Leaders of {phase.described()} depose each other without end: between {seconds(phase.bound_ns)} and {seconds(phase.end_ns)} "
        f"terms grew from {terms[0]} to {terms[1]} (allowed in these {round(stretch_s, 1):g} s: {phase.elections})."
    )
    details = {"core": list(phase.core), "terms": list(terms), "elections": phase.elections}
    return Anomaly("terms-grow", (), text, details)


def _excuse(traces: Traces | None, phase: _Phase) -> str | None:
    """Return why the core may legitimately be unavailable, as far as its traces show."""
    if traces is None:
        return None
    stretch = Stretch("the core", phase.core, phase.began_ns, phase.end_ns, phase.cut)
    halted = stopped_itself(traces, stretch)
    if halted:
        node, reason = next(iter(halted.items()))
        return f"{node} of the core had stopped itself: {reason}"
    return excuse(traces, stretch)


def _untested(
    tried: Mapping[str, Sequence[Operation]],
    firsts: Mapping[str, Operation | None],
    ops: Sequence[Operation],
    phase: _Phase,
) -> str | None:
    if not tried:
        return f"no client of the core {', '.join(phase.core)} tried an operation in the liveness phase"
    silent = [kind for kind, first in firsts.items() if first is None or _ended_ns(first) > phase.bound_ns]
    if silent:
        return f"{' and '.join(silent)}s were not tried often enough to show whether the core had recovered in time"
    if not any(op.invoke_ns >= phase.bound_ns for op in ops):
        return "no operation was tried after the time limit, so it is unknown whether the core stayed available"
    return None
