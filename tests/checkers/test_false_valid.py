"""What was not judged is not valid: histories in which nothing happened, operations that a named checker leaves over, answers of another kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tribulation.checkers import Verdict, check
from tribulation.checkers.testing import Inconsistent, Undecided, assert_linearizable

WROTE = [(0, "invoke", "write", 1, "a"), (0, "ok", "write", 1, "a")]
UNKNOWN = [(1, "invoke", "frobnicate", 1, "b"), (1, "ok", "frobnicate", 1, "b")]
LINE = '{{"index":{},"time":{},"process":{},"type":"{}","f":"{}","value":{}}}\n'


def test_an_assertion_fails_where_an_acknowledged_operation_was_judged_by_no_checker() -> None:
    assert_linearizable(WROTE, "register")
    with pytest.raises(Undecided, match="1 frobnicate"):
        assert_linearizable(WROTE + UNKNOWN, "register")
    with pytest.raises(Undecided, match="1 frobnicate"):
        assert_linearizable(WROTE + UNKNOWN)


def test_an_assertion_passes_for_keys_in_values() -> None:
    """What is judged is counted in the form that the model reads."""
    put = [(0, "invoke", "put", ["a", 1]), (0, "ok", "put", ["a", 1])]
    read = [(1, "invoke", "get", ["a", None]), (1, "ok", "get", ["a", 1])]
    assert_linearizable(put + read, "kv")
    with pytest.raises(Inconsistent):
        assert_linearizable([*put, *read[:1], (1, "ok", "get", ["a", None])], "kv")


def test_an_assertion_fails_where_every_operation_failed() -> None:
    refused = [(0, "invoke", "write", 1), (0, "fail", "write", 1)]
    assert check(refused, model="register")["linearizable"].stats["vacuous"]
    with pytest.raises(Undecided, match="no operation of this history happened"):
        assert_linearizable(refused, "register")


@pytest.mark.parametrize("answer", [5, "1", "[1]", {"1": 1}, True])
@pytest.mark.parametrize("level", ["serializable", "strict-serializable", "causal", "read-atomic"])
def test_a_read_of_a_list_that_answers_something_else_is_unknown(answer: Any, level: str) -> None:
    """It was read as the empty list: valid, or a violation that is none."""
    history = [
        (0, "invoke", "txn", [["append", "x", 1]]),
        (0, "ok", "txn", [["append", "x", 1]]),
        (1, "invoke", "txn", [["r", "x", None]]),
        (1, "ok", "txn", [["r", "x", answer]]),
    ]
    found = check(history, model="list-append", consistency=level)["list-append"]
    assert found.verdict is Verdict.UNKNOWN, found
    assert found.reason is not None and "history index 2" in found.reason and "not a list" in found.reason


def _stale(path: Path, last: str) -> Path:
    """A stale read, whose last line is `last`."""
    rows = [(0, "invoke", 1), (0, "ok", 1), (0, "invoke", 2), (0, "ok", 2)]
    lines = [
        LINE.format(number, number, process, kind, "write", value) for number, (process, kind, value) in enumerate(rows)
    ]
    path.write_text("".join([*lines, LINE.format(4, 4, 1, "invoke", "read", "null"), last]))
    return path


def test_a_history_whose_last_line_is_cut_is_not_valid(tmp_path: Path) -> None:
    whole = LINE.format(5, 5, 1, "ok", "read", 1)
    assert (
        check(_stale(tmp_path / "whole.jsonl", whole.rstrip()), model="register")["linearizable"].verdict
        is Verdict.INVALID
    )
    for cut in (whole[:-5], whole[: len(whole) // 2], "{", '{"index":5,"ti\0\0\0'):
        found = check(_stale(tmp_path / "cut.jsonl", cut), model="register")["linearizable"]
        assert (found.verdict, found.reason) == (
            Verdict.UNKNOWN,
            "nothing was found, but evidence is missing: cut.jsonl: its last line is cut",
        )


def test_a_cut_last_line_cancels_no_violation_before_it(tmp_path: Path) -> None:
    path = _stale(tmp_path / "cut.jsonl", LINE.format(5, 5, 1, "ok", "read", 1) + '{"index":6,')
    assert check(path, model="register")["linearizable"].verdict is Verdict.INVALID
