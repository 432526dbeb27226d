"""Requests under a stable leader: what is requested of a node that knows the leader takes place.

A simulated run knows true times, and that only faults lose messages. So an operation that failed although no fault touched its node, that leader or a
quorum is a finding: a request was dropped, or never answered. Operations are compared with the state of the last `patience_ns` before they ended.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import zip_longest

from tribulation.histories import Operation

from ..base.acknowledged import is_stale
from ..base.findings import Findings
from ..base.result import Fault, RunRecord
from ..base.wording import describe, seconds
from ..faults.kinds import changes_voters, touched
from ..traces.columns import of
from ..traces.traces import FOREVER_NS, Line, Traces
from .simulated_truth import Truth

ANOMALY = "failed-under-a-leader"
ASKED = frozenset({"voters", "transfer"})
"""Faults that are requests: they touch no node."""

REASONS = frozenset({"timed-out", "timeout", "no-quorum", "busy"})
"""What a node reports about itself, or what is reported for a silent one. A connection that broke is not a report of the node."""

PLAIN = frozenset({"read"})
"""Reads alone: a write may wait behind others in the log for longer."""

LEAST = 2
"""Least number of failures that is a finding: one may be chance."""


@dataclass(frozen=True, slots=True)
class Following:
    """Interval from `from_ns` to `to_ns` (run time) in which the node led in `term`, or followed `leader` in it."""

    from_ns: int
    to_ns: int
    term: int
    leader: str
    voters: Mapping[str, int] = field(default_factory=dict)


def under_a_leader(record: RunRecord, truth: Truth, traces: Traces) -> Findings:
    findings = Findings()
    if not truth.fair:
        return findings
    from_ns = 0 if truth.lossless else record.phases.get("healed", FOREVER_NS)
    failed = [op for op in record.history.operations() if _failed(op) and op.invoke_ns >= from_ns]
    if not failed:
        return findings
    known, found = followings(traces), list[tuple[Operation, Following]]()
    for op in failed:
        stretch = ((op.complete_ns or 0) - truth.patience_ns, op.complete_ns or 0)
        following = healthy(record, truth, known, op.node, stretch)
        if following is not None:
            found.append((op, following))
    for op, following in found if len(found) >= LEAST else ():
        text = (
            f"{describe(op)} failed ({op.error}), although {following.leader} had led in term {following.term} and {op.node} had known it since "
            f"{seconds(following.from_ns)}, and no fault touched the two or a quorum of the others."
        )
        findings.add(ANOMALY, text, ops=(op.invoke_index,), details={"node": op.node, "leader": following.leader})
    return findings


def _failed(op: Operation) -> bool:
    return op.f in PLAIN and op.complete_ns is not None and not is_stale(op) and op.error in REASONS


def healthy(
    record: RunRecord,
    truth: Truth,
    followings: Mapping[str, Sequence[Following]],
    node: str | None,
    stretch: tuple[int, int],
    wanted: Mapping[str, int] | None = None,
) -> Following | None:
    """Return the leader that `node` knew all through `stretch` (run time, ns), if it led all that time and no fault touched the two, or a quorum with
    them.

    `wanted` are the voters that a change moves to: a quorum of them must be healthy too. Without it, a change of voters counts as a fault of all
    nodes.
    """
    known = _at(followings.get(node or "", ()), *stretch)
    reign = None if known is None else _at(followings.get(known.leader, ()), *stretch)
    if known is None or reign is None or (reign.leader, reign.term) != (known.leader, known.term) or not reign.voters:
        return None
    near = [fault for fault in record.faults if is_near(fault, stretch[0] - truth.settle_ns, stretch[1])]
    if wanted is None and any(map(changes_voters, near)):
        return None
    ill = {vertex for fault in near if fault.kind not in ASKED for vertex in touched(fault)}
    if node in ill or known.leader in ill:
        return None
    return known if all(_has_quorum(voters, ill) for voters in (reign.voters, wanted or reign.voters)) else None


def _has_quorum(voters: Mapping[str, int], ill: Set[str]) -> bool:
    return 2 * sum(weight for node, weight in voters.items() if node not in ill) > sum(voters.values())


def is_near(fault: Fault, from_ns: int, to_ns: int) -> bool:
    if fault.start_ns > to_ns:
        return False
    return fault.over_ns is None or not fault.undone or fault.over_ns >= from_ns


def _at(mine: Sequence[Following], from_ns: int, to_ns: int) -> Following | None:
    """Return what held all the time between the two moments; None if it changed."""
    place = bisect_right(mine, from_ns, key=lambda one: one.from_ns) - 1
    return mine[place] if place >= 0 and mine[place].to_ns > to_ns else None


def followings(traces: Traces) -> dict[str, list[Following]]:
    found: dict[str, list[Following]] = {}
    for node, lives in traces.incarnations.items():
        mine: list[Following] = []
        for number, life in enumerate(lives):
            ends_ns = FOREVER_NS if number == len(lives) - 1 else traces.place(life.lines[-1]).low_ns
            if life.lines[-1]["event"] == "halt":
                ends_ns = traces.place(life.lines[-1]).low_ns
            mine += _of_a_life(traces, list(of(life.lines, ("leader", "follower"))), ends_ns)
        found[node] = mine
    return found


def _of_a_life(traces: Traces, roles: Sequence[Line], ends_ns: int) -> Iterable[Following]:
    for line, after in zip_longest(roles, roles[1:]):
        leader = line["node"] if line["event"] == "leader" else line.get("leader")
        to_ns = ends_ns if after is None else traces.place(after).low_ns
        if leader is not None:
            yield Following(traces.place(line).high_ns, to_ns, line["term"], leader, line.get("voters", {}))
