"""What users' code makes is held to what a history can hold, where it is made."""

from __future__ import annotations

import pytest

from tribulation.harness.systems.base import Op
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
    ],
)
def test_an_operation_that_no_history_can_hold_is_refused_where_it_is_made(value: object, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        Op("write", "k", value)
    with pytest.raises((TypeError, ValueError)):
        Op("write", value)


def test_operands_of_every_workload_are_held() -> None:
    for value in (None, 10**INTEGER_DIGITS - 1, -1.5, True, "é", [1, [2]], ("w", "x"), {"from": "a", 1: [2]}):
        assert Op("write", value, value).value is value
