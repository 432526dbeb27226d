"""Operations that ended ok while no node could have answered them: what answered is not the system under test, or the faults did not hold.

A client may answer from a cache of its own, talk to a stale address, or reach a copy of the system that no fault knows of. A node cannot answer while
it is certainly down, or certainly cut off from the clients in one direction. Where one of these holds of each node during a whole operation, its
answer came from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tribulation.histories import HistoryError
from tribulation.histories.model.columns import NO_NUMBER

from ..base.acknowledged import describe
from ..base.logged import logged
from ..base.result import RunRecord
from ..base.wording import seconds
from ..faults.connectivity import Epoch, epochs
from ..faults.kinds import STOPS, stopped, touched

CLIENTS = "clients"


def answered_by_no_node(record: RunRecord) -> str | None:
    """Return a sentence that counts them and names the first; None where there is none."""
    if not record.is_run or not _may_silence_all(record):
        return None
    try:
        ops = logged(record)
    except HistoryError:
        return None  # It is reported as a gap.
    ended = ops.ok & (ops.complete_ns != NO_NUMBER)
    count, first = 0, None
    for start_ns, end_ns, faults in _silences(record):
        rows = np.flatnonzero(ended & (ops.invoke_ns >= start_ns) & (ops.complete_ns <= end_ns))
        if len(rows) and first is None:
            first = ops.operation(rows[0]), faults
        count += len(rows)
    if first is None:
        return None
    op, faults = first
    return (
        f"{count} operations ended ok although every node was down or cut off from the clients, the first, {describe(op)}, at {seconds(op.invoke_ns)} "
        f"(faults {', '.join(sorted(faults))}): something other than the nodes answered, or the faults did not stay in force"
    )


def _may_silence_all(record: RunRecord) -> bool:
    """Cheap, since most runs have no such faults."""
    reached: set[str] = set()
    for fault in record.faults:
        if fault.kind in STOPS:
            reached.update(stopped(fault))
        elif fault.kind == "cut" and CLIENTS in touched(fault):
            reached |= touched(fault)
    return bool(record.nodes) and reached.issuperset(record.nodes)


def _silences(record: RunRecord) -> Iterator[tuple[int, int, set[str]]]:
    """Intervals without a node that could answer: each node has one reason that holds throughout.

    A reply that was cut off is sent again, by the kernel, when a later fault leaves its way open; so is a request that a paused node had not read.
    """
    start_ns, end_ns, faults, why = 0, -1, set[str](), dict[str, set[str]]()
    for epoch in epochs(record.faults, record.reachability).epochs:
        here = {node: _reasons(epoch, node) for node in record.nodes}
        both = {node: here[node] & why.get(node, set()) for node in record.nodes}
        if epoch.start_ns != end_ns or not all(both.values()):
            if faults:
                yield start_ns, end_ns, faults
            start_ns, faults, both = epoch.start_ns, set(), here
        end_ns, why = epoch.end_ns, both
        if all(why.values()):
            faults |= set(epoch.faults)
    if faults:
        yield start_ns, end_ns, faults


def _reasons(epoch: Epoch, node: str) -> set[str]:
    """Return the reasons for which the node certainly cannot answer a client."""
    found = {
        "down": node in epoch.down,
        "requests": (CLIENTS, node) in epoch.cut,
        "replies": (node, CLIENTS) in epoch.cut,
    }
    return {reason for reason, holds in found.items() if holds}
