"""Last writer wins: which losses are allowed, as stories."""

from __future__ import annotations

from random import Random

from .stories import MS, Story, kinds, only, unknown, valid


def ended(story, **options):
    """The verdict, with everything from now on after the quiet period and one read of each key given."""
    quiet = {"quiet_end": len(story.events) * MS}
    for key, value in options.items():
        story.ok(90, "read", None, value, key=key)
    return story.judge("lww", phases=quiet)


def write(story, process, value, ts, key="k"):
    return story.ok(process, "write", value, key=key, ts=ts)


def test_a_later_write_lost_to_a_clock_that_runs_behind():
    result = ended(write(write(Story(), 0, 1, 9), 1, 2, 5), k=1)
    anomaly = only(result, "skewed-lost-update", (0, 2))
    assert anomaly.explanation == (
        "On key k, write of 2 by process 1 (index 2 to 3, 0.002 s to 0.003 s) began 1 ms after write of 1 by process 0 (index 0 to 1, 0.000 s to 0.001 s) had returned "
        "and got the timestamp 5, which is not above 9: the later write is lost to the earlier one."
    )
    assert result.stats["skewed"] == 1 and anomaly.details["ts"] == [9, 5]
    assert kinds(ended(write(write(Story(), 0, 1, 9), 1, 2, 9), k=1)) == ["skewed-lost-update", "equal-timestamps"]


def test_concurrent_writes_may_be_lost():
    story = Story().begin(0, "write", 1, "k").begin(1, "write", 2, "k").end(0, ts=9).end(1, ts=5)
    stats = valid(ended(story, k=1))
    assert stats == {"registers": 1, "changes": 2, "concurrent_overwrites": 1, "skewed": 0, "final_reads": 1}


def test_an_overwrite_in_order_is_no_loss():
    stats = valid(ended(write(write(write(Story(), 0, 1, [1, 0, "a"]), 1, 2, [1, 1, "a"]), 0, 3, [2, 0, "a"]), k=3))
    assert stats["concurrent_overwrites"] == 0


def test_the_wrong_survivor():
    result = ended(write(write(Story(), 0, 1, 5), 1, 2, 9), k=1)
    anomaly = only(result, "not-the-last-write", (0, 2, 4))
    assert "shows 1 with the timestamp 5, but write of 2 by process 1" in anomaly.explanation
    assert anomaly.explanation.endswith("has the largest timestamp, 9.")
    assert anomaly.details["after_ms"] == 1.0
    only(ended(write(Story(), 0, 1, 5), k=None), "not-the-last-write", (0, 2))
    only(ended(write(Story(), 0, 1, 5), k=7), "thin-air", (0, 2))


def test_a_deleted_value_comes_back():
    story = write(Story(), 0, 1, 5).ok(1, "delete", None, key="k", ts=9)
    valid(ended(story, k=None))
    story = write(Story(), 0, 1, 5).ok(1, "delete", None, key="k", ts=9)
    only(ended(story, k=1), "resurrection", (0, 2, 4))


def test_what_nobody_knows_may_have_won():
    valid(ended(write(Story(), 0, 1, 5).info(1, "write", 2, key="k"), k=2))
    valid(ended(write(Story(), 0, 1, 5).ok(1, "write", 2, key="k"), k=2))
    assert kinds(ended(write(Story(), 0, 1, 5).fail(1, "write", 2, key="k"), k=2)) == ["thin-air"]
    late = write(Story(), 0, 1, 5).begin(1, "write", 2, "k")
    quiet = {"quiet_end": len(late.events) * MS}
    valid(late.ok(9, "read", None, 1, key="k").end(1, ts=9).judge("lww", phases=quiet))


def test_equal_timestamps():
    story = Story().begin(0, "write", 1, "k").begin(1, "write", 2, "k").end(0, ts=5).end(1, ts=5)
    only(ended(story, k=1), "equal-timestamps", (0, 1))
    same = Story().begin(0, "write", 1, "k").begin(1, "write", 1, "k").end(0, ts=5).end(1, ts=5)
    valid(ended(same, k=1))


def test_registers_are_apart_and_reads_before_the_end_say_nothing():
    story = write(write(Story(), 0, 1, 9, "a"), 0, 2, 5, "b").ok(1, "read", None, 77, key="a")
    assert valid(ended(story, a=1, b=2))["registers"] == 2


def test_nothing_to_compare():
    unknown(write(Story(), 0, 1, 5).judge("lww"), "no read after the quiet period")
    unknown(ended(write(Story(), 0, 1, 5)), "no read after the quiet period")
    unknown(Story().ok(0, "write", 1).judge("lww"), "does not apply")
    unknown(Story().begin(0, "write", 1).ok(1, "write", 2, ts="9").judge("lww"), "does not apply")


def test_skew_is_found_where_the_definition_says():
    random = Random(5)
    for _ in range(200):
        story, open_, stamps = Story(), {}, {}
        for number in range(1, 8):
            process = random.randrange(3)
            if process in open_:
                story.end(process, ts=stamps[open_.pop(process)])
            stamps[number] = random.randrange(100) * 10 + number
            open_[process] = number
            story.begin(process, "write", number, "k")
        for process, number in open_.items():
            story.end(process, ts=stamps[number])
        begins = {event.value: index for index, event in enumerate(story.events) if event.type.value == "invoke"}
        ends = {event.value: index for index, event in enumerate(story.events) if event.type.value == "ok"}
        best = max(stamps, key=stamps.__getitem__)
        skewed = {b for a in stamps for b in stamps if ends[a] < begins[b] and stamps[a] > stamps[b]}
        concurrent = {n for n in stamps if n not in skewed and n != best and not ends[n] < begins[best]}
        result = ended(story, k=best)
        assert result.stats["skewed"] == len(skewed)
        assert result.stats["concurrent_overwrites"] == len(concurrent)


def test_a_register_without_timestamps_beside_one_with_them():
    story = write(Story(), 0, 1, 5, "a").ok(0, "write", 2, key="b")
    assert valid(ended(story, a=1, b=99))["registers"] == 1
