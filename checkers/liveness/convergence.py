"""Checker `convergence`: after the heal and the quiet period all replicas hold the same state.

It compares every node's final (index, digest), state digests of equal indices in the traces, and the final reads of each key, from whatever node.
When fewer than all nodes answer, the verdict is UNKNOWN: the silent one may differ. From the traces it also reports how long after the heal the last
node had applied everything that any had applied by the heal.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from tribulation.histories import History, canonical
from tribulation.histories.model.columns import INFO, NO_NUMBER
from tribulation.histories.model.rows import result

from ..base.logged import logged
from ..base.result import Anomaly, Budget, CheckResult, RunRecord, Verdict
from ..base.selection import NOTHING
from ..base.wording import describe, indices, on_key, show
from ..traces.columns import numbers, of, picked
from ..traces.state_digests import scheme_of


class ConvergenceChecker:
    name = "convergence"
    operations = NOTHING

    def applies(self, record: RunRecord) -> bool:
        return bool(record.final_states) and bool(record.nodes)

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        silent = [node for node in record.nodes if not _answered(record.final_states.get(node))]
        read_keys, read_anomalies = _final_reads(record)
        anomalies = [*_states(record), *_digests(record.traces), *read_anomalies]
        stats: dict[str, Any] = {
            "nodes": len(record.nodes),
            "answered": len(record.nodes) - len(silent),
            "states": {
                node: {"index": state["index"], "digest": state["digest"]}
                for node, state in record.final_states.items()
                if _answered(state)
            },
            "keys_read_at_end": read_keys,
        }
        converged_ms = time_to_converge_ms(record)
        if converged_ms is not None:
            stats["converged_ms_after_heal"] = converged_ms
        if anomalies:
            return CheckResult(self.name, Verdict.INVALID, tuple(anomalies), stats)
        if silent:
            reason = f"{len(silent)} of {len(record.nodes)} nodes did not report their final state: {', '.join(silent)}"
            return CheckResult(self.name, Verdict.UNKNOWN, (), stats, reason)
        schemes = sorted({scheme_of(state["digest"]) for state in record.final_states.values() if _answered(state)})
        if len(schemes) > 1:
            shown = ", ".join(scheme or "none" for scheme in schemes)
            reason = f"the nodes are of different releases: digests of the schemes {shown} cannot be compared"
            return CheckResult(self.name, Verdict.UNKNOWN, (), stats, reason)
        if not read_keys and not logged(record).acknowledged.any():
            reason = "no write was acknowledged and no key was read at the end, so equal states prove nothing"
            return CheckResult(self.name, Verdict.UNKNOWN, (), stats, reason)
        return CheckResult(self.name, Verdict.VALID, (), stats)


def _answered(state: Mapping[str, Any] | None) -> bool:
    return state is not None and state.get("digest") is not None and state.get("index") is not None


def _states(record: RunRecord) -> list[Anomaly]:
    """Return an anomaly if final digests differ: at equal indices the replicas diverged, else one was left behind."""
    groups: dict[Any, list[str]] = {}
    index_of: dict[str, int] = {}
    for node, state in record.final_states.items():
        if _answered(state):
            groups.setdefault(state["digest"], []).append(node)
            index_of[node] = state["index"]
    if len(groups) < 2:
        return []
    listed = "; ".join(
        f"{', '.join(nodes)} at index {index_of[nodes[0]]} with digest {show(digest)}"
        for digest, nodes in groups.items()
    )
    by_index: dict[tuple[int, str], set[Any]] = {}
    for digest, nodes in groups.items():
        for node in nodes:
            by_index.setdefault((index_of[node], scheme_of(digest)), set()).add(digest)
    details = {
        "groups": [{"digest": digest, "nodes": nodes, "index": index_of[nodes[0]]} for digest, nodes in groups.items()]
    }
    if any(len(digests) > 1 for digests in by_index.values()):
        text = f"After the quiet period replicas differ at the same index: {listed}."
        return [Anomaly("diverged", (), text, details)]
    if len(set(index_of.values())) == 1:
        return []
    text = f"After the quiet period replicas are not at one state: {listed}."
    return [Anomaly("not-converged", (), text, details)]


def _digests(traces: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Anomaly]:
    """Return the first index at which two nodes traced different digests of the applied state."""
    seen: dict[tuple[int, str], tuple[Any, str, Mapping[str, Any]]] = {}
    clashes: list[tuple[int, str, Mapping[str, Any]]] = []
    for node, lines in traces.items():
        for line in of(lines, ("digest",)):
            index, digest = line["index"], line["digest"]
            first = seen.setdefault((index, scheme_of(digest)), (digest, node, line))
            if first[0] != digest:
                clashes.append((index, node, line))
    if not clashes:
        return []
    index, node, line = min(clashes, key=lambda clash: clash[0])
    digest, other, before = seen[index, scheme_of(line["digest"])]
    text = f"At applied index {index} the state of {other} has digest {show(digest)} and that of {node} {show(line['digest'])}."
    return [Anomaly("diverged", (), text, {"index": index, "traces": [dict(before), dict(line)]})]


def _final_reads(record: RunRecord) -> tuple[int, list[Anomaly]]:
    """Return keys whose final reads were compared, and those whose reads differ although no write was going on any more."""
    quiet_ns = record.phases.get("quiet_end")
    if quiet_ns is None:
        return 0, []
    view = logged(record)
    looks = view.of("read", "get")
    last = np.flatnonzero(looks & view.ok & (view.invoke_ns >= quiet_ns))
    # A change may take effect between two of the reads, which then legitimately differ.
    ended_ns = np.where(view.complete_ns == NO_NUMBER, 0, view.complete_ns)
    open_ = np.flatnonzero(~looks & ((view.type == INFO) | (ended_ns >= quiet_ns)))
    unsettled = set(zip(view.workload[open_].tolist(), view.key[open_].tolist(), strict=True))
    reads: dict[tuple[int, int], list[int]] = {}
    for row, workload, key in zip(last.tolist(), view.workload[last].tolist(), view.key[last].tolist(), strict=True):
        reads.setdefault((workload, key), []).append(row)
    anomalies = []
    for name, rows in reads.items():
        values = {_comparable(_result(record.history, row)): row for row in reversed(rows)}
        if len(values) > 1 and name not in unsettled:
            one, other = (view.operation(row) for row in list(values.values())[:2])
            text = f"{on_key(canonical(one.key))}final reads differ: {describe(one)}; {describe(other)}."
            anomalies.append(Anomaly("final-reads-differ", indices([one, other]), text, {"key": one.key}))
    return len(reads), anomalies


def _result(history: History, row: int) -> Any:
    return history.operation(row).result if history.loaded else result(history.columns, row)


def _comparable(value: Any) -> Hashable:
    """Return a comparable form of a value: a list as a bag, since a set's elements have no order."""
    if isinstance(value, (list, tuple)):
        return tuple(sorted((canonical(item) for item in value), key=repr))
    form: Hashable = canonical(value)
    return form


def time_to_converge_ms(record: RunRecord) -> float | None:
    """Return the time from the heal until the last node had applied what any had applied by the heal; None when the traces do not show it."""
    healed_ns = record.phases.get("healed")
    if healed_ns is None or not record.traces or any(node not in record.clock_offsets_ns for node in record.traces):
        return None
    applied = {node: _applied(lines, record.clock_offsets_ns[node][0]) for node, lines in record.traces.items()}
    target = max((index for steps in applied.values() for at_ns, index in steps if at_ns <= healed_ns), default=0)
    latest_ns = healed_ns
    for steps in applied.values():
        reached = next((at_ns for at_ns, index in steps if index >= target), None)
        if reached is None:
            return None
        latest_ns = max(latest_ns, reached)
    return round((latest_ns - healed_ns) / 1e6, 3)


def _applied(lines: Sequence[Mapping[str, Any]], offset_ns: int) -> list[tuple[int, int]]:
    """Return the pairs of run time and highest index applied so far in any incarnation, growing."""
    found, times = picked(lines, _index_applied), numbers(lines, "mono_ns")
    if found is not None and times is not None:
        at, index = found
        before = np.maximum.accumulate(np.concatenate([[0], index[:-1]]))
        grows = index > before
        pairs = zip(times[at[grows]].tolist(), index[grows].tolist(), strict=True)
        return [(mono_ns - offset_ns, reached) for mono_ns, reached in pairs]
    steps: list[tuple[int, int]] = []
    highest = 0
    for line in of(lines, ("apply", "snapshot-installed")):
        index_here = _index_applied(line)
        if index_here is not None and index_here > highest:
            highest = index_here
            steps.append((line["mono_ns"] - offset_ns, highest))
    return steps


def _index_applied(line: Mapping[str, Any]) -> Any:
    if line.get("event") == "apply" and line.get("entries"):
        return line["entries"][-1][0]
    return line["index"] if line.get("event") == "snapshot-installed" else None
