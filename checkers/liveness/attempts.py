"""Attempts that failed while the system was whole: requests without an answer, operations that a node never serves, and silence after a heal.

A system that lets the harness try each of its nodes (`through_each.SETTLE`) declares that each serves every operation. A standby that refuses writes
declares no such thing, and is not judged.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field

from tribulation.histories import Operation, Type

from ..base.acknowledged import is_write
from ..base.findings import Findings
from ..base.result import RunRecord
from ..base.wording import describe, seconds
from ..faults.kinds import ONCE, targets
from ..faults.windows import run_end_ns
from ..traces.traces import FOREVER_NS, TraceError, Traces, read_traces
from .election_excuses import Stretch, excuse
from .served import Following, followings, healthy
from .simulated_truth import Truth, known_truth
from .through_each import SETTLE

SILENT = frozenset({"timed-out", "timeout", "no-quorum", "leader-changed"})
"""Errors of an operation that the system did not serve. Every other error is an answer to the request; so is `busy`, since a queue may be full."""

LEAST_THROUGH_NODE = 10
LEAST_AFTER_HEAL = 3

ON_HOSTS_NS = 10_000_000_000
"""Time after a fault in which a system on hosts may not serve everything yet, if the campaign gives no bound."""

NEVER_ANSWERED, NEVER_SERVED, SILENCE = "never-answered", "never-served-through-node", "silent-without-fault"


def failed_attempts(record: RunRecord, limit_s: float | None) -> tuple[Findings, str | None]:
    """Return what is certain, and a doubt. `limit_s` is the campaign's bound, if it gives one."""
    findings, truth = Findings(), known_truth(record)
    if truth is not None:
        _never_answered(truth, findings)
    if not any(op.workload == SETTLE for op in record.history.operations()):
        return findings, None
    traces, problem = _traces(record)
    calm = _Calm(record, truth, limit_s, traces)
    found = list(_never_served(calm))
    if problem is not None or not calm.promised:
        return findings, problem or (found[0][0] if found else None)
    _silent(calm, findings)
    for text, ops in found:
        findings.add(NEVER_SERVED, text, ops=tuple(op.invoke_index for op in ops[-4:]))
    return findings, None


def _traces(record: RunRecord) -> tuple[Traces | None, str | None]:
    try:
        return (read_traces(record) if any(record.traces.values()) else None), None
    except TraceError as error:
        return None, str(error)


def _never_answered(truth: Truth, findings: Findings) -> None:
    for one in truth.unanswered:
        text = (
            f"{one.node} received a {one.what} at {seconds(one.at_ns)}, had to answer by {seconds(one.deadline_ns)}, ran and had not answered at {seconds(one.late_ns)}; "
            "its client was connected all the time."
        )
        findings.add(NEVER_ANSWERED, text, details={"node": one.node, "what": one.what})


_Kind = tuple[str, str | None, bool]
"""An operation's name, its level, and whether it may change state."""


@dataclass(slots=True)
class _Calm:
    """Times of a run in which no fault was active for long enough (`allowed_ns`), and operations in order of their beginning."""

    record: RunRecord
    truth: Truth | None
    limit_s: float | None
    traces: Traces | None
    promised: bool = False
    allowed_ns: int = ON_HOSTS_NS
    ops: list[Operation] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    halted: Set[str] = frozenset()
    moved: Set[str] = frozenset()
    """Nodes that left or joined."""

    def __post_init__(self) -> None:
        self.ops = sorted(self.record.history.operations(), key=lambda op: op.invoke_ns)
        from_ns = 0
        if self.limit_s is not None:
            self.promised, self.allowed_ns = True, round(self.limit_s * 1e9)
        elif self.truth is not None:
            self.allowed_ns = self.truth.recovery_ns
            self.promised = self.truth.fair and (self.truth.lossless or self.truth.calm)
            from_ns = 0 if self.truth.lossless else self.record.phases.get("healed", FOREVER_NS)
        self.spans = list(_between_faults(self.record, from_ns, self.allowed_ns))
        if self.traces is not None:
            lives = self.traces.incarnations.items()
            self.halted = {node for node, mine in lives if any(life.lines[-1]["event"] == "halt" for life in mine)}
        self.moved = frozenset(
            node for fault in self.record.faults if fault.kind == "membership" for node in targets(fault)
        )

    def span_of(self, op: Operation) -> int:
        return bisect_left(self.spans, (op.invoke_ns, FOREVER_NS)) - 1

    def holds(self, op: Operation) -> bool:
        """Return whether no fault was near from the beginning of the operation to its end."""
        place = self.span_of(op)
        return op.complete_ns is not None and place >= 0 and op.complete_ns <= self.spans[place][1]

    def excuse(self, from_ns: int, to_ns: int) -> str | None:
        """Return why no leader could be elected, as far as the traces show it."""
        stretch = Stretch("the cluster", self.record.nodes, from_ns, to_ns)
        return None if self.traces is None else excuse(self.traces, stretch)


def _between_faults(record: RunRecord, from_ns: int, allowed_ns: int) -> Iterable[tuple[int, int]]:
    """Yield the intervals in which no fault was active, without the first `allowed_ns` of each."""
    end_ns, free_ns = run_end_ns(record) + 1, from_ns
    for fault in sorted(record.faults, key=lambda fault: fault.start_ns):
        if free_ns < fault.start_ns:
            yield free_ns, fault.start_ns - 1
        over_ns = fault.over_ns if fault.undone else None
        over_ns = fault.seen_ns if over_ns is None and fault.kind in ONCE else over_ns
        free_ns = max(free_ns, FOREVER_NS if over_ns is None else over_ns + allowed_ns)
    if free_ns < end_ns:
        yield free_ns, end_ns


def _silent(calm: _Calm, findings: Findings) -> None:
    """Report intervals without a fault in which operations through several nodes failed one after the other, and none ended ok."""
    oks_ns = sorted(op.complete_ns for op in calm.ops if op.type is Type.OK and op.complete_ns is not None)
    silences: dict[tuple[int, int], list[Operation]] = {}
    for op in calm.ops:
        if op.type is Type.OK or op.error not in SILENT or not calm.holds(op):
            continue
        place = bisect_left(oks_ns, op.invoke_ns)
        if place == len(oks_ns) or oks_ns[place] > (op.complete_ns or 0):
            silences.setdefault((place, calm.span_of(op)), []).append(op)
    for ops in silences.values():
        first, until_ns = ops[0], max(op.complete_ns or 0 for op in ops)
        few = len(ops) < LEAST_AFTER_HEAL or len({op.node for op in ops}) < 2
        if few or until_ns - first.invoke_ns < calm.allowed_ns or calm.excuse(first.invoke_ns, until_ns) is not None:
            continue
        text = (
            f"No fault was active from {calm.allowed_ns / 1e9:g} s before {seconds(first.invoke_ns)} on, and then {len(ops)} operations failed in "
            f"{(until_ns - first.invoke_ns) / 1e9:.3f} s and none ended ok; the first was {describe(first)}."
        )
        findings.add(SILENCE, text, ops=tuple(op.invoke_index for op in ops[:4]))


def _never_served(calm: _Calm) -> Iterable[tuple[str, Sequence[Operation]]]:
    """Yield kinds of operation that a node never served although others did, with the attempts while nothing explains that."""
    served: set[tuple[str, _Kind]] = set()
    tried: dict[tuple[str, _Kind], list[Operation]] = {}
    for op in calm.ops:
        if op.node is None or op.workload == SETTLE:
            continue
        place = (op.node, (op.f, op.level, is_write(op)))
        if op.type is Type.OK or op.error not in SILENT:
            served.add(place)
        else:
            tried.setdefault(place, []).append(op)
    kinds = {kind for _, kind in served}
    known = followings(calm.traces) if calm.traces is not None and calm.promised and calm.truth is not None else {}
    for (node, kind), ops in sorted(tried.items(), key=lambda item: str(item[0])):
        if (node, kind) in served or kind not in kinds or node in calm.halted | calm.moved:
            continue
        unexplained = [op for op in ops if calm.holds(op) or _under_a_leader(calm, known, op)]
        if len(unexplained) >= LEAST_THROUGH_NODE:
            text = (
                f"{node} served no {kind[0]} in the whole run, although others did and no fault explains it for {len(unexplained)} of {len(ops)} attempts; "
                f"the last was {describe(unexplained[-1])} ({unexplained[-1].error})."
            )
            yield text, unexplained


def _under_a_leader(calm: _Calm, known: dict[str, list[Following]], op: Operation) -> bool:
    """Return whether the node knew one leader while the operation lasted, and for at least `patience_ns`, without a fault of either or of a quorum."""
    if calm.truth is None or not calm.truth.lossless or op.complete_ns is None:
        return False
    stretch = (min(op.invoke_ns, op.complete_ns - calm.truth.patience_ns), op.complete_ns)
    return bool(known) and healthy(calm.record, calm.truth, known, op.node, stretch) is not None
