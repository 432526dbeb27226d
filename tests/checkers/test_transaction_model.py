"""Transactions as one object: what their parts mean, and registers whose first value is not given."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.checkers import Verdict, check

Txn = tuple[int, list[list[Any]]]


def judge(*txns: Txn, model: str | None = "multi-register", names: list[str] | None = None) -> Verdict:
    """The verdict on transactions that come one after the other, each of its process; reads say what they saw."""
    history = [
        (
            process,
            kind,
            "txn",
            [[*part[:2], None] if part[0] in ("r", "read") and kind == "invoke" else part for part in parts],
        )
        for process, parts in txns
        for kind in ("invoke", "ok")
    ]
    return check(history, names or "auto", model=model)["linearizable"].verdict


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        pytest.param([["r", "x", 7]], [["r", "x", 7]], Verdict.VALID, id="the first read decides"),
        pytest.param([["r", "x", 7]], [["r", "x", 8]], Verdict.INVALID, id="and cannot be contradicted"),
        pytest.param([["w", "x", 1]], [["r", "x", 7]], Verdict.INVALID, id="a write comes before the first read"),
        pytest.param([["r", "x", 7], ["w", "x", 8]], [["r", "x", 8]], Verdict.VALID, id="read, then written"),
        pytest.param([["r", "x", 7], ["w", "x", 8]], [["r", "x", 7]], Verdict.INVALID, id="the write was lost"),
        pytest.param(
            [["w", "x", 8], ["r", "x", 7]], [["r", "x", 8]], Verdict.INVALID, id="a transaction sees its own write"
        ),
        pytest.param(
            [["w", "x", 8]], [["r", "x", None]], Verdict.UNKNOWN, id="a lost write, or a read that says nothing"
        ),
        pytest.param([["r", "x", None]], [["w", "x", 8]], Verdict.VALID, id="nil at the beginning"),
        pytest.param(
            [["r", "x", None]],
            [["r", "x", 7]],
            Verdict.UNKNOWN,
            id="a value that no one wrote, or a read that says nothing",
        ),
        pytest.param(
            [["w", "x", 8], ["r", "x", None]], [["r", "x", 9]], Verdict.INVALID, id="wrong whatever nil means"
        ),
        pytest.param([["cas", "x", [7, 8]]], [["r", "x", 8]], Verdict.VALID, id="a cas shows what it found"),
        pytest.param([["cas", "x", 7, 8]], [["r", "x", 7]], Verdict.INVALID, id="and what it left"),
        pytest.param([["read", "x", 7]], [["write", "x", 8]], Verdict.VALID, id="words in full"),
        pytest.param([["write", "x", 8]], [["read", "x", 7]], Verdict.INVALID, id="words in full, stale"),
        pytest.param([["r", "y", 1], ["r", "x", 7]], [["r", "x", 7]], Verdict.VALID, id="each register by itself"),
        pytest.param([["append", "x", 3]], [["r", "x", [1, 2, 3]]], Verdict.VALID, id="a list that had elements"),
        pytest.param([["append", "x", 3]], [["r", "x", [3]]], Verdict.VALID, id="a list that had none"),
        pytest.param([["append", "x", 3]], [["r", "x", [3, 1]]], Verdict.INVALID, id="the append is the last"),
        pytest.param([["append", "x", 3]], [["r", "x", []]], Verdict.INVALID, id="the append was lost"),
        pytest.param([["append", "x", 3]], [["r", "x", 3]], Verdict.INVALID, id="a list reads as a list"),
        pytest.param(
            [["append", "x", 3], ["append", "x", 4]], [["r", "x", [3, 1, 4]]], Verdict.INVALID, id="appends in order"
        ),
        pytest.param(
            [["append", "x", 3], ["r", "x", [1, 3]]], [["r", "x", [2, 3]]], Verdict.INVALID, id="the read decides"
        ),
        pytest.param(
            [["append", "x", 3]], [["cas", "x", [1, 3], 7], ["r", "x", 7]], Verdict.VALID, id="a cas shows a list too"
        ),
        pytest.param(
            [["append", "x", 3]], [["r", "x", None]], Verdict.UNKNOWN, id="a lost append, or a read that says nothing"
        ),
    ],
)
def test_registers_of_unknown_beginning(first: list[list[Any]], second: list[list[Any]], verdict: Verdict) -> None:
    assert judge((0, first), (1, second)) is verdict


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        pytest.param([["append", "x", 1]], [["r", "x", [1]]], Verdict.VALID, id="appended"),
        pytest.param([["append", "x", 1]], [["r", "x", None]], Verdict.INVALID, id="an append is missing"),
        pytest.param(
            [["append", "x", 1], ["append", "x", 2]], [["r", "x", [2, 1]]], Verdict.INVALID, id="out of order"
        ),
        pytest.param([["r", "x", []]], [["r", "x", None]], Verdict.VALID, id="nil and the empty list are one"),
        pytest.param([["r", "x", 7]], [["r", "x", 7]], Verdict.INVALID, id="registers begin as nil"),
        pytest.param([["w", "x", 7]], [["append", "x", 1]], Verdict.INVALID, id="a number is no list"),
    ],
)
def test_transactions_that_begin_with_nothing(
    first: list[list[Any]], second: list[list[Any]], verdict: Verdict
) -> None:
    assert judge((0, first), (1, second), model=None, names=["linearizable"]) is verdict


def test_two_that_overlap_may_report_the_beginning_in_any_order() -> None:
    """The reader of 7 returns after the writer of 8, and must come before it."""
    history: list[Any] = [
        (0, "invoke", "txn", [["r", "x", None]]),
        (1, "invoke", "txn", [["w", "x", 8]]),
        (1, "ok", "txn", [["w", "x", 8]]),
        (2, "invoke", "txn", [["r", "x", None]]),
        (2, "ok", "txn", [["r", "x", 8]]),
        (0, "ok", "txn", [["r", "x", 7]]),
    ]
    assert check(history, model="multi-register")["linearizable"].verdict is Verdict.VALID


def test_what_returned_no_value_says_nothing_of_what_it_read() -> None:
    history: list[Any] = [(0, "invoke", "txn", [["r", "x", None], ["w", "x", 1]]), (0, "ok", "txn", None)]
    assert check(history, model="multi-register")["linearizable"].verdict is Verdict.VALID


def test_transactions_alone_are_left_to_their_checkers() -> None:
    history = [(0, kind, "txn", [["append", "x", 1]]) for kind in ("invoke", "ok")]
    assert "list-append" in check(history) and "linearizable" not in check(history)
