"""The commit rule: an entry is of the leader's own term, counted by the active voters, and durable on more than half of their weight.

Most commits are in order, which is seen of all at once; the others are judged one by one.
"""

from __future__ import annotations

import numpy as np

from ..base.quorum_weights import Weights, is_quorum, names, show, total, weight, weights_of
from ..traces.traces import Line, excerpt
from .facts import Commit, Commits, Survey
from .structures.durability import Bool, Durable, more_than_half
from .structures.rows import NONE, Int64, forms_of
from .voter_timeline import VoterTimeline


def judge_commits(facts: Survey, timeline: VoterTimeline) -> int:
    """Judge each commit. Returns how many remain undecided."""
    known = set(timeline.all) | {weights_of(line["voters"]) for line in starts(facts)}
    orderly, proven = _in_order(facts, known)
    undecided = int(np.count_nonzero(orderly & ~proven))
    for row in np.flatnonzero(~orderly).tolist():
        undecided += _judge_commit(facts, facts.commits.get(row), known)
    return undecided


def _in_order(facts: Survey, known: set[Weights]) -> tuple[Bool, Bool]:
    """Return which commits break no rule, and which of them a quorum demonstrably held."""
    commits = facts.commits
    entry_term, leader_term = commits.column("entry_term"), commits.column("leader_term")
    unknown = entry_term == NONE
    orderly = unknown | (leader_term == NONE) | (entry_term == leader_term)
    proven = np.zeros(len(commits), np.bool_)
    forms = forms_of(*(commits.column(name) for name in ("force", "claimed", "counted")))
    for number, (force, claimed, counted) in enumerate(forms.values):
        rows = np.flatnonzero(forms.which == number)
        claim, holders = commits.weights.values[claimed], commits.counts.values[counted].holders
        weights = claim if force == NONE else commits.weights.values[force]
        if not is_quorum(weights, holders) or (claim != weights if force != NONE else claim not in known):
            orderly[rows] = False
            continue
        possible, shown = _held(facts, weights, holders, rows)
        orderly[rows] &= unknown[rows] | possible
        proven[rows] = ~unknown[rows] & shown
    return orderly, proven


def _held(facts: Survey, weights: Weights, holders: frozenset[str], rows: Int64) -> tuple[Bool, Bool]:
    """Return of which of these commits a quorum of the holders may have had the entry on disk, and of which it had."""
    commits: Commits = facts.commits
    index, term, moments = (
        commits.column("index")[rows],
        commits.column("entry_term")[rows],
        commits.moments().only(rows),
    )
    nothing, everything = np.zeros(len(rows), np.bool_), np.ones(len(rows), np.bool_)
    may_hold, holds = {}, {}
    for voter, _ in weights:
        may_hold[voter], holds[voter] = (everything, nothing) if voter in holders else (nothing, nothing)
        if voter in holders and voter in facts.durable:
            absent, holds[voter] = facts.durable[voter].before_each(index, term, moments)
            may_hold[voter] = ~absent
    return more_than_half(weights, may_hold, len(rows)), more_than_half(weights, holds, len(rows))


def _judge_commit(facts: Survey, commit: Commit, known: set[Weights]) -> int:
    """Judge one commit. Returns 1 if it remains undecided."""
    claimed = weights_of(commit.line["voters"])
    judge_voters(facts, commit.line, claimed, commit.in_force, known)
    if commit.leader_term is not None and commit.entry_term is not None and commit.entry_term != commit.leader_term:
        facts.findings.add(
            "commit-of-old-term",
            f"{commit.line['node']}, leading term {commit.leader_term}, committed up to entry {commit.line['index']} of term "
            f"{commit.entry_term} by counting replicas; a later leader may not hold it (Raft paper, figure 8).",
            details={"index": commit.line["index"], "trace": [excerpt(commit.line)]},
        )
    return _judge_replicas(facts, commit, claimed)


def _judge_replicas(facts: Survey, commit: Commit, claimed: Weights) -> int:
    line, index = commit.line, commit.line["index"]
    weights = commit.in_force or claimed
    match = line["match"]
    holders = {voter for voter, durable in match.items() if durable >= index}
    if line["node"] not in match:
        holders.add(line["node"])
    if not is_quorum(weights, holders):
        facts.findings.add(
            "commit-without-quorum",
            f"{line['node']} committed entry {index} when {names(holders)} had it on disk: {weight(weights, holders)} of {total(weights)} "
            f"(voters {show(weights)}), not more than half.",
            details={"index": index, "trace": [excerpt(line)]},
        )
        return 0
    if commit.entry_term is None:
        return 1
    seen = {voter: _durable(facts, voter, commit) for voter in sorted(holders)}
    possible = {voter for voter, durable in seen.items() if durable is not Durable.NO}
    if not is_quorum(weights, possible):
        late = sorted(set(seen) - possible)
        facts.findings.add(
            "commit-before-written",
            f"{line['node']} committed entry {index} counting {names(holders)}, but by their own traces {names(late)} had not even "
            f"written it yet: {weight(weights, possible)} of {total(weights)} remain, not more than half.",
            details={"index": index, "not_written": late, "trace": [excerpt(line)]},
        )
        return 0
    return 0 if is_quorum(weights, {voter for voter, durable in seen.items() if durable is Durable.YES}) else 1


def _durable(facts: Survey, voter: str, commit: Commit) -> Durable:
    history = facts.durable.get(voter)
    if history is None or commit.entry_term is None:
        return Durable.MAYBE
    return history.before(commit.line["index"], commit.entry_term, commit.moment)


def judge_voters(facts: Survey, line: Line, claimed: Weights, in_force: Weights | None, known: set[Weights]) -> None:
    right = claimed == in_force if in_force is not None else claimed in known
    if not right:
        facts.findings.add(
            "wrong-voters",
            f"{line['node']} counted by the voters {show(claimed)} ({line['event']!r} of term {line.get('term')}), but in force was "
            f"{show(in_force) if in_force is not None else 'none of the configurations that were ever adopted'}.",
            details={"trace": [excerpt(line)]},
        )


def starts(facts: Survey) -> list[Line]:
    return [incarnation.start for incarnation in facts.traces if incarnation.start is not None]
