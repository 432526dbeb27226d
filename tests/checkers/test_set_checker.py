"""What became of every element: stories."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tribulation.checkers import CheckResult, RunRecord, Verdict, checker
from tribulation.checkers.base.result import Budget
from tribulation.histories import History, parse
from tribulation.histories.files.codec import event_from_json


def judge(text: str, **more: object) -> CheckResult:
    return checker("set").check(RunRecord(history=parse(text), **more), Budget())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "kind", "ops", "count"),
    [
        ("p0 a1 p0 a2 p1 s2", "lost-write", (0, 4), {"lost": 1}),
        ("p0 a1 p1 s1 p0 a2 p0 a3 p1 s1 p1 s1", "lost-write", (4, 10), {"lost": 2}),
        ("p0 a1? p1 s1 p2 s", "lost-write", (0, 2, 4), {"lost": 1, "recovered": 1}),
        ("p0 a1 p1 s1,1", "duplicated", (0, 2), {"duplicated": 1}),
        ("p0 a1 p1 s1,7", "thin-air", (2,), {"phantom": 1}),
        ("p0 a1 p0 a2! p1 s1,2", "aborted-read", (2, 4), {"phantom": 1}),
        ("p0 a1 p1 s p1 s1", "stale-read", (0, 2), {"stale": 1, "lost": 0}),
        ("p0 a1 | p1 a2 p2 s1 | p3 s2", "lost-write", None, {}),
        ("p1 s1 p0 a1", "future-read", (0, 2), {}),
    ],
)
def test_violations(text, kind, ops, count):
    result = judge(text)
    assert result.verdict is Verdict.INVALID
    (anomaly,) = result.anomalies
    assert anomaly.kind == kind
    assert ops is None or anomaly.ops == ops
    assert anomaly.explanation.endswith(".")
    assert {name: result.stats[name] for name in count} == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("p0 a1 p1 s1", {"attempted": 1, "acknowledged": 1, "reads": 1}),
        ("p0[a1 p1 s p0] p1 s1", {"stale": 0}),
        ("p0 a1 p0 a2? p1 s1", {"recovered": 0}),
        ("p0 a1 p0 a2? p1 s1 p1 s1,2", {"recovered": 1}),
        ("p0 a1 p1 s1 p0 a2", {"never_read": 1}),
        ("p0 a1 p1 s@stale p1 s1", {"lost": 0}),  # a marked stale read may miss it
        ("p0 a1 p0 a1 p1 s1,1", {"duplicated": 0}),  # clients added it twice
        ("p0 x:a1 p0 y:a2 p1 x:s1 p1 y:s2", {"sets": 2}),
    ],
)
def test_sets_in_order(text, count):
    result = judge(text)
    assert (result.verdict, result.anomalies) == (Verdict.VALID, ())
    assert {name: result.stats[name] for name in count} == count


def test_a_stale_read_after_the_quiet_period_is_evidence_of_loss():
    """Replicas had time; any that is asked must have it."""
    text = "p0 a1 p1 s1 p1 s@stale"
    assert judge(text).verdict is Verdict.VALID
    result = judge(text, phases={"quiet_end": 4_000_000})
    assert [anomaly.kind for anomaly in result.anomalies] == ["lost-write"]


def test_staleness_is_measured():
    assert judge("p0 a1 p1 s p1 s p1 s1").stats["stale_ms_max"] == 3.0


@pytest.mark.parametrize("text", ["p0 a1 p0 a2", "p0 a1! p1 s", "p0 a1? p1 s"])
def test_nothing_to_compare_is_unknown(text):
    result = judge(text)
    assert result.verdict is Verdict.UNKNOWN
    assert result.reason is not None and "nothing to compare" in result.reason


def test_one_anomaly_reports_many_lost_elements():
    adds = " ".join(f"p0 k:a{number}" for number in range(1, 51))
    result = judge(f"{adds} p1 k:s1,2")
    (anomaly,) = result.anomalies
    assert anomaly.details["count"] == 48
    assert len(anomaly.details["elements"]) == 20
    assert anomaly.explanation == (
        "On key k, 3 was acknowledged and is missing later: add of 3 by process 0 (index 4 to 5, 0.004 s to 0.005 s); no read shows it; "
        "read of [1, 2] by process 1 (index 100 to 101, 0.100 s to 0.101 s) lacks it. The same holds for 48 elements of this set."
    )


def test_what_one_of_two_primaries_still_has_is_not_said_to_be_gone():
    """A read at n1 shows it, and a later one at n2 does not."""
    (anomaly,) = judge("p0 k:a1 p0 k:a2 p1 k:s1,2 p2 k:s2").anomalies
    assert anomaly.kind == "lost-write" and len(anomaly.ops) == 3
    assert anomaly.explanation == (
        "On key k, 1 was acknowledged and is missing later: add of 1 by process 0 (index 0 to 1, 0.000 s to 0.001 s); the last read that shows it is "
        "read of [1, 2] by process 1 (index 4 to 5, 0.004 s to 0.005 s); read of [2] by process 2 (index 6 to 7, 0.006 s to 0.007 s) lacks it."
    )


def test_it_applies_to_histories_with_adds_only():
    assert checker("set").applies(RunRecord(history=parse("p0 a1")))
    assert not checker("set").applies(RunRecord(history=parse("p0 w1")))


def event(index, kind, f, key, value):
    return {"index": index, "time": index, "process": 0, "type": kind, "f": f, "key": key, "value": value}


@pytest.mark.parametrize(("key", "applies"), [("register-0", True), ("set-0", False)])
def test_a_read_of_a_number_makes_a_counter_only_of_its_own_key(key, applies):
    """A campaign's history holds registers with its sets."""
    lines = [event(0, "invoke", "add", "set-0", 1), event(1, "ok", "add", "set-0", 1)]
    lines += [event(2, "invoke", "read", key, None), event(3, "ok", "read", key, 7)]
    record = RunRecord(history=History([event_from_json(line) for line in lines]))
    assert checker("set").applies(record) is applies


def test_sets_of_two_workloads_with_one_key_are_apart():
    events = [replace(event, workload="a") for event in parse("p0 a1 p1 s1")]
    events += [replace(event, index=event.index + 4, workload="b") for event in parse("p2 a2 p3 s2")]
    result = checker("set").check(RunRecord(history=History(events)), Budget())
    assert (result.verdict, result.stats["sets"]) == (Verdict.VALID, 2)
