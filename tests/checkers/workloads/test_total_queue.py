"""Queues as bags: stories, and counting by hand on random histories."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tribulation.checkers import Verdict
from tribulation.checkers.base.selection import of, parts
from tribulation.checkers.workloads.queues.queue_columns import flow
from tribulation.histories import History, Type

from .stories import Story, kinds, only, unknown, valid


def test_a_lost_element_needs_a_queue_that_was_seen_empty():
    story = Story().ok(0, "enqueue", 1).ok(0, "enqueue", 2).ok(1, "dequeue", None, 1)
    unknown(story.judge("total-queue"), "1 elements did not come out, and the queue was never seen to be empty")
    anomaly = only(story.ok(2, "drain", None, []).judge("total-queue"), "lost-write", (2, 6))
    assert anomaly.explanation == (
        "2 went in by enqueue of 2 by process 0 (index 2 to 3, 0.002 s to 0.003 s) and never came out, although drain by process 2 (index 6 to 7, "
        "0.006 s to 0.007 s) left the queue empty."
    )
    assert anomaly.details == {"key": None, "count": 1, "elements": [2]}


def test_many_lost_ones_are_one_anomaly():
    story = Story().ok(0, "enqueue", 1, key="q").ok(0, "enqueue", 2, key="q").ok(0, "enqueue", 3, key="q")
    story.ok(1, "dequeue", None, 3, key="q").ok(1, "dequeue", None, None, key="q")
    result = story.judge("total-queue")
    assert only(result, "lost-write", (0, 8)).details["elements"] == [1, 2]
    assert result.anomalies[0].explanation.startswith("On key q, 1 went in by")
    assert result.anomalies[0].explanation.endswith("; 2 elements are lost.")
    assert (result.stats["lost"], result.stats["undelivered"]) == (2, 2)


def test_an_empty_answer_that_overlaps_the_enqueue_proves_nothing():
    story = Story().begin(1, "dequeue").ok(0, "enqueue", 1).end(1, None).ok(0, "enqueue", 2).ok(1, "dequeue", None, 2)
    unknown(story.judge("total-queue"), "never seen to be empty")


def test_a_refusal_for_emptiness_is_an_empty_answer_and_others_are_not():
    story = Story().ok(0, "enqueue", 1).ok(0, "enqueue", 2).ok(1, "dequeue", None, 2)
    unknown(story.fail(1, "dequeue", error="no-quorum").judge("total-queue"), "never seen")
    only(story.fail(1, "dequeue", error="empty").judge("total-queue"), "lost-write", (0, 8))


def test_dequeues_of_unknown_outcome_may_have_taken_as_many():
    story = Story().ok(0, "enqueue", 1).ok(0, "enqueue", 2).ok(0, "enqueue", 3).ok(1, "dequeue", None, 1)
    story.info(2, "dequeue").ok(1, "drain", None, [])
    anomaly = only(story.judge("total-queue"), "lost-write", (2, 10))
    assert "at most 1 of 2 missing elements can have gone with dequeues of unknown outcome" in anomaly.explanation
    story = (
        Story()
        .ok(0, "enqueue", 1)
        .ok(0, "enqueue", 2)
        .ok(1, "dequeue", None, 1)
        .info(2, "dequeue")
        .ok(1, "drain", None, [])
    )
    unknown(story.judge("total-queue"), "1 elements did not come out, and 1 dequeues and drains of unknown outcome")


def test_a_dequeue_that_began_after_the_queue_was_empty_took_nothing_of_it():
    story = (
        Story()
        .ok(0, "enqueue", 1)
        .ok(0, "enqueue", 2)
        .ok(1, "dequeue", None, 1)
        .ok(1, "drain", None, [])
        .info(2, "dequeue")
    )
    assert kinds(story.judge("total-queue")) == ["lost-write"]


def test_a_queue_that_promises_at_least_once_may_deliver_again_and_must_not_lose_or_invent():
    again = {"options": {"total-queue": {"at_least_once": True}}}
    story = Story().ok(0, "enqueue", 1).ok(1, "dequeue", None, 1).ok(2, "dequeue", None, 1)
    only(story.judge("total-queue"), "duplicated", (0, 2, 4))
    assert valid(story.judge("total-queue", **again))["duplicated"] == 1
    story.ok(0, "enqueue", 2).ok(1, "dequeue", None, None)
    only(story.judge("total-queue", **again), "lost-write", (6, 8))
    story = Story().ok(1, "dequeue", None, 1).ok(0, "enqueue", 1).ok(2, "dequeue", None, 1)
    only(story.judge("total-queue", **again), "future-read", (0, 2))


def test_a_drain_of_unknown_outcome_may_have_taken_all():
    story = (
        Story()
        .ok(0, "enqueue", 1)
        .ok(0, "enqueue", 2)
        .ok(1, "dequeue", None, 1)
        .info(2, "drain")
        .ok(1, "drain", None, [])
    )
    unknown(story.judge("total-queue"), "may have taken them")


def test_duplicated():
    story = Story().ok(0, "enqueue", 1).ok(1, "dequeue", None, 1).ok(2, "dequeue", None, 1)
    anomaly = only(story.judge("total-queue"), "duplicated", (0, 2, 4))
    assert anomaly.explanation.startswith("1 went in once and came out twice: enqueue of 1 by process 0")
    assert story.judge("total-queue").stats["duplicated"] == 1


def test_unexpected():
    story = Story().ok(0, "enqueue", 1).ok(1, "dequeue", None, 1).fail(0, "enqueue", 2).ok(1, "drain", None, [2, 3])
    result = story.judge("total-queue")
    assert [(found.kind, found.ops) for found in result.anomalies] == [("aborted-read", (4, 6)), ("thin-air", (6,))]
    assert result.stats["unexpected"] == 2


def test_out_before_it_went_in():
    story = Story().ok(1, "dequeue", None, 1).ok(0, "enqueue", 1)
    only(story.judge("total-queue"), "future-read", (0, 2))
    valid(Story().begin(0, "enqueue", 1).ok(1, "dequeue", None, 1).end(0).judge("total-queue"))


def test_out_twice_before_it_went_in_twice():
    story = Story().ok(0, "enqueue", 1).ok(1, "dequeue", None, 1).ok(2, "dequeue", None, 1).ok(0, "enqueue", 1)
    anomaly = only(story.judge("total-queue"), "duplicated", (0, 2, 4, 6))
    assert anomaly.explanation.startswith("1 had gone in once and come out twice: enqueue of 1 by process 0")
    assert "; only then enqueue of 1 by process 0 (index 6 to 7" in anomaly.explanation
    assert valid(story.judge("total-queue", options={"total-queue": {"at_least_once": True}}))


@given(st.randoms(use_true_random=False))
def test_repeated_elements_agree_with_a_matching(random):
    """Brute force: every element that came out is matched with an enqueue of its own that had begun by then."""
    story, tried, taken = Story(), [], []
    for step in range(random.randrange(1, 9)):
        if random.random() < 0.5:
            tried.append(len(story.events))
            (story.ok if random.random() < 0.7 else story.info)(step, "enqueue", 1)
        else:
            story.ok(step, "dequeue", None, 1)
            taken.append(len(story.events) - 1)
    if not tried or not taken:
        return
    matched = any(
        all(begun < out for begun, out in zip(chosen, taken, strict=True)) for chosen in permutations(tried, len(taken))
    )
    assert (story.judge("total-queue").verdict is Verdict.INVALID) != matched


def test_near_misses():
    """Enqueued twice and dequeued twice; of unknown outcome, and recovered; of unknown outcome, and not there; a drain without an enqueue missing."""
    story = Story().ok(0, "enqueue", 1).ok(0, "enqueue", 1).ok(1, "dequeue", None, 1).ok(1, "dequeue", None, 1)
    story.info(0, "enqueue", 2).ok(1, "dequeue", None, 2).info(2, "enqueue", 3).ok(1, "drain", None, [])
    stats = valid(story.judge("total-queue"))
    assert stats["recovered"] == 1 and stats["attempted"] == 4 and stats["acknowledged"] == 2 and stats["dequeued"] == 3
    assert stats["lost"] == stats["undelivered"] == stats["duplicated"] == stats["unexpected"] == 0


def test_a_drain_of_unknown_outcome_says_what_it_took():
    story = Story().ok(0, "enqueue", 1).begin(1, "drain")
    story.end(1, [1]).ok(1, "drain", None, [])
    assert valid(story.judge("total-queue"))["dequeued"] == 1


def test_delivery_is_measured_for_what_came_out_once():
    story = Story().ok(0, "enqueue", 1).ok(0, "enqueue", 2).ok(1, "dequeue", None, 1).ok(1, "dequeue", None, 2)
    assert valid(story.judge("total-queue"))["delivery_ms"] == {q: 4.0 for q in ("0", "0.5", "0.95", "0.99", "1")}


def test_nothing_to_compare():
    unknown(
        Story().info(0, "enqueue", 1).ok(1, "dequeue", None, None).judge("total-queue"),
        "0 elements went in and 0 came out",
    )
    unknown(Story().ok(0, "enqueue", 1).judge("total-queue"), "does not apply")
    unknown(Story().ok(0, "dequeue", None, 1).judge("total-queue"), "does not apply")
    unknown(Story().ok(0, "enqueue", 1).fail(1, "dequeue").judge("total-queue"), "0 came out")


def test_counts_agree_with_counting_by_hand():
    """Sequential histories, so that what is inside at each moment is known: only as many as were put in too little or too often are reported."""
    random = Random(20261124)
    for _ in range(400):
        story, inside, missing, twice = Story(), Counter(), 0, 0
        for value in range(random.randrange(1, 12)):
            story.ok(0, "enqueue", value)
            inside[value] += 1
        for value in list(inside):
            fate = random.random()
            if fate < 0.15:
                missing += 1
                continue
            for _ in range(2 if fate < 0.3 else 1):
                story.ok(1, "dequeue", None, value)
            twice += fate < 0.3
        story.ok(2, "drain", None, [])
        result = story.judge("total-queue")
        if not result.stats["dequeued"]:
            continue
        assert (result.stats["lost"], result.stats["duplicated"]) == (missing, twice)
        assert (result.verdict is Verdict.INVALID) == bool(missing or twice)


def test_elements_that_are_lists_are_not_judged():
    unknown(
        Story().ok(0, "enqueue", [1], key="q").ok(1, "dequeue", None, [1], key="q").judge("total-queue"),
        "On key q, elements are lists",
    )


def test_a_dequeue_that_failed_took_nothing_whatever_it_says():
    story = Story().ok(0, "enqueue", 1).begin(1, "dequeue", 1)
    story.open.pop(1)
    story._event(1, Type.FAIL, "dequeue", 1, None, error="refused")
    assert valid(story.ok(1, "dequeue", None, 1).judge("total-queue"))["dequeued"] == 1


def test_the_takers_of_a_duplicate_are_shown_in_order_of_their_answers():
    story = (
        Story()
        .ok(0, "enqueue", 1)
        .begin(1, "dequeue")
        .ok(2, "dequeue", None, 1)
        .end(1, 1)
        .ok(3, "dequeue", None, 1)
        .info(4, "dequeue")
    )
    only(story.judge("total-queue"), "duplicated", (0, 2, 3))


def test_an_element_out_once_of_two_enqueues_of_which_one_is_unsure_is_not_missing():
    story = Story().ok(0, "enqueue", 1).info(5, "enqueue", 1).ok(1, "dequeue", None, 1).ok(1, "drain", None, [])
    assert valid(story.judge("total-queue"))["undelivered"] == 0


def test_two_queues_are_two():
    story = (
        Story()
        .ok(0, "enqueue", 1, key="a")
        .ok(0, "enqueue", 1, key="b")
        .ok(1, "dequeue", None, 1, key="a")
        .ok(1, "drain", None, [], key="a")
    )
    unknown(story.judge("total-queue"), "never seen to be empty")
    only(story.ok(1, "drain", None, [], key="b").judge("total-queue"), "lost-write", (2, 8))
    valid(
        Story()
        .ok(0, "enqueue", 1, key="a")
        .ok(1, "dequeue", None, 1, key="a")
        .ok(1, "dequeue", None, None, key="c")
        .judge("total-queue")
    )


def test_only_what_needs_a_look_is_looked_at():
    """Of a queue without fault no operation is made into an object, but for those of unknown outcome and those that found it empty at the end."""
    story = Story().ok(0, "enqueue", 1).ok(1, "dequeue", None, 1).info(0, "enqueue", 2).ok(1, "dequeue", None, None)
    columns = History(story.events).columns
    (part,) = parts(columns, of(columns, "enqueue", "dequeue"))
    assert (flow(columns, part).rows.tolist(), flow(columns, part).suspects.tolist()) == ([3], [])
    story.info(5, "dequeue").ok(2, "enqueue", 3)
    columns = History(story.events).columns
    (part,) = parts(columns, of(columns, "enqueue", "dequeue"))
    assert flow(columns, part).rows.tolist() == [4, 5]


def test_null_as_an_element_is_unknown():
    """It is never seen to come out, because that is how an empty queue answers."""
    story = Story().ok(0, "enqueue", 1).ok(0, "enqueue", None).ok(1, "dequeue", None, 1).ok(1, "dequeue", None, None)
    unknown(story.ok(1, "drain", None, []).judge("total-queue"), "lements are null")
