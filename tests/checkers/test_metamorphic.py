"""Verdicts under changes that cannot change them: a sample of the fuzz, and that it notices a checker that is wrong."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from tribulation.checkers import CheckResult, RunRecord, Verdict
from tribulation.checkers.base.result import Budget
from tribulation.checkers.linearizability.checker import LinearizableChecker
from tribulation.histories import parse

from . import fuzz_metamorphic as fuzz

SAMPLE = 2


@pytest.mark.parametrize("case", fuzz.FUZZ)
def test_a_sample_of_the_fuzz(case: str) -> None:
    """The seeds before those that `make fuzz` takes."""
    for seed in range(SAMPLE):
        fuzz.FUZZ[case](-seed)


def test_every_change_changes_something() -> None:
    events = list(parse("p0 w1   p1[w2   p2 r1   p1]   p2 r2   p3 w3!no-quorum   p0 w4 | p1 r_   p0 w5   p1 w6").events)
    for name, change in {**fuzz.SAME, **fuzz.WEAKER}.items():
        if "key" not in name:
            assert any(change(Random(seed), events) != events for seed in range(20)), name


def test_a_checker_that_counts_processes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes the number of a process for something."""
    honest = LinearizableChecker.check

    def check(self: LinearizableChecker, record: RunRecord, budget: Budget) -> CheckResult:
        odd = any(type(op.process) is int and op.process > 500 for op in record.history.operations())
        return replace(honest(self, record, budget), verdict=Verdict.INVALID if odd else Verdict.VALID)

    monkeypatch.setattr(LinearizableChecker, "check", check)
    with pytest.raises(AssertionError, match=r"processes renamed|answers lost|failed added"):
        for seed in range(60):
            fuzz.compare("register", seed)
