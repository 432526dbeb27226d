"""Histories in which thousands of objects are wrong: all are counted, few are kept, and no step looks at all operations for each of them."""

from __future__ import annotations

import json

import pytest

from tribulation.checkers import Budget, Verdict, check
from tribulation.checkers.base.findings import KEEP_OBJECTS

Rows = list[dict[str, object]]
OBJECTS = KEEP_OBJECTS + 200
TABLES = {
    "stale": [("write", 1, 1), ("write", 2, 2), ("read", None, 1)],
    "thin-air": [("write", 1, 1), ("read", None, 3)],
    "future": [("cas", [None, 1], [None, 1]), ("cas", [None, 2], [None, 2])],
    "set": [("add", 1, 1), ("read", None, [])],
    "counter": [("add", 1, 1), ("read", None, 0)],
}


def history(story: list[tuple[str, object, object]], objects: int) -> Rows:
    rows: Rows = []
    for key in range(objects):
        for f, argument, result in story:
            for kind, value in (("invoke", argument), ("ok", result)):
                rows.append({"process": 0, "type": kind, "f": f, "key": f"k{key}", "value": value})
    return rows


@pytest.mark.parametrize(
    ("story", "checker"),
    [(story, "linearizable") for story in TABLES] + [("set", "set"), ("counter", "counter")],
)
def test_all_wrong_objects_are_counted_and_few_are_kept(story: str, checker: str) -> None:
    """200 000 wrong registers took minutes, and each anomaly a kilobyte of the verdict."""
    result = check(history(TABLES[story], OBJECTS), [checker], Budget(600))[checker]
    assert result.verdict is Verdict.INVALID
    assert len(result.anomalies) == KEEP_OBJECTS
    assert (result.reason or "").startswith(
        f"{OBJECTS} of {OBJECTS} keys are invalid; {KEEP_OBJECTS} of them are shown"
    )
    assert len(json.dumps(dict(result.stats))) < 100_000


def test_an_object_that_is_wrong_is_never_lost_among_many_that_are_right() -> None:
    rows = history(TABLES["stale"][:2], OBJECTS)
    rows += [
        {"process": 0, "type": kind, "f": "read", "key": f"k{OBJECTS - 1}", "value": value}
        for kind, value in (("invoke", None), ("ok", 1))
    ]
    result = check(rows, ["linearizable"], Budget(600))["linearizable"]
    assert [anomaly.details["key"] for anomaly in result.anomalies] == [f"k{OBJECTS - 1}"]
    assert result.reason is None and result.stats["verdicts"][f"k{OBJECTS - 1}"] == "invalid"


def test_after_the_time_budget_the_rest_of_a_broken_history_is_not_judged() -> None:
    result = check(history(TABLES["set"], 40), ["linearizable"], Budget(time_s=0.0))["linearizable"]
    assert result.verdict is Verdict.INVALID and len(result.anomalies) < 40
    assert "the time budget is exhausted" in (result.reason or "")
