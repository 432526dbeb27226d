"""Order of anomalies for display: the cause before its consequences.

A double vote makes two leaders; they lose a write; then replicas differ, and the sum of all accounts is wrong. Several checkers find all of these,
and the last one is the largest. `rank` puts the first one first, by one table of kinds.
"""

from __future__ import annotations

from collections.abc import Sequence

STAGES: tuple[tuple[str, frozenset[str]], ...] = (
    (
        "a node broke a promise, or led without the right to",
        frozenset(
            {
                "double-vote",
                "forgotten-vote",
                "term-regressed",
                "wrong-voters",
                "config-step",
                "config-too-early",
                "elected-without-quorum",
                "leads-without-quorum",
                "epoch-regressed",
                "incarnation-regressed",
                "token-reused",
                "token-not-growing",
            }
        ),
    ),
    (
        "two in charge",
        frozenset(
            {
                "two-leaders",
                "SB1-two-leaders",
                "two-hosts-in-one-epoch",
                "two-hosts-at-once",
                "two-views-in-one-epoch",
                "runs-without-quorum",
                "double-acquire",
                "bad-release",
                "duplicate-token",
                "fence-violated",
                "zombie",
                "work-of-an-old-epoch",
                "resumed-without-the-log",
            }
        ),
    ),
    (
        "an operation was answered or committed before it was safe",
        frozenset(
            {
                "Q1-acknowledged-before-quorum",
                "Q2-write-without-quorum",
                "Q2-write-on-a-side-without-quorum",
                "Q3-read-by-bad-lease",
                "Q3-read-on-a-side-without-quorum",
                "Q3-read-without-quorum",
                "Q3-unconfirmed-read",
                "Q4-unmarked-stale-read",
                "commit-before-written",
                "commit-of-old-term",
                "commit-without-quorum",
                "acknowledged-before-effect",
                "applied-uncommitted",
                "leader-incomplete",
                "leader-overwrote",
                "leader-truncated",
            }
        ),
    ),
    (
        "the log lost or changed entries",
        frozenset(
            {
                "SB3-lost-acknowledged-write",
                "SB3-two-writes-one-index",
                "acknowledged-entry-lost",
                "committed-entry-lost",
                "log-mismatch",
                "commit-regressed",
                "commit-beyond-log",
                "applied-again",
                "applied-differently",
                "apply-gap",
                "skewed-lost-update",
                "equal-timestamps",
                "delta-gap",
                "join-is-no-least-upper-bound",
                "state-shrank",
            }
        ),
    ),
    (
        "acknowledged data was lost, invented or duplicated",
        frozenset(
            {
                "lost-write",
                "lost-update",
                "lost-add",
                "lost-agent",
                "lost-count",
                "lost-task",
                "lost-to-an-earlier-update",
                "overwritten-update",
                "update-not-delivered",
                "not-the-last-write",
                "aborted-read",
                "thin-air",
                "thin-air-read",
                "phantom-agent",
                "phantom-count",
                "phantom-task",
                "phantom-update",
                "duplicate",
                "duplicated",
                "duplicated-task",
                "duplicate-elements",
                "duplicate-identifier",
                "G0",
                "G1a",
                "G1b",
                "dirty-update",
                "inconsistent-offset",
            }
        ),
    ),
    # Kinds that are listed nowhere belong here: reads that contradict each other, in any order.
    ("reads that no order allows", frozenset()),
    (
        "a rule of the application is broken",
        frozenset(
            {"wrong-total", "negative-balance", "null-balance", "wrong-accounts", "write-skew", "beyond-capacity"}
        ),
    ),
    (
        "replicas or views differ",
        frozenset(
            {
                "diverged",
                "not-converged",
                "state-diverged",
                "states-differ",
                "final-reads-differ",
                "views-differ",
                "absent-member",
                "dead-member",
                "replica-went-back",
                "idle-agent",
                "not-started",
            }
        ),
    ),
    (
        "too slow, or no answer",
        frozenset(
            {
                "no-recovery",
                "slow-recovery",
                "late-recovery",
                "not-recovered",
                "fell-silent",
                "silent-without-fault",
                "failed-under-a-leader",
                "unavailable-through-node",
                "never-served-through-node",
                "never-answered",
                "terms-grow",
                "Q4-unanswered-write",
                "crash-not-detected",
                "slow-detection",
                "lasting-mistake",
                "too-many-mistakes",
                "long-pause",
            }
        ),
    ),
)
"""From cause to consequence: the stage in words, and its kinds."""

_UNNAMED = next(number for number, (_, kinds) in enumerate(STAGES) if not kinds)
_STAGE_OF = {kind: number for number, (_, kinds) in enumerate(STAGES) for kind in kinds}


def stage(kind: str) -> int:
    """Return the place of a kind of anomaly in the chain from cause to consequence; small numbers are causes."""
    return _STAGE_OF.get(kind, _STAGE_OF.get(kind.removesuffix("-realtime").removesuffix("-process"), _UNNAMED))


def rank(kind: str, ops: Sequence[int]) -> tuple[int, bool, int]:
    """Sort key: by stage, proofs by operations before proofs by traces, and by where the proof ends."""
    return stage(kind), not ops, max(ops, default=0)
