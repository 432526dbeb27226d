"""Assertions about histories for tests of other projects: they fail with the witness.

def test_my_store():
    history = run_clients()                               # events as dictionaries or arrays, or the path of a file
    assert_linearizable(history, "register")
    assert_consistent(history, "list-append", "snapshot-isolation")
"""

from __future__ import annotations

from collections.abc import Sequence

from .base.result import Budget, CheckResult, Verdict
from .run_all import check
from .sources import Source


class Inconsistent(AssertionError):
    """Failure of an assertion: the history is invalid. `results` are the checkers' results, by name."""

    def __init__(self, message: str, results: dict[str, CheckResult]) -> None:
        super().__init__(message)
        self.results = results


class Undecided(AssertionError):
    """Failure of an assertion: no verdict was proven within the budget, or there was nothing to judge."""


def assert_linearizable(history: Source, model: str | None = None, *, time_s: float = 60.0) -> None:
    """Fail with the witness unless every object of the history is linearizable. `model` is inferred when omitted.

    A history in which nothing can be judged, or that is inconsistent, fails as well: a test that tests nothing must not pass.
    """
    _conclude(check(history, ["linearizable"], Budget(time_s=time_s), model=model, narrow=False))


def assert_consistent(history: Source, model: str, consistency: str | None = None, *, time_s: float = 60.0) -> None:
    """Fail with the witness unless the checkers of `model` find the history valid, at the required level."""
    _conclude(check(history, budget=Budget(time_s=time_s), model=model, consistency=consistency))


def _conclude(results: dict[str, CheckResult]) -> None:
    found = [_described(result) for result in results.values() if result.verdict is Verdict.INVALID]
    if found:
        raise Inconsistent("\n".join(found), results)
    doubts = [
        f"{name}: {result.reason}"
        for name, result in results.items()
        if result.verdict is Verdict.UNKNOWN or result.stats.get("vacuous")
    ]
    if doubts or not results:
        raise Undecided("; ".join(doubts) or "no checker found anything to judge")


def _described(result: CheckResult) -> str:
    return "\n".join(
        f"{result.checker}: {anomaly.kind}: {anomaly.explanation} (operations {_listed(anomaly.ops)})"
        for anomaly in result.anomalies
    )


def _listed(indices: Sequence[int]) -> str:
    return ", ".join(map(str, indices))
