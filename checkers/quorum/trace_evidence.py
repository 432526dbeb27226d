"""Q1 and Q3 from the nodes' traces: did the voters behind an acknowledged write, or behind a read, hold more than half of the weight?

A leader's statements about others (`match`, `acks`) must themselves be a quorum, and must not be contradicted by what those nodes traced. Where a
killed node's last lines are missing, or the order of two hosts' lines lies within the error of their clocks, the leader's statement is accepted and
counted as `claimed`; where nothing is left to compare, as `undecided`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from tribulation.histories import Operation, Type

from ..base import acknowledged
from ..base.findings import Findings
from ..base.quorum_weights import Weights, is_quorum, names, show, total, weight, weights_of
from ..raft.durability import Durable, Moment, outside
from ..raft.facts import Ack, Survey
from ..raft.voter_timeline import VoterTimeline
from ..traces.traces import Line, excerpt


def judge_writes(
    operations: Sequence[Operation], facts: Survey, timeline: VoterTimeline, findings: Findings
) -> dict[str, int]:
    """Judge Q1, for every ok write that names its log index."""
    counts = {"writes": 0, "proven": 0, "claimed": 0, "undecided": 0}
    ack_of = {(ack.line.get("session"), ack.line.get("command")): ack for ack in facts.acks}
    claims = _Claims(facts)
    for op in acknowledged.acknowledged_writes(operations):
        counts["writes"] += 1
        index, term = acknowledged.log_index(op), acknowledged.term(op)
        if index is None or term is None or op.complete_ns is None:
            counts["undecided"] += 1
            continue
        ack = ack_of.get(acknowledged.command(op) or (None, None)) if acknowledged.command(op) is not None else None
        counts[_judge_write(op, index, term, ack, facts, timeline, claims, findings)] += 1
    return counts


def _judge_write(
    op: Operation,
    index: int,
    term: int,
    ack: Ack | None,
    facts: Survey,
    timeline: VoterTimeline,
    claims: _Claims,
    findings: Findings,
) -> str:
    moment = ack.moment if ack is not None else outside(op.complete_ns or 0)
    possible_weights = timeline.for_entry(index, moment.at.high_ns)
    if possible_weights is None:
        return "undecided"
    applied = facts.applied.get(index)
    # A retried command may be acknowledged in a later term than its entry's.
    entry_term = applied[1] if applied is not None and applied[1] <= term else (0 if applied is None else term)
    seen = {
        node: facts.durable[node].before(index, entry_term, moment) if node in facts.durable else Durable.MAYBE
        for weights in possible_weights
        for node, _ in weights
    }
    possible = {node for node, durable in seen.items() if durable is not Durable.NO}
    if not any(is_quorum(weights, possible) for weights in possible_weights):
        _report_write(op, index, possible, possible_weights[0], ack, findings)
        return "undecided"
    proven = {node for node, durable in seen.items() if durable is Durable.YES}
    if all(is_quorum(weights, proven) for weights in possible_weights):
        return "proven"
    return "claimed" if claims.has(index, term) else "undecided"


def _report_write(
    op: Operation, index: int, possible: set[str], weights: Weights, ack: Ack | None, findings: Findings
) -> None:
    findings.add(
        "Q1-acknowledged-before-quorum",
        f"{acknowledged.describe(op)} was acknowledged by {acknowledged.served_by(op)} at log index {index} when at most {names(possible)} can have had it on "
        f"disk: {weight(weights, possible)} of {total(weights)} (voters {show(weights)}), not more than half.",
        ops=(op.invoke_index,),
        details={"index": index, "trace": [excerpt(ack.line)] if ack is not None else []},
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


@dataclass(frozen=True, slots=True)
class _Confirmed:
    index: int
    low_ns: int
    high_ns: int


def judge_reads(operations: Sequence[Operation], facts: Survey, findings: Findings) -> dict[str, int]:
    """Judge Q3: each round of confirmation was by a quorum, and each ok linearizable read had one in its interval."""
    known = {weights_of(line["voters"]) for line, _ in facts.configs} | {
        weights_of(incarnation.start["voters"]) for incarnation in facts.traces if incarnation.start is not None
    }
    for line, _ in facts.confirmations:
        _judge_round(line, known, findings)
    rounds = _by_node(facts.confirmations)
    leases = _by_node([(line, moment) for line, moment in facts.leases if line["clock"] == "monotonic"])
    bad = [(line, moment) for line, moment in facts.leases if line["clock"] != "monotonic"]
    bad_leases = _by_node(bad)
    counts = {"reads": 0, "confirmed": 0, "leased": 0, "undecided": 0, "rounds": len(facts.confirmations)}
    covered = _Coverage(facts)
    for op in operations:
        if op.type is not Type.OK or acknowledged.is_write(op) or acknowledged.is_stale(op) or op.complete_ns is None:
            continue
        counts["reads"] += 1
        if _has(rounds, op, acknowledged.log_index(op)):
            counts["confirmed"] += 1
        elif _has(leases, op, None):
            counts["leased"] += 1
        elif _has(bad_leases, op, None):
            counts["leased"] += 1
            _report_lease(bad[0][0], op, findings)
        elif covered.whole(op):
            _report_read(op, findings)
        else:
            counts["undecided"] += 1
    return counts


def _judge_round(line: Line, known: set[Weights], findings: Findings) -> None:
    weights = weights_of(line["voters"])
    supporters = {*line["acks"], line["node"]}
    right = not known or weights in known
    if right and is_quorum(weights, supporters):
        return
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


def _by_node(lines: Sequence[tuple[Line, Moment]]) -> list[list[_Confirmed]]:
    """Lines of each node, in the order of its trace, so that times only grow."""
    nodes: dict[str, list[_Confirmed]] = {}
    for line, moment in lines:
        nodes.setdefault(line["node"], []).append(_Confirmed(line.get("index", 0), moment.at.low_ns, moment.at.high_ns))
    return list(nodes.values())


def _has(nodes: Sequence[Sequence[_Confirmed]], op: Operation, index: int | None) -> bool:
    """Return whether some node has a line that may lie within the operation's interval, at an index that the read had seen."""
    for lines in nodes:
        first = bisect_left(lines, op.invoke_ns, key=lambda line: line.high_ns)
        inside = first < len(lines) and lines[first].low_ns <= (op.complete_ns or 0)
        if inside and (index is None or lines[first].index <= index):
            return True
    return False


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

    def whole(self, op: Operation) -> bool:
        if self._missing or not self._whole:
            return False
        return all(self._covers(stretches, op) for stretches in self._whole)

    @staticmethod
    def _covers(stretches: Sequence[tuple[int, int]], op: Operation) -> bool:
        at = bisect_left(stretches, op.invoke_ns, key=lambda stretch: stretch[1])
        if at == len(stretches):
            return False
        low_ns, end_ns = stretches[at]
        # Between the last line of an incarnation and the next boot, lines may have been lost.
        return low_ns <= op.invoke_ns and (op.complete_ns or 0) < end_ns
