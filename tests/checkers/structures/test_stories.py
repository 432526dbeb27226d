"""Structures as literal stories: each client's operations, and what the checker says about them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tribulation.checkers import Budget, CheckResult, RunRecord, Verdict, checker
from tribulation.checkers.linearizability.structures.dispatch import STRUCTURES
from tribulation.checkers.linearizability.structures.parts.view import View
from tribulation.histories import Event, History, Type


def reported(*lines: str | tuple[str, Any]) -> History:
    """Lines such as `("p0 enqueue", 1)` for an invocation and `("p0 ok", 1)`, `("p0 fail:empty", None)` or `("p0 info", None)` for its end."""
    events: list[Event] = []
    open_: dict[int, str] = {}
    for line in lines:
        text, value = line if isinstance(line, tuple) else (line, None)
        who, what = text.split(" ")
        process = int(who[1:])
        kind, _, error = what.partition(":")
        index = len(events)
        if kind in ("ok", "fail", "info"):
            f = open_.pop(process)
            events.append(Event(index, index * 1_000_000, process, Type(kind), f, value, error=error or None))
        else:
            open_[process] = kind
            events.append(Event(index, index * 1_000_000, process, Type.INVOKE, kind, value))
    return History(events)


def one(process: int, f: str, argument: Any, result: Any) -> list[tuple[str, Any]]:
    return [(f"p{process} {f}", argument), (f"p{process} ok", result)]


def run(name: str, history: History, **options: Any) -> CheckResult:
    return checker(name).check(RunRecord(history=history, options=options), Budget())


def broken(name: str, history: History, kind: str, ops: int, **options: Any) -> str:
    """The one anomaly's sentence; it must be of this kind, with so many operations."""
    result = run(name, history, **options)
    assert result.verdict is Verdict.INVALID, result
    (anomaly,) = result.anomalies
    assert (anomaly.kind, len(anomaly.ops)) == (kind, ops), anomaly
    return anomaly.explanation


def valid(name: str, history: History, **options: Any) -> None:
    result = run(name, history, **options)
    assert result.verdict is Verdict.VALID, result


def test_a_value_overtakes_another_in_a_queue():
    history = reported(
        *one(0, "enqueue", 1, 1), *one(0, "enqueue", 2, 2), *one(1, "dequeue", None, 2), *one(1, "dequeue", None, 1)
    )
    assert "2 overtook 1" in broken("queue", history, "fifo-order", 4)
    valid(
        "stack",
        reported(*one(0, "push", 1, 1), *one(0, "push", 2, 2), *one(1, "pop", None, 2), *one(1, "pop", None, 1)),
    )


def test_a_dequeue_that_failed_as_empty_saw_that():
    history = reported(*one(0, "enqueue", 1, 1), "p1 dequeue", "p1 fail:empty")
    broken("queue", history, "lost-write", 2)
    valid("queue", reported(*one(0, "enqueue", 1, 1), "p1 dequeue", "p1 fail:timeout"))


def test_a_dequeue_of_unknown_outcome_may_have_taken_what_is_missing():
    lost = reported(*one(0, "enqueue", 1, 1), "p2 dequeue", "p2 info", *one(1, "dequeue", None, None))
    valid("queue", lost)
    twice = reported(
        *one(0, "enqueue", 1, 1), *one(0, "enqueue", 2, 2), "p2 dequeue", "p2 info", *one(1, "dequeue", None, None)
    )
    broken("queue", twice, "lost-write", 4)


def test_a_dequeue_finds_nothing_while_values_follow_each_other():
    """1 is inside at first and 2 at the end: at no moment of the empty dequeue was nothing there."""
    history = reported(
        *one(0, "enqueue", 1, 1),
        "p1 dequeue",
        *one(0, "enqueue", 2, 2),
        *one(2, "dequeue", None, 1),
        ("p1 ok", None),
        *one(2, "dequeue", None, 2),
    )
    broken("queue", history, "not-empty", 5)


def test_a_drain_takes_many():
    puts = (*one(0, "enqueue", 1, 1), *one(0, "enqueue", 2, 2))
    valid("queue", reported(*puts, *one(1, "drain", None, [1, 2])))
    broken("queue", reported(*puts, *one(1, "drain", None, [1, 3])), "thin-air", 1)
    more = (*puts, *one(0, "enqueue", 3, 3), *one(1, "drain", None, [1, 2]))
    valid("queue", reported(*more, *one(1, "drain", None, [3]), *one(1, "drain", None, []), *one(0, "enqueue", 4, 4)))
    broken("queue", reported(*more, *one(1, "drain", None, [3]), *one(1, "drain", None, [1])), "duplicate", 3)


def test_what_is_popped_from_below():
    history = reported(*one(0, "push", 1, 1), *one(0, "push", 2, 2), *one(1, "pop", None, 1))
    assert "1 was popped from below 2" in broken("stack", history, "lost-write", 3)
    history = reported(*one(0, "push", 1, 1), *one(0, "push", 2, 2), *one(1, "pop", None, 1), *one(1, "pop", None, 2))
    broken("stack", history, "lifo-order", 4)


def test_the_greatest_leaves_first_unless_asked_otherwise():
    history = reported(*one(0, "insert", 1, 1), *one(0, "insert", 2, 2), *one(1, "poll", None, 1))
    assert "1 was polled" in broken("priority-queue", history, "priority-inversion", 3)
    valid("priority-queue", history, priority="min")
    valid("priority-queue", reported(*one(0, "insert", 1, 1), *one(0, "insert", 2, 2), *one(1, "delete-min", None, 1)))


@pytest.mark.parametrize(("kind", "value", "ops"), [("thin-air", 9, 1), ("duplicate", 1, 3)])
def test_values_from_nowhere_and_twice(kind: str, value: int, ops: int):
    history = reported(*one(0, "enqueue", 1, 1), *one(1, "dequeue", None, 1), *one(1, "dequeue", None, value))
    broken("queue", history, kind, ops)


def test_a_refused_value_is_taken():
    history = reported(("p0 enqueue", 1), ("p0 fail:no-quorum", 1), *one(1, "dequeue", None, 1))
    assert "refused" in broken("queue", history, "aborted-read", 2)


def test_two_fetches_of_one_sum():
    broken("counter", reported(*one(0, "faa", 1, 0), *one(1, "faa", 1, 0)), "lost-update", 2)


def test_additions_are_lost_between_two_reads():
    history = reported(
        *one(0, "add", 1, 1),
        *one(1, "read", None, 1),
        *one(0, "add", 1, 1),
        *one(0, "add", 1, 1),
        *one(1, "read", None, 2),
    )
    sentence = broken("counter", history, "lost-update", 4)
    assert "sum rose by 1" in sentence and "2 additions certainly happened" in sentence


def test_what_answered_between_two_reads_is_part_of_the_rise():
    """From 0 to 2 by a fetch and an add, where two adds certainly happened as well as the fetch."""
    history = reported(
        *one(1, "read", None, 0),
        ("p2 faa", 1),
        *one(0, "add", 1, 1),
        *one(0, "add", 1, 1),
        ("p2 ok", 1),
        *one(1, "read", None, 2),
    )
    broken("counter", history, "lost-update", 5)


def test_more_than_was_added():
    broken("counter", reported(*one(0, "add", 1, 1), *one(1, "read", None, 2)), "thin-air", 1)
    valid("counter", reported(*one(0, "add", 1, 1), ("p2 add", 1), "p2 info", *one(1, "read", None, 2)))


def test_additions_that_differ_are_bounded_and_else_searched():
    broken("counter", reported(*one(0, "add", 3, 3), *one(1, "read", None, 5)), "thin-air", 1)
    # Of 7 that was surely added, 4 suffice to be more than 3; nothing that was taken away explains it.
    adds = [line for delta in (1, 4, 2) for line in one(0, "add", delta, delta)]
    broken("counter", reported(*adds, *one(1, "read", None, 3)), "lost-update", 2)
    broken("counter", reported(*adds, ("p2 add", -4), "p2 info", *one(1, "read", None, 2)), "lost-update", 4)
    broken("counter", reported(*one(0, "add", -1, -1), *one(0, "add", 4, 4), *one(1, "read", None, 4)), "thin-air", 2)
    result = run("counter", reported(*one(0, "add", 3, 3), *one(0, "add", 2, 2), *one(1, "read", None, 5)))
    assert (result.verdict, result.stats["methods"]) == (Verdict.VALID, {"search": 1})


def test_every_name_of_a_counters_operation():
    """Up by 1 each, and down by 1 twice; what is answered is the sum before or after."""
    answers = {"faa": 1, "fetch-and-add": 2, "get-and-add": 3, "add-and-get": 5}
    ups = ("add", *answers, "increment", "inc")
    lines = [line for f in ups for line in one(0, f, 1, answers.get(f, 1))]
    lines += [*one(0, "decrement", 1, 1), *one(0, "dec", None, None)]
    valid("counter", reported(*lines, *one(1, "read", None, 5)))
    for wrong in (4, 6):
        assert run("counter", reported(*lines, *one(1, "read", None, wrong))).verdict is Verdict.INVALID


def test_a_counter_begins_where_it_is_said_to():
    history = reported(*one(0, "add", 2, 2), *one(0, "add", 3, 3), *one(1, "read", None, 15))
    valid("counter", history, initial=10)
    assert run("counter", history).verdict is Verdict.INVALID
    valid("counter", reported(*one(0, "add", 1, 1), *one(1, "read", None, 11)), initial=10)
    broken("counter", reported(*one(0, "add", 1, 1), *one(1, "read", None, 9)), "thin-air", 1, initial=10)


def test_two_hold_the_lock():
    history = reported(*one(0, "acquire", None, None), *one(1, "acquire", None, None), *one(0, "release", None, None))
    assert "at the same time" in broken("mutex", history, "double-acquire", 3)


def test_a_release_of_unknown_outcome_may_have_happened():
    history = reported(*one(0, "acquire", None, None), "p0 release", "p0 info", *one(1, "acquire", None, None))
    valid("mutex", history)


def test_tokens_must_grow_and_be_given_once():
    shrinking = reported(
        *one(0, "acquire", None, 2), *one(0, "release", 2, 2), *one(1, "acquire", None, 1), *one(1, "release", 1, 1)
    )
    broken("fenced-mutex", shrinking, "token-order", 2)
    broken("fenced-mutex", reported(*one(0, "acquire", None, 1), *one(1, "acquire", None, 1)), "duplicate-token", 2)
    broken("fenced-mutex", reported(*one(0, "acquire", None, 1), *one(1, "acquire", None, 2)), "double-acquire", 2)
    valid("fenced-mutex", reported(*one(0, "acquire", None, 1), *one(0, "release", 1, 1), *one(1, "acquire", None, 3)))


def test_a_release_that_names_no_token_is_of_the_one_that_its_process_was_given():
    held = one(0, "acquire", None, 3)
    valid("fenced-mutex", reported(*held, *one(0, "release", None, None), *one(1, "acquire", None, 5)))
    broken(
        "fenced-mutex", reported(*held, *one(1, "release", None, None), *one(1, "acquire", None, 5)), "bad-release", 1
    )
    # One of unknown outcome by a client that holds nothing cannot have happened, and says nothing against the others.
    unsure = reported("p1 release", "p1 info", *held, *one(0, "release", None, None))
    valid("fenced-mutex", unsure, model="fencing")
    both = reported(*held, "p1 release", "p1 info", *one(2, "acquire", None, 5))
    broken("fenced-mutex", both, "double-acquire", 2)


def test_tokens_that_are_no_numbers_are_searched():
    locks = (*one(0, "acquire", None, "a"), *one(0, "release", "a", "a"), *one(1, "acquire", None, "b"))
    assert run("fenced-mutex", reported(*locks), model="fencing").stats["methods"] == {"search": 1}
    valid("fenced-mutex", reported(*locks, *one(1, "release", "b", "b")), model="fencing")
    broken("fenced-mutex", reported(*locks, *one(1, "release", "a", "a")), "non-monotonic-read", 4, model="fencing")
    fallen = (*one(0, "acquire", None, "b"), *one(0, "release", "b", "b"), *one(1, "acquire", None, "a"))
    broken("fenced-mutex", reported(*fallen), "non-monotonic-read", 3, model="fencing")


def test_a_list_goes_two_ways():
    appends = (*one(0, "append", 1, 1), *one(0, "append", 2, 2))
    broken(
        "list",
        reported(*appends, *one(1, "read", None, [1, 2]), *one(1, "read", None, [2, 1])),
        "incompatible-order",
        2,
    )
    broken("list", reported(*appends, *one(1, "read", None, [1])), "lost-write", 2)
    valid("list", reported(*appends, *one(1, "put", [3, 4], None), *one(1, "read", None, [3, 4])))
    broken(
        "list",
        reported(*one(0, "append", 1, 1), *one(1, "put", [3, 4], None), *one(1, "read", None, [3])),
        "intermediate-read",
        2,
    )


def test_a_list_has_an_element_twice_or_before_it_was_there():
    append = one(0, "append", 1, 1)
    broken("list", reported(*append, *one(1, "read", None, [1, 1])), "duplicate", 1)
    broken("list", reported(*append, *one(1, "read", None, [1]), *one(1, "read", None, [1, 1])), "duplicate", 1)
    broken("list", reported(*one(1, "read", None, [1]), *append), "future-read", 2)


def test_a_list_has_elements_in_an_order_in_which_they_were_not_appended():
    """The read belongs to the proof: it alone says in which order they stand."""
    appends = (*one(0, "append", 1, 1), *one(0, "append", 2, 2))
    broken("list", reported(*appends, *one(1, "read", None, [2, 1])), "future-read", 3)


def test_a_list_lacks_an_append_from_before_another_that_it_shows():
    """The read was open all the while, so that only with what it returned the two appends prove anything."""
    history = reported("p1 read", *one(0, "append", 1, 1), *one(0, "append", 2, 2), ("p1 ok", [2]))
    broken("list", history, "lost-write", 3)


def test_a_read_open_all_the_while_shows_an_add_and_not_the_one_before_it():
    history = ("p1 read", *one(0, "add", 1, 1), *one(0, "add", 2, 2), ("p1 ok", [2]))
    broken("set", reported(*history), "lost-write", 3)
    broken("set", reported(*history, *one(1, "read", None, [1, 2])), "stale-read", 3)
    broken("linearizable", reported(*history, *one(1, "read", None, [1, 2])), "stale-read", 3)


def test_which_end_of_a_priority_queue_is_searched():
    """Values that come twice are for the search, which has to know whether the least or the greatest leaves first."""
    puts = [line for value in (1, 1, 2) for line in one(0, "insert", value, value)]
    least = reported(*puts, *one(1, "poll", None, 1), *one(1, "poll", None, 1), *one(1, "poll", None, 2))
    assert run("priority-queue", least).verdict is Verdict.INVALID
    valid("priority-queue", least, priority="min")
    named = reported(*puts, *one(1, "delete-min", None, 1), *one(1, "delete-min", None, 1))
    valid("priority-queue", named)
    assert run("priority-queue", named).stats["methods"] == {"search": 1}
    greatest = reported(*puts, *one(1, "poll", None, 2), *one(1, "poll", None, 1))
    valid("priority-queue", greatest)


def test_values_that_are_null_are_searched():
    """No removal answered null, so the element can only be inside."""
    history = reported(*one(0, "enqueue", None, None), *one(0, "enqueue", 1, 1), *one(1, "dequeue", None, 1))
    assert run("queue", history).stats["methods"] == {"search": 1}


def test_elements_that_are_null_are_searched():
    history = reported(*one(0, "append", None, None), *one(0, "append", 1, 1), *one(1, "read", None, [None, 1]))
    assert run("list", history).stats["methods"] == {"search": 1}
    valid("list", history)


def test_one_element_is_searched_as_that_and_more_as_a_set():
    def model(*lines: str | tuple[str, Any]) -> str:
        columns = reported(*lines).columns
        return type(STRUCTURES["set"].model(View(columns, np.arange(len(columns))), {})).__name__

    assert model(*one(0, "add", 1, 1), *one(0, "contains", 1, True)) == "ElementModel"
    assert model(*one(0, "add", 1, 1), *one(0, "add", 2, 2)) == "SetModel"
    assert model(*one(0, "add", None, None), *one(0, "read", None, [None])) == "SetModel"


def test_a_list_goes_another_way_than_it_was_put():
    history = reported(*one(0, "put", [1, 2], [1, 2]), *one(0, "append", 3, 3), *one(1, "read", None, [1, 3]))
    broken("list", history, "incompatible-order", 2)


def test_elements_of_a_set():
    missing = reported(*one(0, "add", 1, True), *one(1, "contains", 1, False))
    broken("linearizable", missing, "lost-write", 2)
    history = reported(*one(0, "add", 1, True), *one(0, "remove", 1, True), *one(1, "contains", 1, True))
    broken("linearizable", history, "read-after-removal", 3)
    again = reported(
        *one(0, "add", 1, True), *one(0, "remove", 1, True), *one(0, "add", 1, True), *one(1, "contains", 1, True)
    )
    valid("linearizable", again)


def test_values_that_are_not_unique_are_searched():
    puts = (*one(0, "enqueue", 1, 1), *one(0, "enqueue", 1, 1), *one(0, "enqueue", 2, 2))
    valid("queue", reported(*puts, *one(1, "dequeue", None, 1)))
    result = run("queue", reported(*puts, *one(1, "dequeue", None, 2)))
    assert (result.verdict, result.stats["methods"]) == (Verdict.INVALID, {"search": 1})


def test_a_checker_of_one_kind_leaves_the_others_alone():
    history = reported(*one(0, "push", 1, 1))
    assert not checker("queue").applies(RunRecord(history=history))
    assert checker("stack").applies(RunRecord(history=history))
    assert run("queue", history).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("name", ["linearizable", "set", "set-full"])
def test_every_checker_names_the_reason_for_which_an_operation_failed(name: str) -> None:
    """One called it `refused` where another said `leader-changed`."""
    history = reported(
        ("p0 add", 1), ("p0 fail:leader-changed", 1), ("p1 add", 2), ("p1 ok", 2), "p1 read", ("p1 ok", [1, 2])
    )  # fmt: skip
    result = checker(name).check(RunRecord(history), Budget())
    assert result.verdict is Verdict.INVALID
    assert all("failed: leader-changed" in anomaly.explanation for anomaly in result.anomalies)
