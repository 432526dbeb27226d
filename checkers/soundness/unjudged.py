"""Acknowledged operations that no checker judged: a verdict says nothing about them, so they keep it from being valid.

| operation | |
|---|---|
| ended ok, judged by a checker that gave a result | counts |
| ended ok, at a level that promises less, and of a name that such a checker knows | excused: its answer promised nothing that could be violated |
| ended ok, otherwise | unjudged |
| failed or of unknown outcome, or of the process `nemesis` | no client relies on it |

A checker declares what it judges: a built-in one in `JUDGES`, by the names of operations; one that decides by the whole object (`linearizable`) in a
method `judged(record)`. A user's checker may have `operations`, a set of names; without it, it is taken to judge all that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from tribulation.histories.model.columns import OK, Int64

from ..base.result import Checker, CheckResult, RunRecord, Verdict
from ..base.selection import Bool, of
from .gating import HISTORY, reads_of

UNJUDGED = "unjudged"
"""Name of the result; there is none when everything was judged."""

WEAKER = frozenset({"sequential", "stale", "eventual", "quorum"})

_TRANSACTIONS = ("list-append", "rw-register", "long-fork")
_SESSIONS = ("causal", "read-atomic", "read-committed", "session-guarantees", "sequential-keys")
_NOTHING = (
    "quorum",
    "split-brain",
    "raft-safety",
    "convergence",
    "availability",
    "recovery",
    "crdt",
    "failure-detector",
)
_NOTHING_EITHER = ("membership", "administration", "upkeep", "halts", "final-reads", "vacuity")

JUDGES: Mapping[str, frozenset[str]] = {
    "set-full": frozenset({"add", "read"}),
    "total-queue": frozenset({"enqueue", "dequeue", "drain"}),
    "counter-bounds": frozenset({"add", "increment", "inc", "decrement", "dec", "read"}),
    "unique-ids": frozenset({"generate"}),
    "bank": frozenset({"create", "transfer", "read"}),
    "causal-reverse": frozenset({"write", "read"}),
    "write-skew": frozenset({"txn", "insert"}),
    "kafka": frozenset({"send", "poll", "txn", "assign", "subscribe", "crash"}),
    "lww": frozenset({"write", "delete", "read", "get"}),
    "tasks": frozenset({"spawn", "migrate", "submit", "effects"}),
    "memory": frozenset({"learn", "forget", "recall", "memory-digest"}),
    "agents": frozenset({"spawn", "deploy", "migrate", "stop"}),
    "pool": frozenset({"spawn", "deploy", "stop", "pool"}),
    "fencing-tokens": frozenset({"acquire", "elect", "access", "release", "resign"}),
    **dict.fromkeys(_TRANSACTIONS, frozenset({"txn"})),
    **dict.fromkeys(_SESSIONS, frozenset({"txn", "read", "get", "write", "put", "cas"})),
    # They look at the run, at faults or traces, not at what each operation answered.
    **dict.fromkeys((*_NOTHING, *_NOTHING_EITHER), frozenset[str]()),
}
"""Names of the operations that a checker judges, or needs to know of to judge the others."""


def unjudged(record: RunRecord, given: Iterable[tuple[Checker, RunRecord]]) -> dict[str, int]:
    """Return how many acknowledged operations of each name no checker judged. `given`: the checkers that gave a result, with what each was given."""
    columns = record.history.columns
    names: set[str] = set()
    judged: list[Int64] = []
    for checker, mine in given:
        rows = _judged(checker, mine)
        theirs = mine.history.columns
        judged.append(theirs.invoke[rows])
        declared = _names(checker)
        names |= declared if declared is not None else {theirs.f_names[code] for code in np.unique(theirs.f[rows])}
    seen = np.isin(columns.invoke, np.concatenate(judged)) if judged else np.zeros(len(columns), np.bool_)
    weak = np.array([level in WEAKER for level in columns.level_names], np.bool_)[columns.level]
    left = (columns.type == OK) & ~seen & ~(weak & of(columns, *names))
    counts = np.bincount(columns.f[left], minlength=len(columns.f_names)).tolist()
    return {name: count for name, count in zip(columns.f_names, counts, strict=True) if count}


def doubt_of(counts: Mapping[str, int]) -> CheckResult:
    """The result that keeps a verdict from being valid."""
    total = sum(counts.values())
    are = "operation was" if total == 1 else "operations were"
    reason = f"{total} acknowledged {are} judged by no checker: {listed(counts)}; hint: `--model` names what they are, a checker of your own can judge them, and `--checker` narrows to what is judged"
    return CheckResult(UNJUDGED, Verdict.UNKNOWN, (), {"operations": dict(counts)}, reason)


def listed(counts: Mapping[str, int]) -> str:
    """`5 frobnicate, 3 read`."""
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _judged(checker: Checker, record: RunRecord) -> Bool:
    columns = record.history.columns
    decides: Callable[[RunRecord], Bool] | None = getattr(checker, "judged", None)
    if decides is not None:
        return decides(record)
    names = _names(checker)
    if names is None:
        return np.full(len(columns), HISTORY in reads_of(checker))
    return of(columns, *names)


def _names(checker: Checker) -> frozenset[str] | None:
    """The declared names; None where nothing is declared."""
    declared: frozenset[str] | None = getattr(checker, "operations", None)
    return frozenset(declared) if declared is not None else JUDGES.get(checker.name)
