"""Q2 and Q4: what must not happen while no quorum can exist, from the ledger's certain faults and the history alone.

A window without a quorum is an interval in which, under every possible active configuration, no component of running and mutually reachable nodes
held more than half of the weight. Only operations wholly inside a window are judged. Where the faults change during one, a leader may have gathered
the votes of one peer before and of another after. Then it is judged by all nodes with which its server could exchange messages meanwhile.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tribulation.histories import Operation, Type
from tribulation.histories.model.columns import NO_NUMBER

from ..base import acknowledged
from ..base.findings import Findings
from ..base.logged import Logged
from ..base.quorum_weights import Weights, names, show, total, weight
from ..base.result import RunRecord
from ..faults.connectivity import Epoch, Epochs
from ..raft.voter_timeline import VoterTimeline

DEFAULT_GRACE_MS = 1000
"""Allowed lateness of an answer beyond its deadline: the client's own scheduling, not the system's promise."""


@dataclass(frozen=True, slots=True)
class Window:
    """No quorum could exist from `start_ns` to `end_ns`. `best` is the weight of the heaviest component, the most that was reached in it."""

    start_ns: int
    end_ns: int
    best: int
    component: frozenset[str]
    weights: Weights
    faults: tuple[str, ...]

    def describe(self) -> str:
        return (
            f"from {self.start_ns / 1e9:.3f} s to {self.end_ns / 1e9:.3f} s (faults {', '.join(self.faults)}) at most {self.best} of "
            f"{total(self.weights)} votes were connected ({names(self.component)}; voters {show(self.weights)})"
        )


def windows_without_quorum(history: Epochs, timeline: VoterTimeline) -> list[Window]:
    """Return the windows without a quorum, in order. Adjoining epochs without a quorum are one window."""
    windows: list[Window] = []
    for epoch in history.epochs:
        found = _without(epoch, timeline)
        if found is None:
            continue
        before = windows[-1] if windows else None
        if before is not None and before.end_ns == found.start_ns:
            worse = found if found.best > before.best else before
            faults = tuple(sorted({*before.faults, *found.faults}))
            windows[-1] = Window(before.start_ns, found.end_ns, worse.best, worse.component, worse.weights, faults)
        else:
            windows.append(found)
    return windows


def _without(epoch: Epoch, timeline: VoterTimeline) -> Window | None:
    if not epoch.faults:
        return None
    possible = timeline.during(epoch.start_ns, epoch.end_ns)
    if possible is None:
        return None
    reached = [(*epoch.heaviest(weights), weights) for weights in possible]
    if any(2 * best > total(weights) for best, _, weights in reached):
        return None
    best, component, weights = max(reached, key=lambda found: found[0] / max(1, total(found[2])))
    return Window(epoch.start_ns, epoch.end_ns, best, component, weights, epoch.faults)


def judge_windows(
    record: RunRecord,
    operations: Logged,
    windows: Sequence[Window],
    history: Epochs,
    timeline: VoterTimeline,
    findings: Findings,
    settings: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Judge the operations that began in a window: Q2, the deadlines of Q4, and Q3 if each read needs a quorum. Returns figures of Q2 and of Q4."""
    writes = refused = unknown = reads = late = 0
    for row, at in _begun_in(windows, operations):
        op, window = operations.operation(row), windows[at]
        inside = op.complete_ns is not None and op.complete_ns <= window.end_ns
        if acknowledged.is_write(op):
            writes += 1
            refused += inside and op.type is Type.FAIL
            unknown += inside and op.type is Type.INFO
            if inside and op.type is Type.OK and (proof := _proof(record, op, window, history, timeline)) is not None:
                _report_write(op, proof, findings)
            late += _judge_deadline(record, op, window, settings, findings)
        elif inside and op.type is Type.OK and not acknowledged.is_stale(op):
            reads += 1
            if settings["reads_need_quorum"] and (proof := _proof(record, op, window, history, timeline)) is not None:
                _report_read(op, proof, findings)
    shown = [window.describe() for window in windows[:10]]
    total_ms = round(sum(window.end_ns - window.start_ns for window in windows) / 1e6, 3)
    q2 = {"windows": len(windows), "without_quorum_ms": total_ms, "writes_begun_inside": writes, "shown": shown}
    q4 = {"refused": int(refused), "unknown": int(unknown), "late": late, "linearizable_reads_inside": reads}
    return q2, q4


def _begun_in(windows: Sequence[Window], operations: Logged) -> Iterator[tuple[int, int]]:
    """Yield rows of operations that began in a window, and the place of that window."""
    if not windows:
        return
    starts = np.array([window.start_ns for window in windows], np.int64)
    ends = np.array([window.end_ns for window in windows], np.int64)
    at = np.searchsorted(starts, operations.invoke_ns, "right") - 1
    rows = np.flatnonzero((at >= 0) & (operations.invoke_ns < ends[at]))
    yield from zip(rows.tolist(), at[rows].tolist(), strict=True)


def _proof(record: RunRecord, op: Operation, window: Window, history: Epochs, timeline: VoterTimeline) -> Window | None:
    """Return the window, or the part of it that the operation took, if no quorum can have taken part in the answer."""
    assert op.complete_ns is not None
    parts = history.during(op.invoke_ns, op.complete_ns)
    if len(parts) == 1:
        return window
    possible = timeline.during(op.invoke_ns, op.complete_ns)
    if possible is None:
        return None
    everyone = {*record.nodes, *(name for weights in possible for name, _ in weights)}
    server = acknowledged.served_by(op)
    reached = [
        (weight(weights, group), group, weights)
        for node in (sorted(everyone) if server is None else [server])
        for group in [history.exchange(node, everyone, op.invoke_ns, op.complete_ns)]
        for weights in possible
    ]
    if any(2 * best > total(weights) for best, _, weights in reached):
        return None
    best, group, weights = max(reached, key=lambda found: found[0] / max(1, total(found[2])))
    faults = tuple(sorted({fault for epoch in parts for fault in epoch.faults}))
    return Window(op.invoke_ns, op.complete_ns, best, group, weights, faults)


def _report_write(op: Operation, window: Window, findings: Findings) -> None:
    findings.add(
        "Q2-write-without-quorum",
        f"{acknowledged.describe(op)} was acknowledged by {acknowledged.served_by(op)} between {op.invoke_ns / 1e9:.3f} s and {(op.complete_ns or 0) / 1e9:.3f} s, "
        f"but {window.describe()}.",
        ops=(op.invoke_index,),
        details={"faults": list(window.faults), "component": sorted(window.component)},
    )


def _report_read(op: Operation, window: Window, findings: Findings) -> None:
    findings.add(
        "Q3-read-without-quorum",
        f"{acknowledged.describe(op)} was answered as linearizable by {acknowledged.served_by(op)} between {op.invoke_ns / 1e9:.3f} s and "
        f"{(op.complete_ns or 0) / 1e9:.3f} s, but {window.describe()}.",
        ops=(op.invoke_index,),
        details={"faults": list(window.faults), "component": sorted(window.component)},
    )


def _judge_deadline(
    record: RunRecord, op: Operation, window: Window, settings: Mapping[str, Any], findings: Findings
) -> bool:
    deadline_ms = op.extra.get("deadline_ms", settings["deadline_ms"])
    if not isinstance(deadline_ms, (int, float)) or isinstance(deadline_ms, bool):
        return False
    grace_ms = max(settings["deadline_grace_ms"], deadline_ms)
    due_ns = op.invoke_ns + int((deadline_ms + grace_ms) * 1e6)
    ended_ns = op.complete_ns if op.complete_ns is not None else record.phases.get("end")
    if ended_ns is None or ended_ns <= due_ns or due_ns > window.end_ns:
        return False
    findings.add(
        "Q4-unanswered-write",
        f"{acknowledged.describe(op)} had a deadline of {deadline_ms:g} ms, but was {'answered' if op.complete_ns is not None else 'still open'} after "
        f"{(ended_ns - op.invoke_ns) / 1e6:.0f} ms; {window.describe()}.",
        ops=(op.invoke_index,),
    )
    return True


def judge_unmarked(operations: Logged, windows: Sequence[Window], findings: Findings) -> dict[str, int]:
    """Judge that, without a quorum, a read that requested the local state is marked as such (Q4). Returns how many were marked and unmarked."""
    starts = [window.start_ns for window in windows]
    local = operations.ok & ~operations.write & operations.local
    unmarked = np.flatnonzero(local & ~operations.marked)
    ended = unmarked[operations.complete_ns[unmarked] != NO_NUMBER] if windows else ()
    for row in ended:
        at = bisect_right(starts, int(operations.invoke_ns[row])) - 1
        if at >= 0 and operations.complete_ns[row] <= windows[at].end_ns:
            op = operations.operation(row)
            findings.add(
                "Q4-unmarked-stale-read",
                f"{acknowledged.describe(op)} asked {acknowledged.served_by(op)} for its local state and was answered without the mark `stale`, although "
                f"{windows[at].describe()}.",
                ops=(op.invoke_index,),
                details={"faults": list(windows[at].faults)},
            )
    return {"marked": int(np.count_nonzero(local)) - len(unmarked), "unmarked": len(unmarked)}
