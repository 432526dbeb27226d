"""Conclusion of a check: makes the result from the findings, and computes figures that many workload checkers report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .findings import KEEP_OBJECTS, Findings
from .result import CheckResult, Verdict

ORDER = (Verdict.INVALID, Verdict.UNKNOWN, Verdict.VALID)
QUANTILES = (0.0, 0.5, 0.95, 0.99, 1.0)


def conclude(name: str, findings: Findings, stats: Mapping[str, Any], doubt: str | None) -> CheckResult:
    """Return invalid if there is any finding; else unknown if there is a doubt; else valid. The stats count the findings."""
    facts = {**stats, "anomalies": dict(findings.counts)} if findings.counts else dict(stats)
    if findings.counts:
        return CheckResult(name, Verdict.INVALID, tuple(findings.kept), facts, doubt)
    if doubt is not None:
        return CheckResult(name, Verdict.UNKNOWN, (), facts, doubt)
    return CheckResult(name, Verdict.VALID, (), facts)


def of_objects(verdicts: Mapping[str, Verdict]) -> dict[str, str]:
    """Return the verdicts of objects as a figure; of very many objects, those that are not valid come first."""
    found = list(verdicts.items())
    if len(found) > KEEP_OBJECTS:
        found.sort(key=lambda item: ORDER.index(item[1]))
    return {key: verdict.value for key, verdict in found[:KEEP_OBJECTS]}


def shown_of(invalid: int, objects: int, shown: int) -> str | None:
    """Return the sentence that counts all objects with an anomaly where only some have it in the result."""
    return f"{invalid} of {objects} keys are invalid; {shown} of them are shown" if shown < invalid else None


def quantiles_ms(times_ns: Sequence[int] | npt.NDArray[Any]) -> dict[str, float]:
    """Return quantile → ms, where each value is one of the measured times; empty without measured times."""
    if not len(times_ns):
        return {}
    found = np.quantile(np.asarray(times_ns, np.float64), QUANTILES, method="higher")
    return {f"{quantile:g}": round(float(value) / 1e6, 3) for quantile, value in zip(QUANTILES, found, strict=True)}


def sentence(text: str) -> str:
    """Return `text` with a capital letter, unless it begins with a name such as n1, and with a full stop."""
    closed = text if text.endswith(".") else f"{text}."
    first = closed.split(" ", 1)[0]
    return closed if any(letter.isdigit() for letter in first) else closed[0].upper() + closed[1:]


def all_of(problems: Sequence[str]) -> str | None:
    """Join several doubts into one; None without any."""
    return "; ".join(problems) or None
