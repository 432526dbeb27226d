"""Counters: stories, and the bounds against all orders on random histories."""

from __future__ import annotations

from itertools import combinations
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tribulation.checkers import Budget, RunRecord, Verdict, checker
from tribulation.histories import Event, History, Type

from ..random_histories import history
from .stories import Story, kinds, only, unknown, valid


def test_a_read_below_what_was_acknowledged():
    story = Story().ok(0, "add", 1).ok(0, "add", 1).ok(1, "read", None, 1)
    anomaly = only(story.judge("counter-bounds"), "counter-too-low", (2, 4))
    assert anomaly.explanation == (
        "The counter was between 2 and 2 in every possible order, but read of 1 by process 1 (index 4 to 5, 0.004 s to 0.005 s) is off by 1; the last of 2 "
        "acknowledged before it began is add of 1 by process 0 (index 2 to 3, 0.002 s to 0.003 s), 1 ms earlier."
    )
    assert anomaly.details == {"key": None, "value": 1, "lowest": 2, "highest": 2, "off_by": 1}


def test_a_read_above_what_was_tried():
    story = Story().ok(0, "add", 1).info(2, "add", 5).fail(3, "add", 100).ok(1, "read", None, 7, key=None)
    anomaly = only(story.judge("counter-bounds"), "counter-too-high", (6,))
    assert (anomaly.details["lowest"], anomaly.details["highest"], anomaly.details["off_by"]) == (1, 6, 1)
    assert anomaly.explanation.endswith("is off by 1.")


def test_near_misses():
    """An add of unknown outcome, one that overlaps, one that began after the read: each counts just where it may."""
    story = Story().ok(0, "add", 1).info(2, "add", 5).ok(1, "read", None, 6).ok(1, "read", None, 6)
    stats = valid(story.judge("counter-bounds"))
    assert stats == {"counters": 1, "adds": 2, "acknowledged": 1, "reads": 2}
    valid(Story().begin(0, "add", 3).ok(1, "read", None, 0).ok(1, "read", None, 3).end(0).judge("counter-bounds"))
    valid(Story().begin(1, "read").ok(0, "add", 3).end(1, 0).judge("counter-bounds"))
    valid(Story().begin(1, "read").ok(0, "add", 3).end(1, 3).judge("counter-bounds"))
    only(Story().ok(1, "read", None, 3).ok(0, "add", 3).judge("counter-bounds"), "counter-too-high", (0,))


def test_decrements_lower_the_lowest_as_soon_as_they_begin_and_the_highest_once_acknowledged():
    story = Story().ok(0, "increment", 5).begin(2, "decrement", 2).ok(1, "read", None, 3).ok(1, "read", None, 5).end(2)
    valid(story.judge("counter-bounds"))
    assert (
        only(story.ok(1, "read", None, 5).judge("counter-bounds"), "counter-too-high", (2, 8)).details["highest"] == 3
    )
    assert kinds(Story().ok(0, "inc").ok(0, "dec").ok(1, "read", None, 1).judge("counter-bounds")) == [
        "counter-too-high"
    ]
    assert kinds(Story().ok(0, "add", -2).ok(1, "read", None, -3).judge("counter-bounds")) == ["counter-too-low"]
    valid(Story().ok(0, "add", -2).ok(1, "read", None, -2).judge("counter-bounds"))
    valid(Story().ok(0, "inc").ok(0, "increment", 2).ok(0, "dec").ok(1, "read", None, 2).judge("counter-bounds"))


def test_a_counter_that_only_grows_does_not_fall():
    """Both reads are within their bounds, for the add is under way."""
    story = Story().begin(0, "add", 5).ok(1, "read", None, 5, key=None).ok(2, "read", None, 0).end(0)
    anomaly = only(story.judge("counter-bounds"), "counter-fell", (1, 3))
    assert anomaly.explanation.startswith("A counter that only grows fell: read of 5 by process 1")
    assert "then, 1 ms later, read of 0 by process 2" in anomaly.explanation
    valid(Story().begin(0, "add", 5).begin(1, "read").ok(2, "read", None, 5).end(1, 0).end(0).judge("counter-bounds"))
    falling = Story().begin(0, "add", 5).begin(3, "add", -5).ok(1, "read", None, 5).ok(2, "read", None, 0).end(0).end(3)
    valid(falling.judge("counter-bounds"))


def test_a_stale_read_owes_nothing_until_the_quiet_period_is_over():
    story = Story().ok(0, "add", 1).ok(1, "read", None, 0, level="stale")
    valid(story.judge("counter-bounds"))
    assert kinds(story.judge("counter-bounds", phases={"quiet_end": 2_000_000})) == ["counter-too-low"]
    assert kinds(Story().ok(0, "add", 1).ok(1, "read", None, 2, level="stale").judge("counter-bounds")) == [
        "counter-too-high"
    ]
    falling = Story().begin(0, "add", 5).ok(1, "read", None, 5).ok(2, "read", None, 0, level="stale").end(0)
    valid(falling.judge("counter-bounds"))


def test_counters_are_apart_by_key_and_begin_where_they_are_reported_to():
    story = (
        Story()
        .ok(0, "add", 1, key="a")
        .ok(0, "add", 2, key="b")
        .ok(1, "read", None, 1, key="a")
        .ok(1, "read", None, 2, key="b")
    )
    assert valid(story.judge("counter-bounds"))["counters"] == 2
    assert kinds(story.ok(1, "read", None, 1, key="b").judge("counter-bounds")) == ["counter-too-low"]
    started = Story().ok(0, "add", 1).ok(1, "read", None, 11)
    assert kinds(started.judge("counter-bounds")) == ["counter-too-high"]
    valid(started.judge("counter-bounds", options={"counter-bounds": {"initial": 10}}))


def test_few_of_each_kind_are_kept_and_all_are_counted():
    story = Story().ok(0, "add", 1)
    for _ in range(8):
        story.ok(1, "read", None, 0)
    result = story.judge("counter-bounds")
    assert len(result.anomalies) == 5 and result.stats["anomalies"] == {"counter-too-low": 8}


def test_nothing_to_compare():
    unknown(Story().fail(0, "add", 1).ok(1, "read", None, 0).judge("counter-bounds"), "0 adds were tried and 1 reads")
    unknown(Story().ok(0, "add", 1).ok(1, "read", None, [1]).judge("counter-bounds"), "does not apply")
    unknown(Story().ok(0, "add", 1).judge("counter-bounds"), "does not apply")
    unknown(Story().ok(0, "write", 1).ok(1, "read", None, 1).judge("counter-bounds"), "does not apply")
    unknown(
        Story().ok(0, "add", "x").ok(0, "add", 1).ok(1, "read", None, 1).judge("counter-bounds"),
        "1 adds or reads have no number",
    )
    unknown(Story().ok(0, "add", 1).ok(1, "read", None, True).judge("counter-bounds"), "does not apply")


def _fill(random, number):
    kind = Type.INFO if random.random() < 0.2 else Type.FAIL if random.random() < 0.1 else Type.OK
    if random.random() < 0.5:
        return "read", None, random.randrange(-3, 6), kind, None
    delta = random.choice([1, 1, 2, -1])
    return "add", delta, delta, kind, None


def _possible(ops, read):
    """Every value that one read may return: any set of adds that holds those before it and none of those after it."""
    adds = [op for op in ops if op.f == "add" and op.type is not Type.FAIL and op.invoke_index < read.complete_index]
    sure = [op for op in adds if op.complete_index is not None and op.complete_index < read.invoke_index]
    free = [op.argument for op in adds if op not in sure]
    base = sum(op.argument for op in sure)
    return {base + sum(some) for size in range(len(free) + 1) for some in combinations(free, size)}


def test_bounds_are_the_least_and_the_most_that_a_read_may_return():
    random = Random(20261124)
    invalid = 0
    for _ in range(1500):
        some = history(random, random.randrange(3, 10), random.randrange(1, 4), _fill)
        record = RunRecord(history=some)
        if not checker("counter-bounds").applies(record):
            continue
        ops = some.operations()
        reads = [op for op in ops if op.f == "read" and op.type is Type.OK]
        result = checker("counter-bounds").check(record, Budget())
        low = sum(op.result < min(_possible(ops, op)) for op in reads)
        high = sum(op.result > max(_possible(ops, op)) for op in reads)
        counts = result.stats.get("anomalies", {})
        assert (counts.get("counter-too-low", 0), counts.get("counter-too-high", 0)) == (low, high)
        invalid += bool(low or high)
    assert invalid > 100


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=1, max_size=12))
def test_what_a_counter_did_is_never_found_wrong(steps):
    """One client after the other: each read is what the counter holds."""
    total, events = 0, []
    for is_add, delta in [*steps, (False, 0)]:
        total += delta if is_add else 0
        f, asked, reported = ("add", delta, delta) if is_add else ("read", None, total)
        for kind, value in ((Type.INVOKE, asked), (Type.OK, reported)):
            events.append(Event(len(events), len(events), 0, kind, f, value))
    record = RunRecord(history=History(events))
    if checker("counter-bounds").applies(record):
        assert checker("counter-bounds").check(record, Budget()).verdict is not Verdict.INVALID


def test_a_fall_is_shown_from_the_highest_read_before():
    story = (
        Story()
        .begin(0, "add", 5)
        .begin(3, "add", 3)
        .ok(1, "read", None, 3)
        .ok(1, "read", None, 8)
        .ok(2, "read", None, 5)
        .end(0)
        .end(3)
    )
    only(story.judge("counter-bounds"), "counter-fell", (4, 6))


def test_registers_beside_a_set_are_no_counters():
    """The set's only add is refused and its only read comes last; the registers' reads are numbers, which nothing was added to."""
    lines = [
        ("write", 7, 7, "register", Type.OK),
        ("read", None, 7, "register", Type.OK),
        ("add", 1, 1, "set", Type.FAIL),
    ]
    events = []
    for f, argument, result, workload, kind in [*lines, ("read", None, [], "set", Type.OK)]:
        for step, value in ((Type.INVOKE, argument), (kind, result)):
            number = len(events)
            events.append(Event(number, number, 0, step, f, value, key=f"{workload}-0", workload=workload))
    registers = RunRecord(history=History(events))
    assert not checker("counter-bounds").applies(registers)
    reads = [*events[:6], Event(6, 6, 0, Type.INVOKE, "read", key="set-0", workload="set")]
    counted = RunRecord(history=History([*reads, Event(7, 7, 0, Type.OK, "read", 0, key="set-0", workload="set")]))
    assert checker("counter-bounds").check(counted, Budget()).verdict is Verdict.UNKNOWN
