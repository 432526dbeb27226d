"""What users' code makes is held to what a history can hold, where it is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tribulation.harness.run.drive.worker import checked
from tribulation.harness.systems.base import Op, Outcome
from tribulation.harness.systems.plain import MOST_BYTES
from tribulation.histories import Recorder, read_history
from tribulation.histories.model.bounds import INTEGER_DIGITS


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (10**INTEGER_DIGITS, "the value of an operation write holds an integer of more than 300 digits"),
        ([["w", "x", -(10**INTEGER_DIGITS)]], "holds an integer of more than 300 digits"),
        (float("inf"), "holds inf, which JSON lacks"),
        ("\ud800", "surrogates not allowed"),
        ({1}, "of type set, which JSON lacks"),
        (b"x", "of type bytes, which JSON lacks: decode it"),
        ({"a": object()}, "of type object, which JSON lacks"),
        ({10**INTEGER_DIGITS: 1}, "holds an integer of more than 300 digits"),
        ("x" * MOST_BYTES, "an operation write has 31 MiB; at most 31 MiB are recorded"),
    ],
)
def test_an_operation_that_no_history_can_hold_is_refused_where_it_is_made(value: object, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        Op("write", "k", value)
    with pytest.raises((TypeError, ValueError)):
        Op("write", value)


@pytest.mark.parametrize("name", ["f", "workload", "level"])
def test_its_names_are_those_of_a_history(name: str) -> None:
    with pytest.raises(ValueError, match=f"an operation's {name} has 2000 characters"):
        Op(**{"f": "read", name: "x" * 2000})


def test_the_largest_operation_and_answer_make_a_line_that_can_be_read(tmp_path: Path) -> None:
    largest = "x" * (MOST_BYTES - 20)
    op = Op("write", largest, 1)
    answer = checked(Outcome("ok", largest))
    with Recorder(tmp_path / "history.jsonl") as recorder:
        recorder.record(1, 0, "invoke", op.f, op.value, key=op.key)
        recorder.record(2, 0, answer.type, op.f, op.value, key=op.key, extra={"seen": answer.value})
    assert len(read_history(tmp_path / "history.jsonl").operations()) == 1


def test_operands_of_every_workload_are_held() -> None:
    for value in (None, 10**INTEGER_DIGITS - 1, -1.5, True, "é", [1, [2]], ("w", "x"), {"from": "a", 1: [2]}):
        assert Op("write", value, value).value is value
