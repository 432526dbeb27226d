"""A checker of a user that returns something else than a proper result gives no verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tribulation.checkers import CHECKERS, Anomaly, CheckResult, Gap, RunRecord, Verdict, check
from tribulation.checkers.registry import add_checker
from tribulation.histories import parse

BAD = Anomaly("bad", (0,), "it is bad")
GAP = Gap("history", "history.jsonl", "is missing")


@pytest.fixture
def judged():
    """What is made of a result that the checker `own` returns."""

    def run(returned, *gaps: Gap) -> CheckResult:
        class Own:
            name = "own"

            def applies(self, record):
                return True

            def check(self, record, budget):
                return returned

        add_checker("own", Own)
        record = RunRecord(parse("p0 w1 | p1 r1"), nodes=["n1"], is_run=True, gaps=gaps)
        return check(record, ["own"])["own"]

    yield run
    CHECKERS.pop("own", None)


@pytest.mark.parametrize("gaps", [(), (GAP,)], ids=["complete", "with a gap"])
@pytest.mark.parametrize(
    ("returned", "reported"),
    [
        (None, "None, not a CheckResult"),
        ("valid", "'valid', not a CheckResult"),
        (CheckResult("own", "valid"), "the verdict 'valid'"),
        (CheckResult("own", "invalid", (BAD,)), "the verdict 'invalid'"),
        (CheckResult("own", Verdict.VALID, (BAD,)), "the verdict valid together with the anomaly 'bad'"),
        (CheckResult("own", Verdict.INVALID), "invalid without an anomaly"),
        (CheckResult("own", Verdict.INVALID, ({"kind": "bad"},)), "the anomalies"),
        (CheckResult("own", Verdict.INVALID, (replace(BAD, ops=("0",)),)), "the anomalies"),
        (CheckResult("own", Verdict.VALID, stats=None), "stats or a reason"),
        (CheckResult("own", Verdict.UNKNOWN, reason=7), "stats or a reason"),
        (CheckResult("own", Verdict.VALID, stats={"rates": [1.0, float("nan")]}), "a number that is not finite"),
        (
            CheckResult("own", Verdict.INVALID, (replace(BAD, details={"s": float("inf")}),)),
            "a number that is not finite",
        ),
    ],
)
def test_what_is_no_proper_result_is_no_verdict(judged, returned, reported, gaps):
    result = judged(returned, *gaps)
    assert result.verdict is Verdict.UNKNOWN and reported in result.reason


def test_a_proper_result_stays_as_it_is(judged):
    assert judged(CheckResult("own", Verdict.VALID)) == CheckResult("own", Verdict.VALID)
    assert judged(CheckResult("own", Verdict.INVALID, (BAD,))).verdict is Verdict.INVALID


def test_a_checker_that_exits_is_unknown_and_hides_no_other():
    class Own:
        name = "own"

        def applies(self, record):
            return True

        def check(self, record, budget):
            raise SystemExit(0)

    add_checker("own", Own)
    try:
        results = check(RunRecord(parse("p0 w1 p0 w2 p1 r1")), ["own", "linearizable"])
    finally:
        CHECKERS.pop("own", None)
    assert results["own"].verdict is Verdict.UNKNOWN and "SystemExit" in results["own"].reason
    assert results["linearizable"].verdict is Verdict.INVALID
