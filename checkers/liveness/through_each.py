"""Requests through each node after the heal: a write and a linearizable read must succeed.

Clients of the workload `settle` do nothing else, on a system that declares that each of its nodes serves both. In a simulated run the node's
configuration promises a time (`simulated_truth.Truth.recovery_ns`). On hosts only the campaign can promise one, so there a silent node is a doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tribulation.histories import Operation

from ..base.acknowledged import ran
from ..base.findings import Findings
from ..base.result import RunRecord
from ..base.wording import seconds
from ..traces.traces import TraceError, Traces, read_traces
from .election_excuses import Stretch, excuse
from .simulated_truth import known_truth

SETTLE = "settle"
"""Name of the workload."""

ANOMALY = "unavailable-through-node"


def through_each(record: RunRecord, limit_s: float | None) -> tuple[Findings, str | None]:
    """Return what is certain, and a doubt. `limit_s` is the campaign's bound, if it gives one."""
    findings, healed_ns = Findings(), record.phases.get("healed")
    tried = _by_node_and_kind(record.history.operations())
    silent = {place: ops for place, ops in tried.items() if not any(map(ran, ops))}
    if healed_ns is None or not silent:
        return findings, None
    truth = known_truth(record)
    allowed_ns = round(limit_s * 1e9) if limit_s is not None else None
    if allowed_ns is None and truth is not None and truth.calm and truth.fair:
        allowed_ns = truth.recovery_ns
    late = {
        place: ops
        for place, ops in silent.items()
        if allowed_ns is not None and _last_ns(ops) >= healed_ns + allowed_ns
    }
    listed = "; ".join(f"{node} ended no {kind} ok ({len(ops)} tried)" for (node, kind), ops in sorted(silent.items()))
    if not late:
        return findings, f"after everything was healed, {listed}"
    why = _why(record, healed_ns, late)
    if why is not None:
        return findings, f"after everything was healed, {listed}; but {why}"
    for (node, kind), ops in sorted(late.items()):
        text = (
            f"After everything was healed at {seconds(healed_ns)}, none of {len(ops)} {kind}s through {node} ended ok until {seconds(_last_ns(ops))} "
            f"(allowed: {(allowed_ns or 0) / 1e9:g} s); the last one ended with {ops[-1].error or ops[-1].type.value}."
        )
        shown = tuple(op.invoke_index for op in ops[-4:])
        findings.add(ANOMALY, text, ops=shown, details={"node": node, "kind": kind})
    return findings, None


def _by_node_and_kind(ops: Iterable[Operation]) -> dict[tuple[str, str], list[Operation]]:
    found: dict[tuple[str, str], list[Operation]] = {}
    for op in ops:
        if op.workload == SETTLE and op.node is not None:
            found.setdefault((op.node, op.f), []).append(op)
    return found


def _last_ns(ops: Sequence[Operation]) -> int:
    return max(op.complete_ns if op.complete_ns is not None else op.invoke_ns for op in ops)


def _why(record: RunRecord, healed_ns: int, late: dict[tuple[str, str], list[Operation]]) -> str | None:
    """Return a legitimate reason for the silence: a node that stopped itself (`halts` judges that), or a cluster that cannot elect a leader."""
    try:
        traces = read_traces(record) if any(record.traces.values()) else None
    except TraceError as error:
        return str(error)
    if traces is None:
        return None
    until_ns = max(map(_last_ns, late.values()))
    why = excuse(traces, Stretch("the cluster", record.nodes, healed_ns, until_ns))
    if why is not None:
        return why
    halted = sorted({node for node, _ in late if _halted(traces, node)})
    return f"{', '.join(halted)} had stopped itself" if halted else None


def _halted(traces: Traces, node: str) -> bool:
    lives = traces.incarnations.get(node, ())
    return bool(lives) and lives[-1].lines[-1]["event"] == "halt"
