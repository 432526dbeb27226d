"""Histories of workloads, as `check` finds its way with them: the right checkers judge, and none that knows nothing of them speaks of doubt."""

from __future__ import annotations

import pytest

from tribulation.checkers import Verdict, check, merge
from tribulation.histories import History

from .stories import Story

A = {"from": "a", "to": "b", "amount": 10}

COUNTER = Story().ok(0, "add", 2).ok(0, "add", 3).ok(1, "read", None, 5)
BANK = Story().ok(1, "read", None, {"a": 50, "b": 50}).ok(0, "transfer", A).ok(1, "read", None, {"a": 40, "b": 60})
QUEUE = Story().ok(0, "enqueue", 1).ok(1, "dequeue", None, 1)
SET = Story().ok(0, "add", 1).ok(1, "read", None, [1])
TASKS = Story().ok(0, "submit", 1).ok(1, "effects", None, [1])
LOG = (
    Story()
    .ok(0, "send", [["send", "x", 1]], [["send", "x", [0, 1]]])
    .ok(1, "poll", [["poll"]], [["poll", {"x": [[0, 1]]}]])
)
IDS = Story().ok(0, "generate", None, 7)


@pytest.mark.parametrize(
    ("story", "name"),
    [
        (COUNTER, "counter-bounds"),
        (BANK, "bank"),
        (QUEUE, "total-queue"),
        (SET, "set"),
        (TASKS, "tasks"),
        (LOG, "kafka"),
        (IDS, "unique-ids"),
    ],
)
def test_a_good_history_is_valid(story, name):
    results = check(History(story.events))
    assert results[name].verdict is Verdict.VALID
    assert merge(result.verdict for result in results.values()) is Verdict.VALID, results


def test_a_checker_whose_violations_another_one_finds_is_left_out_unless_asked_for():
    history = History(SET.events)
    assert "set-full" not in check(history)
    assert check(history, ["set-full"])["set-full"].verdict is Verdict.VALID
