"""Evidence behind each checker's result, and which of its anomalies are certain although evidence of some part is missing (see `gating`).

*History*: its end is missing. An anomaly stands if it holds in every continuation: violations of properties that are prefix-closed. A finding that depends on later operations (a lost element, a queue that was not drained, replicas that do not converge) does not stand.
*Trace*: a node's lines are missing, all or the last ones. Lines that contradict each other stand, and so do findings that allow for such losses. A finding that rests on the absence of a line that would have allowed or excused it does not.
*Ledger*: faults are missing, or their ends. Findings that no fault excuses stand.
A checker that is not listed here reads the history, and none of its findings stands without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

EVERY = "*"
"""Every kind of anomaly except those that a later operation can explain whatever the property."""

MAY_COME_LATER = frozenset({"thin-air", "thin-air-read", "not-linearizable"})
"""A value that was never written may be written later, which levels without real time allow; and later operations may show that an object is of another
kind.
"""


@dataclass(frozen=True, slots=True)
class RestsOn:
    """`reads` are parts of a run; `certain` maps a part to the kinds of anomalies that stand without it."""

    reads: frozenset[str] = frozenset({"history"})
    certain: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def stands(self, kind: str, part: str) -> bool:
        if part not in self.reads:
            return True
        kinds = self.certain.get(part, frozenset())
        return kind in kinds or (EVERY in kinds and not (part == "history" and kind in MAY_COME_LATER))


def _on(*reads: str, **certain: str) -> RestsOn:
    return RestsOn(frozenset(reads), {part: frozenset(kinds.split()) for part, kinds in certain.items()})


CLOSED = _on("history", history=EVERY)
"""Prefix-closed: an operation has no effect on what was answered before it was invoked."""

_TRACES_THAT_DISAGREE = "two-leaders double-vote log-mismatch applied-differently elected-without-quorum commit-without-quorum commit-of-old-term"
_RECKONED_WITH_LOSSES = f"{_TRACES_THAT_DISAGREE} forgotten-vote term-regressed acknowledged-entry-lost committed-entry-lost leader-incomplete commit-before-written"
_NO_SUCH_VALUE = "aborted-read future-read"

RESTS_ON: Mapping[str, RestsOn] = {
    **dict.fromkeys(
        [
            "linearizable",
            "queue",
            "stack",
            "priority-queue",
            "counter",
            "mutex",
            "fenced-mutex",
            "list",
            "unique-ids",
            "bank",
            "counter-bounds",
            "long-fork",
            "causal-reverse",
            "write-skew",
            "list-append",
            "rw-register",
            "causal",
            "read-atomic",
            "read-committed",
            "session-guarantees",
            "sequential-keys",
        ],
        CLOSED,
    ),
    "set": _on("history", history=_NO_SUCH_VALUE),
    "set-full": _on("history", history=_NO_SUCH_VALUE),
    "total-queue": _on("history", history=_NO_SUCH_VALUE),
    "kafka": _on("history", history=f"{_NO_SUCH_VALUE} inconsistent-offset nonmonotonic-send"),
    # Q1 and Q3 count lines of traces, Q2 and Q4 windows between faults: each may only hold because of what is missing.
    "quorum": _on("history", "trace", "ledger"),
    "split-brain": _on(
        "history", "trace", history="SB1-two-leaders SB4-stale-read", trace="SB1-two-leaders SB4-stale-read"
    ),
    # The history adds what clients saw to a witness. Faults excuse what a node forgot.
    "raft-safety": _on("trace", "ledger", trace=_RECKONED_WITH_LOSSES, ledger=_TRACES_THAT_DISAGREE),
    "convergence": _on(
        "history", "trace", trace="diverged not-converged final-reads-differ", history="diverged not-converged"
    ),
    # Traces and faults excuse unavailability.
    "availability": _on("history", "trace", "ledger"),
    "recovery": _on("history", "trace", "ledger"),
    # A line that a node wrote stands, whatever lines of others are missing; faults excuse it.
    "halts": _on("trace", "ledger", trace=EVERY, ledger="command-failed"),
    "vacuity": _on("history", "ledger"),
    "final-reads": _on("history"),
    "lww": _on("history"),
    "fencing-tokens": _on("history", "trace", history=EVERY, trace=EVERY),
    **dict.fromkeys(["tasks", "memory", "pool"], _on("history", "trace", "ledger")),
    **dict.fromkeys(
        ["crdt", "agents", "failure-detector", "membership", "administration", "upkeep"], _on("trace", "ledger")
    ),
}
