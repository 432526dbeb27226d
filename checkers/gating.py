"""What missing evidence does to a checker's answer.

| answer | with a gap in a part that the checker reads |
|---|---|
| valid | unknown: what is missing may hold a violation |
| invalid | stands for each anomaly that what is missing cannot explain; unknown when there is none |
| unknown | unknown |

Missing evidence makes no anomaly and cancels none that does not need it. Which anomalies need which part is the checker's to say, with `stands_without(anomaly, part)`.
Without it, an anomaly stands without every part but the history. A checker that says that an anomaly stands without the *history* says that it holds of
every continuation: it follows from the operations up to some moment, whatever was invoked after it. That helps only where the end alone is missing (`Gap.tail`):
when operations may be missing in the middle, or lines were changed, nothing that was found in them stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from .result import Anomaly, Checker, CheckResult, Gap, RunRecord, Verdict

HISTORY = "history"
REPORTED_ONLY = frozenset({"log", "input"})
"""Parts that no verdict rests on."""

MOST_NAMED = 3


def reads_of(checker: Checker) -> frozenset[str]:
    """The parts of a run that the checker's answers rest on."""
    found: frozenset[str] = getattr(checker, "reads", frozenset({HISTORY}))
    return found


def gated(checker: Checker, record: RunRecord, result: CheckResult) -> CheckResult:
    """The checker's answer as far as the evidence that it read allows it."""
    gaps = _gaps_of(checker, record)
    if not gaps or result.verdict is Verdict.UNKNOWN:
        return result
    if result.verdict is Verdict.VALID:
        reason = f"nothing was found, but evidence is missing: {named(gaps)}"
        return replace(result, verdict=Verdict.UNKNOWN, reason=reason, certificate=None)
    standing = tuple(anomaly for anomaly in result.anomalies if _stands(checker, anomaly, gaps))
    doubtful = len(result.anomalies) - len(standing)
    if not doubtful:
        return result
    if standing:
        reason = f"{doubtful} more may be explained by missing evidence: {named(gaps)}"
        return replace(result, anomalies=standing, reason=reason)
    kinds = ", ".join(dict.fromkeys(anomaly.kind for anomaly in result.anomalies))
    reason = f"what was found ({kinds}) may be explained by missing evidence: {named(gaps)}"
    return replace(result, verdict=Verdict.UNKNOWN, anomalies=(), reason=reason)


def withheld(checker: Checker, record: RunRecord) -> CheckResult | None:
    """UNKNOWN for a checker that found nothing to judge where evidence of a kind that it reads is missing; None when none is.

    Gaps of the history do not count: operations that a checker needs are in what is left, or the run had none as far as it went.
    """
    gaps = [gap for gap in _gaps_of(checker, record) if gap.part != HISTORY]
    if not gaps:
        return None
    return CheckResult(checker.name, Verdict.UNKNOWN, reason=f"evidence that it needs is missing: {named(gaps)}")


def named(gaps: Sequence[Gap]) -> str:
    """The first few gaps, for a sentence."""
    more = len(gaps) - MOST_NAMED
    return "; ".join(map(str, gaps[:MOST_NAMED])) + (f"; and {more} more" if more > 0 else "")


def _gaps_of(checker: Checker, record: RunRecord) -> list[Gap]:
    reads = reads_of(checker) - REPORTED_ONLY
    return [gap for gap in record.gaps if gap.part in reads]


def _stands(checker: Checker, anomaly: Anomaly, gaps: Sequence[Gap]) -> bool:
    if any(gap.part == HISTORY and not gap.tail for gap in gaps):
        return False
    says: Callable[[Anomaly, str], bool] | None = getattr(checker, "stands_without", None)
    parts = dict.fromkeys(gap.part for gap in gaps)
    return all(part != HISTORY if says is None else says(anomaly, part) for part in parts)
