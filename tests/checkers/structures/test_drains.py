"""Queues that are drained, and null as an element, where the general search judges."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tribulation.checkers import Verdict
from tribulation.checkers.verify import verify_witness
from tribulation.histories import History, Operation

from .test_stories import one, reported, run, valid


def test_a_drain_takes_one_by_one_where_the_search_judges():
    """Values that come twice, or are lists, are for the search: a drain there is what it is for queues of unique values."""
    twice = (*one(0, "enqueue", 1, 1), *one(0, "enqueue", 1, 1))
    valid("queue", reported(*twice, *one(1, "drain", None, [1, 1]), *one(1, "dequeue", None, None)))
    valid(
        "queue", reported(*twice, *one(1, "dequeue", None, 1), *one(1, "drain", None, [1]), *one(1, "drain", None, []))
    )
    valid("queue", reported(*twice, *one(0, "enqueue", 2, 2), *one(1, "drain", None, [2, 1, 1])))
    valid("queue", reported(*one(0, "enqueue", [1], [1]), *one(1, "drain", None, [[1]])))
    valid("queue", reported(*twice, "p2 drain", "p2 info", *one(1, "dequeue", None, None)))
    for drained in ([1], [1, 1, 1], [1, 2]):
        result = run("queue", reported(*twice, *one(1, "drain", None, drained), *one(1, "dequeue", None, None)))
        assert result.verdict is Verdict.INVALID, (drained, result)
    history = reported(*twice, *one(0, "enqueue", 2, 2), "p2 drain", "p2 info", *one(1, "dequeue", None, 2))
    valid("queue", history)
    back = reported(*twice, *one(1, "dequeue", None, None), "p2 drain", "p2 info")
    assert run("queue", back).verdict is Verdict.INVALID, "what began later explains nothing"


def _drained_queue(random: Random) -> History:
    """A short queue whose values come twice, with drains; some answers are bent."""
    lines: list[str | tuple[str, Any]] = []
    held: list[int] = []
    for _ in range(random.randint(3, 5)):
        f = random.choice(("enqueue", "enqueue", "dequeue", "drain"))
        if f == "enqueue":
            held.append(random.choice((1, 2)))
            lines += one(0, f, held[-1], held[-1])
            continue
        took = [held.pop(0) for _ in range(len(held) if f == "drain" else min(1, len(held)))]
        bent = [*took, 1] if random.random() < 0.2 else took[1:] if random.random() < 0.2 else took
        lines += one(1, f, None, bent if f == "drain" else bent[0] if bent else None)
    return reported(*lines)


@pytest.mark.parametrize("seed", range(40))
def test_drains_agree_with_trying_all_orders(seed: int):
    history = _drained_queue(Random(seed))
    ops: list[Operation] = []
    for op in history.operations():
        assert op.complete_index is not None
        taken = op.result if op.f == "drain" else [op.result]
        for place, value in enumerate(taken):
            start, end = 100 * op.invoke_index + place, 100 * op.complete_index
            f = "dequeue" if op.f == "drain" else op.f
            ops.append(replace(op, f=f, result=value, invoke_index=start, complete_index=end))
    expected = Verdict.INVALID if verify_witness(ops, "queue", []) is None else Verdict.VALID
    assert run("queue", history).verdict in (expected, Verdict.UNKNOWN)


_UNDECIDED = "1 of 1 keys undecided; null: "


@pytest.mark.parametrize(
    ("name", "put", "take"),
    [("queue", "enqueue", "dequeue"), ("stack", "push", "pop"), ("priority-queue", "insert", "poll")],
)
def test_null_as_an_element_leaves_a_container_unknown(name: str, put: str, take: str):
    """The second null is the element or an empty answer: both histories are the same lines."""
    history = reported(*one(0, put, 1, 1), *one(0, put, None, None), *one(1, take, None, None))
    result = run(name, history)
    assert (result.verdict, result.reason) == (
        Verdict.UNKNOWN,
        f"{_UNDECIDED}the {put} of history index 2 adds null, and a removal returned null, which may mean this element or an empty container",
    )
    refused = reported(*one(0, put, 1, 1), f"p0 {put}", "p0 fail:full", *one(1, take, None, 1))
    valid(name, refused)
    assert run(name, reported(*one(0, put, None, None), *one(1, take, None, 7))).verdict is Verdict.INVALID
