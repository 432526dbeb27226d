"""Acknowledged operations that no checker judged: a verdict says nothing about them, so they keep it from being valid.

| operation | |
|---|---|
| ended ok, judged by a checker that gave a result | counts |
| ended ok, at a level that promises less, and of a name that such a checker knows | excused: its answer promised nothing that could be violated |
| ended ok, otherwise | unjudged |
| failed or of unknown outcome, or of the process `nemesis` | no client relies on it |

A checker declares what it judges (`operations`), or decides it by the values (`judged`); see `Checker`. One that declares nothing judges the operations
of the workloads whose declaration names it, and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from tribulation.histories.model.columns import OK, Int64

from ..base.result import Checker, CheckResult, RunRecord, Verdict
from ..base.selection import Bool, Judges, of

UNJUDGED = "unjudged"
"""Name of the result; there is none when everything was judged."""

WEAKER = frozenset({"sequential", "stale", "eventual", "quorum"})


def unjudged(record: RunRecord, given: Iterable[tuple[Checker, RunRecord]]) -> dict[str, int]:
    """Return how many acknowledged operations of each name no checker judged. `given`: the checkers that gave a result, with what each was given."""
    columns = record.history.columns
    names: set[str] = set()
    judged: list[Int64] = []
    for checker, mine in given:
        declared, theirs = declared_by(checker, mine), mine.history.columns
        judged.append(theirs.invoke[_judged(checker, declared, mine)])
        if declared.workloads is None:
            names |= declared.names
    seen = np.isin(columns.invoke, np.concatenate(judged)) if judged else np.zeros(len(columns), np.bool_)
    weak = np.array([level in WEAKER for level in columns.level_names], np.bool_)[columns.level]
    left = (columns.type == OK) & ~seen & ~(weak & of(columns, *names))
    counts = np.bincount(columns.f[left], minlength=len(columns.f_names)).tolist()
    return {name: count for name, count in zip(columns.f_names, counts, strict=True) if count}


def doubt_of(counts: Mapping[str, int], silent: Iterable[str] = ()) -> CheckResult:
    """Return the result that keeps a verdict from being valid. `silent`: checkers that gave a result and declare nothing."""
    total = sum(counts.values())
    are = "operation was" if total == 1 else "operations were"
    reason = f"{total} acknowledged {are} judged by no checker: {listed(counts)}; hint: `--model` names what they are, a checker of your own can judge them, and `--checker` narrows to what is judged"
    if named := ", ".join(silent):
        reason += f"; {named} may judge them but does not say so in `operations`, see docs/guides/plugins.md"
    return CheckResult(UNJUDGED, Verdict.UNKNOWN, (), {"operations": dict(counts)}, reason)


def listed(counts: Mapping[str, int]) -> str:
    """Format counts for a sentence: `5 frobnicate, 3 read`."""
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _judged(checker: Checker, declared: Judges, record: RunRecord) -> Bool:
    decides: Callable[[RunRecord], Bool] | None = getattr(checker, "judged", None)
    return declared.rows(record.history.columns) if decides is None else decides(record)


def is_silent(checker: Checker) -> bool:
    """Return whether the checker declares nothing of what it judges."""
    return not hasattr(checker, "operations") and not hasattr(checker, "judged")


def declared_by(checker: Checker, record: RunRecord) -> Judges:
    """Return what the checker declares; where it declares nothing, all operations of the workloads that name it."""
    declared = getattr(checker, "operations", None)
    if declared is not None:
        return declared if isinstance(declared, Judges) else Judges(frozenset(declared))
    mine = frozenset(workload for workload, names in record.judged_by.items() if checker.name in names)
    return Judges(frozenset(record.history.columns.f_names), workloads=mine)
