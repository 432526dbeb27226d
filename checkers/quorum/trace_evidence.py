"""Q1 and Q3 from the nodes' traces: did the voters behind an acknowledged write, or behind a read, hold more than half of the weight?

A leader's statements about others (`match`, `acks`) must themselves be a quorum, and must not be contradicted by what those nodes traced. Where a
killed node's last lines are missing, or the order of two hosts' lines lies within the error of their clocks, the leader's statement is accepted and
counted as `claimed`; where nothing is left to compare, as `undecided`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
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
from ..raft.facts import Rounds, Survey
from ..raft.structures.durability import OUTSIDE, Bool, Int64, Moments, more_than_half
from ..raft.structures.rows import NONE, Codes, forms_of
from ..raft.voter_timeline import VoterTimeline
from ..traces.traces import FOREVER_NS, Line, excerpt


@dataclass(frozen=True, slots=True)
class _Writes:
    """Acknowledged writes with what their quorums are judged by. `ack`: the row of the line that released the answer, or `NONE`."""

    row: Int64
    index: Int64
    term: Int64
    entry_term: Int64
    ack: Int64
    moments: Moments

    def only(self, which: npt.NDArray[Any]) -> _Writes:
        index, term = self.index[which], self.term[which]
        return _Writes(self.row[which], index, term, self.entry_term[which], self.ack[which], self.moments.only(which))


_Short = tuple[int, int, int, set[str], Weights]
"""A write that no quorum can have had: its row, its index, the row of its ack, the nodes that can have had it, the configuration."""


def judge_writes(operations: Logged, facts: Survey, timeline: VoterTimeline, findings: Findings) -> dict[str, int]:
    """Judge Q1, for every ok write that names its log index."""
    writes = _writes(operations, facts)
    counts = {"writes": int(np.count_nonzero(operations.acknowledged)), "proven": 0, "claimed": 0, "undecided": 0}
    claims = _Claims(facts)
    short: list[_Short] = []
    for which, weights in timeline.for_entries(writes.index, writes.moments.high_ns):
        group = writes.only(which)
        possible, proven, voters = _quorums(group, weights, facts)
        for place in np.flatnonzero(~possible.any(axis=0)):
            nodes = {node for node, absent in voters.items() if not absent[place]}
            short.append((int(group.row[place]), int(group.index[place]), int(group.ack[place]), nodes, weights[0]))
        is_proven = possible.any(axis=0) & proven.all(axis=0)
        left = possible.any(axis=0) & ~is_proven
        counts["proven"] += int(np.count_nonzero(is_proven))
        counts["claimed"] += claims.count(group.index[left], group.term[left])
    for one in sorted(short, key=lambda found: found[0]):
        _report_write(one, operations, facts, findings)
    counts["undecided"] = counts["writes"] - counts["proven"] - counts["claimed"]
    return counts


def _writes(operations: Logged, facts: Survey) -> _Writes:
    """Return the acknowledged writes that can be judged, in order."""
    known = (operations.index != NO_NUMBER) & (operations.term != NO_NUMBER) & (operations.complete_ns != NO_NUMBER)
    small = [np.abs(values) < FOREVER_NS for values in (operations.index, operations.term, operations.complete_ns)]
    rows = np.flatnonzero(operations.acknowledged & known & np.logical_and.reduce(small).astype(np.bool_))
    index, term = operations.index[rows].astype(np.int64), operations.term[rows].astype(np.int64)
    ack_of, command = facts.acks.by_command(), operations.command[rows].tolist()
    ack = np.array([NONE if one == ABSENT else ack_of.get(operations.commands[one], NONE) for one in command], np.int64)
    found, by = ack != NONE, facts.acks.moments()
    moments = Moments(
        np.full(len(rows), OUTSIDE), np.full(len(rows), -1), operations.complete_ns[rows].astype(np.int64), by.names
    )
    for mine, its in ((moments.nodes, by.nodes), (moments.ordinals, by.ordinals), (moments.high_ns, by.high_ns)):
        mine[found] = its[ack[found]]
    applied = facts.applied.terms(index)
    # A retried command may be acknowledged in a later term than its entry's.
    entry_term = np.where(applied == NONE, term, np.where(applied <= term, applied, 0))
    return _Writes(rows, index, term, entry_term, ack, moments)


def _quorums(group: _Writes, configurations: Sequence[Weights], facts: Survey) -> tuple[Bool, Bool, dict[str, Bool]]:
    """Return for each configuration and each write whether a quorum may have had it on disk, and whether one had; and by voter, which it had not."""
    count = len(group.row)
    no_one = np.zeros(count, np.bool_)
    seen = {
        node: facts.durable[node].before_each(group.index, group.entry_term, group.moments)
        if node in facts.durable
        else (no_one, no_one)
        for weights in configurations
        for node, _ in weights
    }
    may_hold, holds = {node: ~no for node, (no, _) in seen.items()}, {node: yes for node, (_, yes) in seen.items()}
    possible = np.array([more_than_half(weights, may_hold, count) for weights in configurations])
    proven = np.array([more_than_half(weights, holds, count) for weights in configurations])
    return possible, proven, {node: no for node, (no, _) in seen.items()}


def _report_write(short: _Short, operations: Logged, facts: Survey, findings: Findings) -> None:
    row, index, ack, possible, weights = short
    op = operations.operation(row)
    findings.add(
        "Q1-acknowledged-before-quorum",
        f"{acknowledged.describe(op)} was acknowledged by {acknowledged.served_by(op)} at log index {index} when at most {names(possible)} can have had it on "
        f"disk: {weight(weights, possible)} of {total(weights)} (voters {show(weights)}), not more than half.",
        ops=(op.invoke_index,),
        details={"index": index, "trace": [] if ack == NONE else [excerpt(facts.acks.line(ack))]},
    )


class _Claims:
    """Indices up to which leaders reported that a quorum held their log, by term."""

    def __init__(self, facts: Survey) -> None:
        self._highest: dict[int, int] = {}
        commits = facts.commits
        term, index, *codes = (commits.column(name) for name in ("leader_term", "index", "claimed", "counted"))
        claims = forms_of(*codes)
        matched = [
            is_quorum(commits.weights.values[claimed], commits.counts.values[counted].matched)
            for claimed, counted in claims.values
        ]
        good = np.array(matched, np.bool_)[claims.which] & (term != NONE)
        for one in np.unique(term[good]).tolist():
            self._highest[one] = max(0, int(index[good & (term == one)].max()))
        self._any = max(self._highest.values(), default=0)

    def count(self, index: Int64, term: Int64) -> int:
        """Return how many of these entries a quorum held, by what leaders of their terms reported."""
        return sum(
            int(np.count_nonzero(index[term == one] <= self._highest.get(one, self._any)))
            for one in np.unique(term).tolist()
        )


# -- Q3


def judge_reads(operations: Logged, facts: Survey, findings: Findings) -> dict[str, int]:
    """Judge Q3: each round of confirmation was by a quorum, and each ok linearizable read had one in its interval."""
    known = {weights_of(line["voters"]) for line, _ in facts.configs} | {
        weights_of(incarnation.start["voters"]) for incarnation in facts.traces if incarnation.start is not None
    }
    rounds, leases = facts.confirmations, facts.leases
    wrong = [not _is_confirmed(form, known) for form in rounds.forms.values]
    for row in np.flatnonzero(np.array(wrong, np.bool_)[rounds.column("form")]).tolist():
        _report_round(rounds.line(row), known, findings)
    steady = np.array([clock == "monotonic" for _, clock in leases.forms.values], np.bool_)[leases.column("form")]
    known_end = operations.complete_ns != NO_NUMBER
    rows = np.flatnonzero(operations.ok & ~operations.write & ~operations.stale & known_end)
    confirmed = _have(rounds, np.arange(len(rounds)), operations, rows, with_index=True)
    rest = rows[~confirmed]
    good, bad = np.flatnonzero(steady), np.flatnonzero(~steady)
    by_lease, by_bad = (_have(leases, some, operations, rest, with_index=False) for some in (good, bad))
    covered = _Coverage(facts)
    undecided = 0
    for place in np.flatnonzero(~by_lease):
        row = rest[place]
        if by_bad[place]:
            _report_lease(leases.line(int(bad[0])), operations.operation(row), findings)
        elif covered.whole(int(operations.invoke_ns[row]), int(operations.complete_ns[row])):
            _report_read(operations.operation(row), findings)
        else:
            undecided += 1
    leased = int(np.count_nonzero(by_lease | by_bad))
    counts = {"reads": len(rows), "confirmed": len(rows) - len(rest), "leased": leased, "undecided": undecided}
    return {**counts, "rounds": len(rounds)}


def _have(
    lines: Rounds, some: npt.NDArray[np.intp], operations: Logged, rows: npt.NDArray[np.intp], with_index: bool
) -> Bool:
    """Return for which operations some node has one of these lines that may lie within the interval, at an index that the read had seen."""
    found = np.zeros(len(rows), np.bool_)
    begun, ended, index = operations.invoke_ns[rows], operations.complete_ns[rows], operations.index[rows]
    nodes = Codes[str]()
    node = np.array([nodes.of(form[0]) for form in lines.forms.values], np.int64)[lines.column("form")[some]]
    for number in range(len(nodes.values)):
        mine = some[node == number]
        low_ns, high_ns, seen = (lines.column(name)[mine] for name in ("low_ns", "high_ns", "index"))
        if len(mine):
            first = _first(high_ns, begun)
            at = np.minimum(first, len(mine) - 1)
            inside = (first < len(mine)) & (low_ns[at] <= ended)
            found |= inside & ((index == NO_NUMBER) | (seen[at] <= index)) if with_index else inside
    return found


def _first(high_ns: Int64, begun: Int64) -> npt.NDArray[np.intp]:
    """Return the first line that may be at or after each moment, by bisection: times grow in the trace of one boot."""
    if bool((high_ns[1:] >= high_ns[:-1]).all()):
        return np.searchsorted(high_ns, begun)
    times = high_ns.tolist()
    return np.array([bisect_left(times, moment) for moment in begun.tolist()], np.intp)


def _is_confirmed(form: tuple[str, frozenset[str], Weights], known: set[Weights]) -> bool:
    _, supporters, weights = form
    return (not known or weights in known) and is_quorum(weights, supporters)


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
    """Report a read under a lease on a clock that may be set back. Only a lease on the monotonic clock, within its stated drift bound, replaces the
    confirmation.
    """
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
    """Intervals in which every node's trace is whole, so that an absent line is an absent event."""

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
