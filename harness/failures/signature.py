"""Signatures of failures: the checker, the kind of anomaly, and the operations; never the time, the place or the amount.

Search groups by signature and shrinking keeps it: a smaller plan with another signature is another failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tribulation.checkers import CheckResult, Verdict
from tribulation.checkers.base.result import Anomaly
from tribulation.histories import History


@dataclass(frozen=True, slots=True, order=True)
class Signature:
    """`shape` are the names of the witness's operations, sorted and joined (`read+read+write`), or `traces` where no operation is part of it."""

    checker: str
    kind: str
    shape: str = ""

    def __str__(self) -> str:
        return f"{self.checker}/{self.kind}" + (f" ({self.shape})" if self.shape else "")

    def same_failure(self, other: Signature) -> bool:
        """Return whether the two are the same failure, with more or fewer operations."""
        return (self.checker, self.kind) == (other.checker, other.kind)


def signatures(results: Mapping[str, CheckResult], history: History) -> list[Signature]:
    """Every failure among the results, in the checkers' order, each once."""
    found = {
        Signature(name, anomaly.kind, _shape(anomaly, history)): None
        for name, result in results.items()
        if result.verdict is Verdict.INVALID
        for anomaly in result.anomalies
    }
    return list(found)


def fails_alike(wanted: Signature, found: list[Signature]) -> bool:
    """Return whether one of the failures found is the wanted one."""
    return any(wanted.same_failure(signature) for signature in found)


def _shape(anomaly: Anomaly, history: History) -> str:
    if not anomaly.ops:
        return "traces"
    wanted = set(anomaly.ops)
    names = sorted(op.f for op in history.operations() if op.invoke_index in wanted)
    return "+".join(names)
