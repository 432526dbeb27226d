"""Q2 and Q3 on one side of a partition: a node that answers must be able to exchange messages with a quorum, even while another side has one.

Judged are operations that lie wholly within one epoch of the ledger and name the node that served them. Whatever the protocol, a request of the epoch
can only have been answered with the help of nodes that the serving node could reach and hear back from.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from tribulation.histories import Operation
from tribulation.histories.model.columns import ABSENT, NO_NUMBER

from ..base import acknowledged
from ..base.findings import Findings
from ..base.logged import Logged
from ..base.quorum_weights import Weights, names, show, total, weight
from ..base.result import RunRecord
from ..faults.connectivity import Epoch, Epochs
from ..raft.voter_timeline import VoterTimeline
from .no_quorum_windows import Window


def judge_sides(
    record: RunRecord,
    operations: Logged,
    history: Epochs,
    timeline: VoterTimeline,
    windows: Sequence[Window],
    reads_need_quorum: bool,
    findings: Findings,
) -> dict[str, int]:
    """Judge the sides; `windows` are judged already. `reads_need_quorum`: no lease replaces a read's confirmation. Returns how much was examined."""
    counts = {"writes_under_faults": 0, "reads_under_faults": 0}
    if not any(epoch.faults for epoch in history.epochs):
        return counts
    without = [window.start_ns for window in windows]
    sides = _Sides(record, timeline)
    judged = operations.write | ~operations.stale if reads_need_quorum else operations.write
    known = (operations.complete_ns != NO_NUMBER) & (operations.server != ABSENT)
    rows = np.flatnonzero(operations.ok & judged & known)
    columns = (operations.invoke_ns, operations.complete_ns, operations.server, operations.write)
    for row, begun_ns, ended_ns, server, write in zip(
        rows.tolist(), *(column[rows].tolist() for column in columns), strict=True
    ):
        node = operations.names[server]
        epoch = history.within(begun_ns, ended_ns)
        if epoch is None or not epoch.faults or node in epoch.down:
            continue
        at = bisect_right(without, epoch.start_ns) - 1
        if at >= 0 and epoch.end_ns <= windows[at].end_ns:
            continue
        counts["writes_under_faults" if write else "reads_under_faults"] += 1
        short = sides.short_of_quorum(epoch, node)
        if short is not None:
            _report(operations.operation(row), node, epoch, *short, findings)
    return counts


class _Sides:
    """Groups of nodes with which a node could exchange messages in an epoch, if they are short of every possible quorum; each is found once."""

    def __init__(self, record: RunRecord, timeline: VoterTimeline) -> None:
        self._record, self._timeline = record, timeline
        self._known: dict[tuple[int, str], tuple[frozenset[str], Weights] | None] = {}

    def short_of_quorum(self, epoch: Epoch, node: str) -> tuple[frozenset[str], Weights] | None:
        key = (epoch.start_ns, node)
        if key not in self._known:
            self._known[key] = self._look(epoch, node)
        return self._known[key]

    def _look(self, epoch: Epoch, node: str) -> tuple[frozenset[str], Weights] | None:
        possible = self._timeline.during(epoch.start_ns, epoch.end_ns)
        if possible is None:
            return None
        everyone = {*self._record.nodes, *(name for weights in possible for name, _ in weights)}
        group = epoch.exchange(node, everyone)
        if any(2 * weight(weights, group) > total(weights) for weights in possible):
            return None
        return group, max(possible, key=lambda weights: weight(weights, group) / max(1, total(weights)))


def _report(
    op: Operation, node: str, epoch: Epoch, group: frozenset[str], weights: Weights, findings: Findings
) -> None:
    write = acknowledged.is_write(op)
    findings.add(
        "Q2-write-on-a-side-without-quorum" if write else "Q3-read-on-a-side-without-quorum",
        f"{acknowledged.describe(op)} was {'acknowledged' if write else 'answered as linearizable'} by {node} between {op.invoke_ns / 1e9:.3f} s and "
        f"{(op.complete_ns or 0) / 1e9:.3f} s, while {node} could exchange messages with no more than {names(group)}: {weight(weights, group)} "
        f"of {total(weights)} votes (voters {show(weights)}; faults {', '.join(epoch.faults)}).",
        ops=(op.invoke_index,),
        details={"faults": list(epoch.faults), "side": sorted(group)},
    )
