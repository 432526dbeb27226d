"""The drain of a queue: quick while elements come, slow while the server refuses, and over in bounded time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.systems.base import Outcome
from tribulation.harness.workloads.generators import SECOND_NS, Context
from tribulation.harness.workloads.objects.queue import REFUSED_NS, Queue, QueueSpec

ELEMENT, EMPTY, REFUSED = Outcome("ok", 1), Outcome("ok", None), Outcome("fail", error="no-connection")
TAKES_NS = 1_000_000
"""How long a dequeue takes."""


def drained(
    answer: Callable[[str, int], Outcome], keys: tuple[str, ...] = ("q",), most: int = 5_000
) -> list[tuple[int, str]]:
    """The times and queues of the dequeues of one client. `answer` to the n-th dequeue of a queue."""
    generator, now_ns, asked = Queue("queue", QueueSpec()).final(keys), 0, []
    for count in range(most):
        emit, generator = generator.next(Context(1, "queue", 0, 1, count, now_ns))
        if emit is None:
            return asked
        now_ns = max(now_ns, emit.at_ns)
        asked.append((now_ns, emit.op.key))
        tried = sum(key == emit.op.key for _, key in asked)
        now_ns += TAKES_NS
        generator = generator.update(emit.op, answer(emit.op.key, tried))
    raise AssertionError(f"{most} dequeues, the last one at {now_ns / SECOND_NS:.1f} s")


@pytest.mark.parametrize("refusal", [REFUSED, Outcome("info", error="timeout"), Outcome("fail", error="busy")])
def test_a_server_that_refuses_is_asked_seldom_and_not_without_end(refusal: Outcome) -> None:
    asked = drained(lambda key, tried: refusal)
    assert 30 <= len(asked) <= 80
    assert REFUSED_NS <= asked[-1][0] + SECOND_NS <= REFUSED_NS + 3 * SECOND_NS


def test_a_queue_that_refuses_keeps_no_other_one_from_being_drained() -> None:
    asked = drained(lambda key, tried: REFUSED if key == "a" else EMPTY, ("a", "b"))
    assert [key for _, key in asked].count("b") == 1


def test_elements_are_taken_out_at_once_and_again_after_a_refusal() -> None:
    asked = drained(lambda key, tried: EMPTY if tried > 200 else REFUSED if tried == 100 else ELEMENT)
    assert len(asked) == 201 and asked[-1][0] < 1.5 * SECOND_NS


def test_one_answer_begins_the_time_again() -> None:
    asked = drained(lambda key, tried: EMPTY if tried == 100 else ELEMENT if tried % 20 == 0 else REFUSED)
    assert len(asked) == 100 and asked[-1][0] > REFUSED_NS


@given(st.lists(st.sampled_from([ELEMENT, EMPTY, REFUSED]), max_size=60))
def test_it_ends_with_the_first_answer_that_nothing_is_left_and_with_no_other(answers: list[Outcome]) -> None:
    asked = drained(lambda key, tried: answers[tried - 1] if tried <= len(answers) else EMPTY)
    assert len(asked) == (answers.index(EMPTY) if EMPTY in answers else len(answers)) + 1
