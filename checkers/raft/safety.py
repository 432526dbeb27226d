"""Checker `raft-safety`: Raft's safety properties, from the nodes' traces alone (Raft paper, figure 3; dissertation, chapters 3 and 4).

Election safety, votes that survive restarts, terms that only grow, log matching, leaders that only append, leader completeness, the commit rule,
state-machine safety, and configurations one weight step apart. One pass over the traces (`survey`), then the rules that need several nodes. A
lost trace line never counts as a violation.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ..base import acknowledged
from ..base.budget import OutOfBudget
from ..base.findings import Findings
from ..base.quorum_weights import is_quorum, names, show, total, weight, weights_of
from ..base.result import Anomaly, Budget, CheckResult, RunRecord, Verdict
from ..base.selection import NOTHING
from ..traces.traces import Line, TraceError, excerpt
from .commits import judge_commits, judge_voters, starts
from .facts import Commit, Reign, Survey
from .shared_survey import survey_of
from .structures.durability import Boot
from .structures.rows import NONE, highest_of_each
from .voter_timeline import VoterTimeline, voter_timeline

WORST_FIRST = (
    "two-leaders",
    "double-vote",
    "applied-differently",
    "leader-incomplete",
    "committed-entry-lost",
    "acknowledged-entry-lost",
    "commit-without-quorum",
    "elected-without-quorum",
    "commit-of-old-term",
    "config-step",
    "config-too-early",
)
"""Order of anomalies in a result: causes and plain contradictions before what follows from them; others as found."""


class RaftSafetyChecker:
    """Checker of traces. `INVALID` names the lines that contradict each other, and the operations acknowledged at that index."""

    name = "raft-safety"
    operations = NOTHING

    def applies(self, record: RunRecord) -> bool:
        return any(record.traces.values())

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        if not self.applies(record):
            return CheckResult(self.name, Verdict.UNKNOWN, reason="there are no traces")
        findings = Findings()
        try:
            facts = survey_of(record, budget, findings)
        except (TraceError, OutOfBudget) as error:
            kept = tuple(findings.kept)
            return CheckResult(self.name, Verdict.INVALID if kept else Verdict.UNKNOWN, kept, reason=str(error))
        timeline = voter_timeline(record, facts)
        _report_conflicts(facts)
        _judge_elections(facts, timeline)
        commit_doubts = judge_commits(facts, timeline)
        _judge_boots(facts)
        completeness_doubts = _judge_completeness(facts)
        _judge_applied(facts)
        doubts = {"commits": commit_doubts, "completeness": completeness_doubts}
        return _result(self.name, record, facts, doubts)


def _result(name: str, record: RunRecord, facts: Survey, doubts: Mapping[str, int]) -> CheckResult:
    findings = facts.findings
    stats = {
        "lines": facts.lines,
        "entries": len(facts.tree),
        "elections": len(facts.reigns),
        "commits": len(facts.commits),
        "applied": len(facts.applied),
        "configurations": len({line["index"] for line, _ in facts.configs}),
        "torn_boots": facts.torn_boots,
        "undecided": dict(doubts),
        "violations": dict(findings.counts),
    }
    if findings.kept:
        return CheckResult(name, Verdict.INVALID, _with_operations(findings.kept, record), stats)
    if facts.traces.problems:
        return CheckResult(name, Verdict.UNKNOWN, (), stats, "; ".join(facts.traces.problems[:5]))
    if not facts.reigns or not facts.applied:
        return CheckResult(name, Verdict.UNKNOWN, (), stats, "the traces show no leader, or no applied entry")
    return CheckResult(name, Verdict.VALID, (), stats)


def _with_operations(anomalies: Sequence[Anomaly], record: RunRecord) -> tuple[Anomaly, ...]:
    """Return the anomalies, worst first, with the operations that were acknowledged at the index in question: what the violation meant to clients."""
    by_index: dict[int, list[int]] = {}
    for op in acknowledged.acknowledged_writes(record.history.operations()):
        index = acknowledged.log_index(op)
        if index is not None:
            by_index.setdefault(index, []).append(op.invoke_index)
    rank = {kind: place for place, kind in enumerate(WORST_FIRST)}
    ordered = sorted(anomalies, key=lambda anomaly: rank.get(anomaly.kind, len(rank)))
    return tuple(
        Anomaly(a.kind, a.ops or tuple(by_index.get(a.details.get("index", -1), ())[:4]), a.explanation, a.details)
        for a in ordered
    )


# -- log matching and state-machine safety


def _report_conflicts(facts: Survey) -> None:
    for conflict in facts.tree.conflicts:
        if not facts.findings.wants("log-mismatch"):
            facts.findings.count("log-mismatch")
            continue
        what = {
            "command": "holds two different commands",
            "predecessor": "follows entries of two different terms",
            "split-term": "belongs to a term whose entries are not consecutive",
        }[conflict.kind]
        facts.findings.add(
            "log-mismatch",
            f"Entry {conflict.index} of term {conflict.term} {what} ({conflict.first} and {conflict.second}): logs that agree on an entry "
            "must agree on everything before it.",
            details={
                "index": conflict.index,
                "term": conflict.term,
                "trace": _lines_with(facts, ("append", "apply"), conflict.index, conflict.term),
            },
        )


def _judge_applied(facts: Survey) -> None:
    for first, second in facts.applied_conflicts:
        if not facts.findings.wants("applied-differently"):
            facts.findings.count("applied-differently")
            continue
        index = first[0]
        facts.findings.add(
            "applied-differently",
            f"Two nodes applied different entries at index {index}: one of term {first[1]} (crc {first[2]}) and one of term {second[1]} "
            f"(crc {second[2]}).",
            details={"index": index, "trace": _lines_with(facts, ("apply",), index, None)},
        )
    applied_term, held_term = facts.applied.terms(facts.commits.column("index")), facts.commits.column("entry_term")
    for row in np.flatnonzero((applied_term != NONE) & (held_term != NONE) & (applied_term != held_term)).tolist():
        commit = facts.commits.get(row)
        applied = facts.applied.get(commit.line["index"])
        assert applied is not None
        facts.findings.add(
            "applied-uncommitted",
            f"{commit.line['node']} committed entry {applied[0]} of term {commit.entry_term}, but an entry of term {applied[1]} was applied there.",
            details={
                "index": applied[0],
                "trace": [excerpt(commit.line), *_lines_with(facts, ("apply",), applied[0], applied[1])],
            },
        )


def _lines_with(facts: Survey, events: Sequence[str], index: int, term: int | None) -> list[dict[str, Any]]:
    """Return the first line of each sort that holds entry `index`: one for each (term, crc), at most two nodes each."""
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for incarnation in facts.traces:
        for line in incarnation.lines:
            if line["event"] not in events:
                continue
            for entry in line["entries"]:
                if entry[0] == index and (term is None or entry[1] == term):
                    same = found.setdefault((line["event"], entry[1], acknowledged.as_key(entry[2])), [])
                    if len(same) < 2:
                        same.append(excerpt(line, index))
    return [line for same in found.values() for line in same][:6]


# -- elections


def _judge_elections(facts: Survey, timeline: VoterTimeline) -> None:
    known = set(timeline.all) | {weights_of(line["voters"]) for line in starts(facts)}
    for reign in facts.reigns:
        claimed = weights_of(reign.line["voters"])
        judge_voters(facts, reign.line, claimed, reign.in_force, known)
        # It voted for itself, whether or not its list has it. Votes are by voter: a repeated one counts once.
        supporters = {*reign.line["votes"], reign.node}
        for weights in dict.fromkeys([reign.in_force or claimed, claimed]):
            if is_quorum(weights, supporters):
                continue
            facts.findings.add(
                "elected-without-quorum",
                f"{reign.node} became leader of term {reign.term} with the votes of {names(supporters)}: {weight(weights, supporters)} of "
                f"{total(weights)} (voters {show(weights)}), not more than half.",
                details={"term": reign.term, "trace": [excerpt(reign.line)]},
            )
            break


# -- boots


def _judge_boots(facts: Survey) -> None:
    """Judge boots: a node that was counted for a committed entry still holds it when it boots, unless it reports that its tail was torn, or a fault
    took it.
    """
    commits = facts.commits
    index, high_ns, counted = (commits.column(name) for name in ("index", "high_ns", "counted"))
    rows = np.flatnonzero(commits.column("entry_term") != NONE)
    rows = rows[np.argsort(high_ns[rows], kind="stable")]
    for voter, history in facts.durable.items():
        if len(history.boots) < 2 or history.incomplete:
            continue
        counting = np.array([voter in count.matched for count in commits.counts.values], np.bool_)
        mine = rows[counting[counted[rows]]] if len(rows) else rows
        best: int | None = None
        at = 0
        for boot in history.boots:
            end = max(at, int(np.searchsorted(high_ns[mine], boot.moment.at.low_ns)))
            if end > at:
                furthest = mine[at + int(np.argmax(index[mine[at:end]]))]
                best = furthest if best is None or index[best] < index[furthest] else best
            at = end
            if boot.forgot:
                best = None
            if best is not None:
                _judge_boot(facts, voter, boot, commits.get(int(best)))


def _judge_boot(facts: Survey, voter: str, boot: Boot, commit: Commit) -> None:
    index, term = commit.line["index"], commit.entry_term
    assert term is not None
    if boot.torn or (boot.last_index >= index and boot.last_term >= term):
        return
    facts.findings.add(
        "acknowledged-entry-lost",
        f"{commit.line['node']} committed entry {index} of term {term} counting {voter} as one that had it on disk, but {voter} booted later with "
        f"a log that ends at {boot.last_index} of term {boot.last_term}: it acknowledged what was not durable.",
        details={
            "index": index,
            "trace": [excerpt(commit.line), *(excerpt(line) for line in starts(facts) if _is_boot(line, voter, boot))],
        },
    )


def _is_boot(line: Line, voter: str, boot: Boot) -> bool:
    return bool(line["node"] == voter and line["incarnation"] == boot.incarnation)


# -- leader completeness


def _judge_completeness(facts: Survey) -> int:
    """Judge each leader, and each commit, of a later term: it holds what the last term before it committed. Returns how many remain undecided."""
    commits = facts.commits
    known = np.where(commits.column("entry_term") == NONE, NONE, commits.column("leader_term"))
    best = {term: commits.get(row) for term, row in highest_of_each(known, commits.column("index")).items()}
    terms = sorted(best)
    undecided = 0
    for reign in facts.reigns:
        earlier = bisect_left(terms, reign.term) - 1
        if earlier >= 0:
            undecided += _judge_reign(facts, reign, best[terms[earlier]])
    for earlier_term, later_term in pairwise(terms):
        undecided += _judge_chain(facts, best[earlier_term], best[later_term])
    return undecided


def _judge_reign(facts: Survey, reign: Reign, commit: Commit) -> int:
    index, last = commit.line["index"], reign.last_index
    if last < index:
        holds = f"its log ended at {last}"
    else:
        held = None if reign.last_term is None else facts.tree.term_at(last, reign.last_term, index)
        if held is None:
            return 1
        if held == commit.entry_term:
            return 0
        holds = f"its entry {index} was of term {held}"
    facts.findings.add(
        "leader-incomplete",
        f"{commit.line['node']} had committed entry {index} of term {commit.entry_term} in term {commit.leader_term}, but {reign.node} became "
        f"leader of term {reign.term} without it: {holds}.",
        details={"index": index, "trace": [excerpt(commit.line), excerpt(reign.line)]},
    )
    return 0


def _judge_chain(facts: Survey, earlier: Commit, later: Commit) -> int:
    index, last = earlier.line["index"], later.line["index"]
    assert later.entry_term is not None
    held = facts.tree.term_at(last, later.entry_term, index) if last >= index else None
    if last >= index and held is None:
        return 1
    if held == earlier.entry_term:
        return 0
    facts.findings.add(
        "committed-entry-lost",
        f"{earlier.line['node']} committed entry {index} of term {earlier.entry_term} in term {earlier.leader_term}, but the entries that "
        f"{later.line['node']} committed in term {later.leader_term}, up to index {last}, "
        + (f"has an entry of term {held} there." if held is not None else "does not reach that far."),
        details={"index": index, "trace": [excerpt(earlier.line), excerpt(later.line)]},
    )
    return 0
