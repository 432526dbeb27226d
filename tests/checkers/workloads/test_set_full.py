"""The life of every element of a set: stories, and the definition tried on random histories."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from tribulation.checkers import Budget, CheckResult, RunRecord, Verdict, checker
from tribulation.histories import Event, History, Type, parse

from ..random_histories import history, unique_set
from .stories import Story, kinds, only, unknown, valid


def judge(text: str, **more: object) -> CheckResult:
    return checker("set-full").check(RunRecord(history=parse(text), **more), Budget())  # type: ignore[arg-type]


def test_a_lost_element_is_reported_with_its_add_and_the_last_read_without_it():
    result = judge("p0 k:a1 p0 k:a2 p1 k:s1,2 p1 k:s2 p1 k:s2")
    anomaly = only(result, "lost-write", (0, 4, 8))
    assert anomaly.details == {"key": "k", "count": 1, "elements": [1], "missing_ms": 7.0}
    assert anomaly.explanation == (
        "On key k, 1 was acknowledged by add of 1 by process 0 (index 0 to 1, 0.000 s to 0.001 s) and is missing later: the last read that shows it is read of [1, 2] by process 1 (index 4 to 5, 0.004 s to 0.005 s); read of [2] by process 1 "
        "(index 8 to 9, 0.008 s to 0.009 s) lacks it 7 ms later."
    )
    assert result.stats["lost"] == 1 and result.stats["stable"] == 1
    assert result.stats["lost_after_ms"] == {q: 4.0 for q in ("0", "0.5", "0.95", "0.99", "1")}


@pytest.mark.parametrize(
    ("text", "kind", "ops"),
    [
        ("p0 a1 p1 s", "lost-write", (0, 2)),
        ("p0 a1? p1 s1 p2 s", "lost-write", (2, 4)),  # read once, so it was there
        ("p0 a1? p3 a2 p1 s1,2 p2 s2", "lost-write", (4, 6)),
        ("p0 a1 p1 s1,1", "duplicated", (0, 2)),
        ("p0 a1 p1 s1,7", "thin-air", (2,)),
        ("p0 a1 p0 a2! p1 s1,2", "aborted-read", (2, 4)),
        ("p0 a1 p1 s@linearizable p1 s1", "stale-read", (0, 2)),
    ],
)
def test_violations(text, kind, ops):
    only(judge(text), kind, ops)


@pytest.mark.parametrize(
    ("text", "stats"),
    [
        ("p0 a1 p1 s1", {"stable": 1, "lost": 0, "stale": 0, "never_read": 0, "acknowledged": 1, "reads": 1}),
        ("p0 a1 p1 s p1 s1", {"stable": 0, "stale": 1}),  # stale, where staleness is allowed
        ("p0[a1 p1 s p0] p1 s1", {"stable": 1, "stale": 0}),  # concurrent: the read owes nothing
        ("p0 a1 p0[s p1 s p0]1", {"stable": 0, "stale": 1}),  # the read that has it may be the later one
        ("p0 a1 p1 s1 p0 a2", {"stable": 1, "never_read": 1}),
        ("p0 a1 p1 s@stale p1 s1", {"stable": 1, "stale": 0}),  # a marked stale read is no evidence
        ("p0 a1? p1 s1", {"recovered": 1, "stable": 1}),
        ("p0 a1 p0 a2? p1 s1", {"recovered": 0, "stable": 1, "attempted": 2}),
        ("p0 a1 p0 a1 p1 s1,1", {"duplicated": 0}),  # clients added it twice
        ("p0 x:a1 p0 y:a2 p1 x:s1 p1 y:s2", {"stable": 2, "lost": 0}),  # two sets
    ],
)
def test_near_misses(text, stats):
    found = valid(judge(text))
    assert {name: found[name] for name in stats} == stats


def test_staleness_is_a_violation_where_it_is_forbidden():
    anomaly = only(
        judge("p0 a1 p0 a2 p1 s1 p1 s1,2", options={"set-full": {"linearizable": True}}), "stale-read", (2, 4)
    )
    assert anomaly.details["staleness_ms"] == 1.0
    assert "which began 1 ms later, lacks it" in anomaly.explanation


def test_times_to_stability_have_quantiles_and_the_worst_are_named():
    """1 was last missing 3 ms after its add had returned, 2 was there at once."""
    stats = valid(judge("p0 k:a1 p1 k:s p1 k:s p0 k:a2 p1 k:s1,2"))
    assert stats["stable_after_ms"] == {"0": 0.0, "0.5": 3.0, "0.95": 3.0, "0.99": 3.0, "1": 3.0}
    assert stats["worst_stale"] == [{"element": 1, "key": "k", "stale_ms": 3.0}]


def test_after_the_quiet_period_a_stale_read_is_evidence():
    text = "p0 a1 p1 s1 p1 s@stale"
    assert valid(judge(text))["lost"] == 0
    assert kinds(judge(text, phases={"quiet_end": 4_000_000})) == ["lost-write"]
    assert valid(judge(text, phases={"quiet_end": 4_000_001}))["lost"] == 0


def test_many_lost_elements_are_one_anomaly():
    adds = " ".join(f"p0 k:a{number}" for number in range(1, 51))
    anomaly = only(judge(f"{adds} p1 k:s1,2"), "lost-write", (4, 100))
    assert anomaly.details["count"] == 48 and len(anomaly.details["elements"]) == 20
    assert anomaly.explanation.endswith("48 elements of this set are affected in the same way.")


@pytest.mark.parametrize("text", ["p0 a1? p1 s", "p0 a1! p1 s"])
def test_nothing_to_report_is_unknown(text):
    unknown(judge(text), "was present in, or missing from")


def test_it_applies_to_grow_only_sets_read_as_a_whole_and_leaves_auto_to_set():
    found = checker("set-full")
    assert not found.applies(RunRecord(history=parse("p0 w1 p0 r1")))
    assert not found.applies(RunRecord(history=parse("p0 a1")))
    assert not found.in_auto(RunRecord(history=parse("p0 a1 p1 s1")))
    removing = Story().ok(0, "add", 1).ok(0, "remove", 1).ok(0, "read", None, [])
    unknown(removing.judge("set-full"), "does not apply")
    lists = Story().ok(0, "add", [1]).ok(0, "read", None, [[1]])
    unknown(lists.judge("set-full"), "lists")


def test_sets_of_two_workloads_are_two():
    events = [replace(event, workload="a") for event in parse("p0 a1 p1 s1")]
    events += [replace(event, index=event.index + 4, workload="b") for event in parse("p2 a2 p3 s2")]
    result = checker("set-full").check(RunRecord(history=History(events)), Budget())
    assert valid(result)["stable"] == 2


def _by_definition(ops):
    """Per element what became of it, by the words of the docstring."""
    adds, reads = {}, []
    for op in ops:
        if op.f == "add" and op.type is not Type.FAIL:
            adds.setdefault(op.argument, op)
        elif op.f == "read" and op.type is Type.OK:
            reads.append(op)
    fates = {}
    for element in {*adds, *(item for read in reads for item in read.result)}:
        having = [read for read in reads if element in read.result]
        ends = [read.complete_index for read in having]
        if element in adds and adds[element].complete_index is not None:
            ends.append(adds[element].complete_index)
        if not ends:
            continue
        missing = [read for read in reads if element not in read.result and read.invoke_index > min(ends)]
        if not missing:
            fates[element] = "stable" if having else "never_read"
        else:
            last = max(read.invoke_index for read in missing)
            fates[element] = "lost" if all(read.complete_index < last for read in having) else "stale"
    return fates


def test_fates_are_those_of_the_definition():
    random = Random(20261124)
    for _ in range(1500):
        some = history(random, random.randrange(4, 14), random.randrange(1, 5), unique_set)
        if not any(op.f == "add" for op in some.operations()):
            continue
        result = checker("set-full").check(RunRecord(history=some), Budget())
        fates = list(_by_definition(some.operations()).values())
        facts = {fate: result.stats[fate] for fate in ("stable", "stale", "lost", "never_read")}
        assert facts == {fate: fates.count(fate) for fate in facts}, [*some.events]
        assert (result.verdict is Verdict.INVALID) == bool(
            {"lost-write", "thin-air", "aborted-read"} & set(kinds(result))
        )
        assert ("lost-write" in kinds(result)) == ("lost" in fates)


def test_a_large_history_is_reported_with_operations_made_from_columns():
    """120 000 operations on sets of a thousand; one add is lost for good. A read has the last four added."""
    events: list[Event] = []
    for number in range(60_000):
        key = number // 1000
        read = (
            [item for item in range(max(key * 1000, number - 3), number + 1) if item != 59_500]
            if number % 1000 > 995
            else []
        )
        read = read if number % 1000 < 999 else [item for item in range(key * 1000, number + 1) if item != 59_500]
        steps = (
            ("add", Type.INVOKE, number),
            ("add", Type.OK, number),
            ("read", Type.INVOKE, None),
            ("read", Type.OK, read),
        )
        for f, kind, value in steps:
            events.append(Event(len(events), len(events), 0, kind, f, value, key=key))
    result = checker("set-full").check(RunRecord(history=History(events)), Budget())
    anomaly = only(result, "lost-write", (59_500 * 4, 59_999 * 4 + 2))
    assert "add of 59500 by process 0" in anomaly.explanation and anomaly.details["count"] == 1


def test_counts_of_what_should_not_be_there():
    stats = judge("p0 a1 p0 a2! p1 s1,2,7,7 p1 s1,2").stats
    assert (stats["unexpected"], stats["duplicated"], stats["attempted"], stats["acknowledged"]) == (2, 1, 2, 1)


def test_the_eight_stalest_are_named_the_stalest_first():
    adds = " ".join(f"p0 a{number}" for number in range(1, 11))
    worst = valid(judge(f"{adds} p1 s p1 s1,2,3,4,5,6,7,8,9,10"))["worst_stale"]
    assert [found["element"] for found in worst] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [found["stale_ms"] for found in worst] == [19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0]
