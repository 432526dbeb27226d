"""Gating: the effect of missing evidence on a checker's result.

| result | with a gap in a part that the checker reads |
|---|---|
| valid | unknown: what is missing may hold a violation |
| invalid | stands for each anomaly that what is missing cannot explain; unknown when there is none |
| unknown | unknown |

Missing evidence never makes an anomaly, and never cancels one that does not need it. What a checker reads, and which anomaly needs which part, is
listed in `rests_on`. A user's checker declares it itself (`Checker.reads`, `stands_without`). By default it reads the history, and no finding stands
without it.

An anomaly that stands without the *history* holds in every continuation: it follows from the operations up to some moment, whatever was invoked after
it. That helps only where just the end is missing (`Gap.tail`). When operations may be missing in the middle, or lines of a part were changed
(`Gap.changed`), no finding from them stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..base.result import Anomaly, Checker, CheckResult, Gap, RunRecord, Verdict
from .evidence import RESTS_ON, RestsOn

HISTORY = "history"
REPORTED_ONLY = frozenset({"log", "input", "code"})
"""Parts that no verdict rests on."""

MOST_NAMED = 3


def reads_of(checker: Checker) -> frozenset[str]:
    """Return the parts of a run that the checker's results rest on."""
    found: frozenset[str] | None = getattr(checker, "reads", None)
    return _known(checker).reads if found is None else found


def _known(checker: Checker) -> RestsOn:
    return RESTS_ON.get(checker.name, RestsOn())


def gated(checker: Checker, record: RunRecord, result: CheckResult) -> CheckResult:
    """Return the checker's result as far as the evidence that it read allows it."""
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
    """Return UNKNOWN for a checker that reads traces and found nothing to judge where all of them are missing; else None.

    Where some exist, they show what there was to judge. So do the history, and the ledger, without which no run is valid anyway.
    """
    gaps = [gap for gap in _gaps_of(checker, record) if gap.part == "trace"]
    if not gaps or any(record.traces.values()):
        return None
    return CheckResult(checker.name, Verdict.UNKNOWN, reason=f"evidence that it needs is missing: {named(gaps)}")


def named(gaps: Sequence[Gap]) -> str:
    """Return the first few gaps, as text for a sentence."""
    more = len(gaps) - MOST_NAMED
    return "; ".join(map(str, gaps[:MOST_NAMED])) + (f"; and {more} more" if more > 0 else "")


def _gaps_of(checker: Checker, record: RunRecord) -> list[Gap]:
    reads = reads_of(checker) - REPORTED_ONLY
    return [gap for gap in record.gaps if gap.part in reads]


def _stands(checker: Checker, anomaly: Anomaly, gaps: Sequence[Gap]) -> bool:
    if any(gap.changed or (gap.part == HISTORY and not gap.tail) for gap in gaps):
        return False
    says: Callable[[Anomaly, str], bool] | None = getattr(checker, "stands_without", None)
    parts = dict.fromkeys(gap.part for gap in gaps)
    if says is not None:
        return all(says(anomaly, part) for part in parts)
    if checker.name in RESTS_ON:
        return all(_known(checker).stands(anomaly.kind, part) for part in parts)
    return HISTORY not in parts
