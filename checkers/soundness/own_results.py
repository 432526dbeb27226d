"""Validation of what a checker returned: a user's checker is foreign code, and only a proper result is a verdict.

A text instead of a `Verdict` would pass by every comparison that doubts it, and a result that contradicts itself says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..base.result import Anomaly, CheckResult, Verdict

SHOWN = 100


def understood(name: str, answer: Any) -> CheckResult:
    """Return the result, or UNKNOWN with the reason why it is not a proper result."""
    wrong = _wrong(answer)
    if wrong is not None:
        return CheckResult(name, Verdict.UNKNOWN, reason=f"the checker returned {wrong}")
    found: CheckResult = answer
    return found


def _wrong(answer: Any) -> str | None:
    if not isinstance(answer, CheckResult):
        return f"{_shown(answer)}, not a CheckResult"
    if not isinstance(answer.verdict, Verdict):
        return f"the verdict {_shown(answer.verdict)}, which is not a `Verdict`"
    if not isinstance(answer.anomalies, tuple | list) or not all(map(_is_proper, answer.anomalies)):
        return f"the anomalies {_shown(answer.anomalies)}, which are not `Anomaly` objects"
    if not isinstance(answer.stats, Mapping) or not (answer.reason is None or isinstance(answer.reason, str)):
        return f"stats or a reason of another type: {_shown(answer.stats)}, {_shown(answer.reason)}"
    if answer.verdict is Verdict.VALID and answer.anomalies:
        return f"the verdict valid together with the anomaly {_shown(answer.anomalies[0].kind)}"
    if answer.verdict is Verdict.INVALID and not answer.anomalies:
        return "the verdict invalid without an anomaly"
    if not _is_finite(answer.stats) or not all(_is_finite(anomaly.details) for anomaly in answer.anomalies):
        return "a number that is not finite, in stats or details"
    return None


def _is_finite(value: Any) -> bool:
    """Return whether every number in it is one of JSON."""
    if isinstance(value, float | np.floating):
        return bool(np.isfinite(value))
    if isinstance(value, Mapping):
        return all(_is_finite(item) for pair in value.items() for item in pair)
    return not isinstance(value, list | tuple | set | frozenset) or all(map(_is_finite, value))


def _is_proper(anomaly: Any) -> bool:
    return (
        isinstance(anomaly, Anomaly)
        and isinstance(anomaly.kind, str)
        and isinstance(anomaly.explanation, str)
        and isinstance(anomaly.ops, tuple | list)
        and all(isinstance(op, int | np.integer) for op in anomaly.ops)
        and isinstance(anomaly.details, Mapping)
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
