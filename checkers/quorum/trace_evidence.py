"""Q1 and Q3 from the nodes' traces: did the voters behind an acknowledged write, or behind a read, hold more than half of the weight?

A leader's statements about others (`match`, `acks`) must themselves be a quorum, and must not be contradicted by what those nodes traced. Where a
killed node's last lines are missing, or the order of two hosts' lines lies within the error of their clocks, the leader's statement is accepted and
counted as `claimed`; where nothing is left to compare, as `undecided`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tribulation.histories import Operation
from tribulation.histories.model.columns import ABSENT, NO_NUMBER

from ..base import acknowledged
from ..base.findings import Findings
from ..base.logged import Logged
from ..base.quorum_weights import Weights, is_quorum, names, show, total, weight, weights_of
from ..raft.durability import Bool, Int64, Moment, Moments, outside
from ..raft.facts import Ack, Survey
from ..raft.voter_timeline import VoterTimeline
from ..traces.traces import Line, excerpt

_SMALL = 1 << 60
"""Twice as much as this fits into 64 bits."""


@dataclass(frozen=True, slots=True)
class _Write:
    """An acknowledged write with what its quorum is judged by. `weights` are the configurations that may have counted."""

    row: int
    index: int
    term: int
    entry_term: int
    moment: Moment
    ack: Ack | None
    weights: Sequence[Weights]


def judge_writes(operations: Logged, facts: Survey, timeline: VoterTimeline, findings: Findings) -> dict[str, int]:
    """Judge Q1, for every ok write that names its log index."""
    writes = _writes(operations, facts, timeline)
    counts = {"writes": int(np.count_nonzero(operations.acknowledged)), "proven": 0, "claimed": 0, "undecided": 0}
    claims = _Claims(facts)
    short: list[tuple[_Write, set[str]]] = []
    decided = 0
    for group in _by_weights(writes):
        possible, proven, voters = _quorums(group, facts)
        for place in np.flatnonzero(~possible.any(axis=0)):
            short.append((group[place], {node for node, absent in voters.items() if not absent[place]}))
        is_proven = possible.any(axis=0) & proven.all(axis=0)
        left = np.flatnonzero(possible.any(axis=0) & ~is_proven)
        claimed = sum(claims.has(group[place].index, group[place].term) for place in left)
        counts["proven"] += int(np.count_nonzero(is_proven))
        counts["claimed"] += claimed
        decided += int(np.count_nonzero(is_proven)) + claimed
    for write, nodes in sorted(short, key=lambda found: found[0].row):
        _report_write(operations.operation(write.row), write, nodes, findings)
    counts["undecided"] = counts["writes"] - decided
    return counts


def _writes(operations: Logged, facts: Survey, timeline: VoterTimeline) -> list[_Write]:
    """The acknowledged writes that can be judged, in order."""
    ack_of = {(ack.line.get("session"), ack.line.get("command")): ack for ack in facts.acks}
    known = (operations.index != NO_NUMBER) & (operations.term != NO_NUMBER) & (operations.complete_ns != NO_NUMBER)
    rows = np.flatnonzero(operations.acknowledged & known)
    columns = (operations.index, operations.term, operations.complete_ns, operations.command)
    found = []
    for row, index, term, complete_ns, command in zip(
        rows.tolist(), *(column[rows].tolist() for column in columns), strict=True
    ):
        ack = None if command == ABSENT else ack_of.get(operations.commands[command])
        moment = outside(complete_ns) if ack is None else ack.moment
        weights = timeline.for_entry(index, moment.at.high_ns)
        if weights is not None:
            applied = facts.applied.get(index)
            # A retried command may be acknowledged in a later term than its entry's.
            entry_term = term if applied is None else applied[1] if applied[1] <= term else 0
            found.append(_Write(row, index, term, entry_term, moment, ack, weights))
    return found


def _by_weights(writes: Sequence[_Write]) -> Iterable[list[_Write]]:
    groups: dict[int, list[_Write]] = {}
    for write in writes:
        groups.setdefault(id(write.weights), []).append(write)
    return groups.values()


def _quorums(group: Sequence[_Write], facts: Survey) -> tuple[Bool, Bool, dict[str, Bool]]:
    """For each of the group's configurations and each write: whether a quorum may have had it on disk, and whether one had; and by voter, where it had not."""
    index = np.array([write.index for write in group], np.int64)
    term = np.array([write.entry_term for write in group], np.int64)
    moments = Moments.of([write.moment for write in group])
    configurations = group[0].weights
    nobody = np.zeros(len(group), np.bool_)
    seen = {
        node: facts.durable[node].before_each(index, term, moments) if node in facts.durable else (nobody, nobody)
        for weights in configurations
        for node, _ in weights
    }
    may_hold, holds = {node: ~no for node, (no, _) in seen.items()}, {node: yes for node, (_, yes) in seen.items()}
    possible = np.array([_more_than_half(weights, may_hold, len(group)) for weights in configurations])
    proven = np.array([_more_than_half(weights, holds, len(group)) for weights in configurations])
    return possible, proven, {node: no for node, (no, _) in seen.items()}


def _more_than_half(weights: Weights, holds: Mapping[str, Bool], count: int) -> Bool:
    whole = total(weights)
    held = np.zeros(count, np.int64 if whole < _SMALL else object)
    for node, share in weights:
        held += share * holds[node].astype(held.dtype)
    return (2 * held > whole).astype(np.bool_)


def _report_write(op: Operation, write: _Write, possible: set[str], findings: Findings) -> None:
    weights, ack = write.weights[0], write.ack
    findings.add(
        "Q1-acknowledged-before-quorum",
        f"{acknowledged.describe(op)} was acknowledged by {acknowledged.served_by(op)} at log index {write.index} when at most {names(possible)} can have had it on "
        f"disk: {weight(weights, possible)} of {total(weights)} (voters {show(weights)}), not more than half.",
        ops=(op.invoke_index,),
        details={"index": write.index, "trace": [excerpt(ack.line)] if ack is not None else []},
    )


class _Claims:
    """Per term, how far leaders reported that a quorum held their log."""

    def __init__(self, facts: Survey) -> None:
        self._highest: dict[int, int] = {}
        for commit in facts.commits:
            line = commit.line
            holders = {voter for voter, durable in line["match"].items() if durable >= line["index"]}
            if commit.leader_term is not None and is_quorum(weights_of(line["voters"]), holders):
                known = self._highest.get(commit.leader_term, 0)
                self._highest[commit.leader_term] = max(known, line["index"])
        self._any = max(self._highest.values(), default=0)

    def has(self, index: int, term: int) -> bool:
        return self._highest.get(term, self._any) >= index


# -- Q3


def judge_reads(operations: Logged, facts: Survey, findings: Findings) -> dict[str, int]:
    """Judge Q3: each round of confirmation was by a quorum, and each ok linearizable read had one in its interval."""
    known = {weights_of(line["voters"]) for line, _ in facts.configs} | {
        weights_of(incarnation.start["voters"]) for incarnation in facts.traces if incarnation.start is not None
    }
    forms: dict[Any, bool] = {}
    for line, _ in facts.confirmations:
        # Most rounds are alike.
        form = (line["node"], *line["acks"], None, *line["voters"].items())
        if form not in forms:
            forms[form] = _is_confirmed(line, known)
        if not forms[form]:
            _report_round(line, known, findings)
    good = [(line, moment) for line, moment in facts.leases if line["clock"] == "monotonic"]
    bad = [(line, moment) for line, moment in facts.leases if line["clock"] != "monotonic"]
    known_end = operations.complete_ns != NO_NUMBER
    rows = np.flatnonzero(operations.ok & ~operations.write & ~operations.stale & known_end)
    confirmed = _have(facts.confirmations, operations, rows, with_index=True)
    rest = rows[~confirmed]
    by_lease, by_bad = (_have(leases, operations, rest, with_index=False) for leases in (good, bad))
    covered = _Coverage(facts)
    undecided = 0
    for place in np.flatnonzero(~by_lease):
        row = rest[place]
        if by_bad[place]:
            _report_lease(bad[0][0], operations.operation(row), findings)
        elif covered.whole(int(operations.invoke_ns[row]), int(operations.complete_ns[row])):
            _report_read(operations.operation(row), findings)
        else:
            undecided += 1
    leased = int(np.count_nonzero(by_lease | by_bad))
    counts = {"reads": len(rows), "confirmed": len(rows) - len(rest), "leased": leased, "undecided": undecided}
    return {**counts, "rounds": len(facts.confirmations)}


def _have(
    lines: Sequence[tuple[Line, Moment]], operations: Logged, rows: npt.NDArray[np.intp], with_index: bool
) -> Bool:
    """Return for which operations some node has a line that may lie within the interval, at an index that the read had seen."""
    found = np.zeros(len(rows), np.bool_)
    begun, ended, index = operations.invoke_ns[rows], operations.complete_ns[rows], operations.index[rows]
    of_node: dict[str, list[tuple[Line, Moment]]] = {}
    for line, moment in lines:
        of_node.setdefault(line["node"], []).append((line, moment))
    for mine in of_node.values():
        low_ns = np.array([moment.at.low_ns for _, moment in mine], np.int64)
        high_ns = [moment.at.high_ns for _, moment in mine]
        seen = np.array([line.get("index", 0) for line, _ in mine], np.int64)
        first = _first(high_ns, begun)
        at = np.minimum(first, len(mine) - 1)
        inside = (first < len(mine)) & (low_ns[at] <= ended)
        found |= inside & ((index == NO_NUMBER) | (seen[at] <= index)) if with_index else inside
    return found


def _first(high_ns: Sequence[int], begun: Int64) -> npt.NDArray[np.intp]:
    """The first line that may be at or after each moment, where times only grow, as in the trace of one boot."""
    times = np.array(high_ns, np.int64)
    if bool((times[1:] >= times[:-1]).all()):
        return np.searchsorted(times, begun)
    return np.array([bisect_left(high_ns, moment) for moment in begun.tolist()], np.intp)


def _is_confirmed(line: Line, known: set[Weights]) -> bool:
    weights = weights_of(line["voters"])
    return (not known or weights in known) and is_quorum(weights, {*line["acks"], line["node"]})


def _report_round(line: Line, known: set[Weights], findings: Findings) -> None:
    weights = weights_of(line["voters"])
    supporters = {*line["acks"], line["node"]}
    right = not known or weights in known
    wrong = (
        f"{weight(weights, supporters)} of {total(weights)} (voters {show(weights)}), not more than half"
        if right
        else f"counted by the voters {show(weights)}, a configuration that was never adopted"
    )
    findings.add(
        "Q3-read-without-quorum",
        f"{line['node']} took a read at index {line['index']} for confirmed by {names(supporters)}: {wrong}.",
        details={"trace": [excerpt(line)]},
    )


def _report_lease(line: Line, op: Operation, findings: Findings) -> None:
    """Report reads under a lease. One on the monotonic clock replaces the confirmation, within its stated drift bound; one on another clock does not."""
    findings.add(
        "Q3-read-by-bad-lease",
        f"{acknowledged.describe(op)} was answered as linearizable by {acknowledged.served_by(op)} by a lease that is measured on the {line['clock']} clock, which "
        "may be set back: no quorum confirmed the read after it was asked.",
        ops=(op.invoke_index,),
        details={"trace": [excerpt(line)]},
    )


def _report_read(op: Operation, findings: Findings) -> None:
    findings.add(
        "Q3-unconfirmed-read",
        f"{acknowledged.describe(op)} was answered as linearizable by {acknowledged.served_by(op)}, but no node confirmed its leadership with a quorum "
        f"between {op.invoke_ns / 1e9:.6f} s, when it was asked, and {(op.complete_ns or 0) / 1e9:.6f} s, when it was answered.",
        ops=(op.invoke_index,),
    )


class _Coverage:
    """Where every node's trace is whole, so that an absent line is an absent event."""

    def __init__(self, facts: Survey) -> None:
        self._whole: list[list[tuple[int, int]]] = []
        for node in sorted(facts.traces.incarnations):
            stretches: list[tuple[int, int]] = []
            for incarnation in facts.traces.incarnations[node]:
                low_ns = facts.traces.place(incarnation.lines[0]).low_ns
                stretches.append((low_ns, facts.traces.place(incarnation.lines[-1]).low_ns))
            self._whole.append([] if facts.durable[node].incomplete else stretches)
        self._missing = bool(facts.traces.problems)

    def whole(self, begun_ns: int, ended_ns: int) -> bool:
        if self._missing or not self._whole:
            return False
        return all(self._covers(stretches, begun_ns, ended_ns) for stretches in self._whole)

    @staticmethod
    def _covers(stretches: Sequence[tuple[int, int]], begun_ns: int, ended_ns: int) -> bool:
        at = bisect_left(stretches, begun_ns, key=lambda stretch: stretch[1])
        if at == len(stretches):
            return False
        low_ns, end_ns = stretches[at]
        # Between the last line of an incarnation and the next boot, lines may have been lost.
        return low_ns <= begun_ns and ended_ns < end_ns
