"""What was not judged is not valid: histories in which nothing happened, operations that a named checker leaves over, answers of another kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tribulation.checkers import CheckResult, Verdict, check
from tribulation.checkers.run_all import unjudged_of
from tribulation.checkers.sources import as_record
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
    with pytest.raises(Undecided, match="no operation of this history took effect"):
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


def _done(process: int, f: str, asked: Any, answered: Any) -> list[tuple[Any, ...]]:
    return [(process, "invoke", f, asked), (process, "ok", f, answered)]


@pytest.mark.parametrize(
    ("model", "history"),
    [
        ("set", _done(0, "add", 1, 1) + _done(1, "read", None, 1)),
        ("set", _done(0, "add", "a", "a") + _done(1, "read", None, "a")),
        ("set", _done(0, "add", 1, 1) + _done(1, "read", None, {"1": 1})),
        ("list", _done(0, "append", 1, 1) + _done(1, "read", None, 1)),
        ("counter", _done(0, "add", 1, 1) + _done(1, "read", None, "1")),
        ("counter", _done(0, "add", 0.1, 0.1) + _done(0, "add", 0.2, 0.2) + _done(1, "read", None, 0.3)),
        ("priority-queue", _done(0, "insert", 1, 1) + _done(0, "insert", "a", "a") + _done(0, "delete-min", None, 1)),
    ],
)
def test_answers_and_elements_of_another_kind_are_unknown_with_their_place(
    model: str, history: list[tuple[Any, ...]]
) -> None:
    found = check(history, model=model)["linearizable"]
    assert found.verdict is Verdict.UNKNOWN, found
    assert found.reason is not None and "of history index" in found.reason


def test_a_read_of_a_counter_that_answers_null_is_not_judged() -> None:
    added = _done(0, "add", 1, 1) + _done(1, "read", None, 1)
    assert set(check(added, model="counter")) == {"linearizable"}
    for options in ({"model": "counter"}, {"checkers": ["linearizable"], "narrow": False}):
        found = check(added + _done(1, "read", None, None), **options)
        assert found["unjudged"].stats["operations"] == {"read": 1}


def test_sums_beyond_64_bits_are_unknown() -> None:
    huge = _done(0, "add", 2**61, 2**61)
    for history in (_done(0, "add", 2**70, 2**70) + _done(0, "read", None, 5), huge * 3 + _done(0, "read", None, 5)):
        found = check(history, ["counter-bounds"])["counter-bounds"]
        assert found.verdict is Verdict.UNKNOWN and "above 2^62" in (found.reason or ""), found


@pytest.mark.parametrize("balances", [{}, [["a", 5], ["a", 5], ["b", 5]]])
def test_a_bank_whose_reads_show_no_account_or_one_twice_is_unknown(balances: Any) -> None:
    moved = _done(0, "transfer", {"from": "a", "to": "b", "amount": 1}, None)
    reads = _done(1, "read", None, [["a", 5], ["b", 5]] if balances else {}) + _done(1, "read", None, balances)
    assert check(moved + reads, model="bank")["bank"].verdict is Verdict.UNKNOWN


def test_an_add_without_a_number_makes_no_violation_of_a_counter() -> None:
    """The read is too high for the other adds alone."""
    history = _done(0, "add", "five", "five") + _done(0, "add", 1, 1) + _done(1, "read", None, 6)
    assert check(history, ["counter-bounds"])["counter-bounds"].verdict is Verdict.UNKNOWN


def test_operations_of_a_checker_that_is_not_there_are_counted_by_the_others() -> None:
    """A run whose campaign names the checker of a plugin ended in an internal error where the plugin was not run."""
    record = as_record(WROTE)
    absent = CheckResult("of-a-plugin", Verdict.UNKNOWN, reason="a checker of a plugin, which was not run")
    assert unjudged_of(record, {"of-a-plugin": absent}) == {"write": 1}


MOVED = _done(0, "transfer", {"from": "a", "to": "b", "amount": 1}, None)


def _bank(*reads: Any) -> list[tuple[Any, ...]]:
    return MOVED + [event for read in reads for event in _done(1, "read", None, read)]


@pytest.mark.parametrize(
    ("history", "options", "why"),
    [
        (_bank({"a": 1, "b": 1}), {}, "one read"),
        (_bank({"a": float(2**53), "b": 0}, {"a": float(2**53), "b": 1.0}), {}, "rounded"),
        (_bank({"a": 0.1, "b": 0.2}, {"a": 0.30000000000000004, "b": 0.0}), {}, "rounded"),
        (_bank({"a": 0.1, "b": 0.2}, {"a": 0.3, "b": 0.0}), {}, "rounded"),
    ],
)
def test_totals_that_were_compared_with_nothing_or_rounded_are_unknown(
    history: list[tuple[Any, ...]], options: dict[str, Any], why: str
) -> None:
    found = check(history, model="bank", options=options)["bank"]
    assert found.verdict is Verdict.UNKNOWN and why in (found.reason or ""), found


def test_a_total_that_is_given_is_compared_with_one_read() -> None:
    for right, verdict in ((2, Verdict.VALID), (3, Verdict.INVALID)):
        found = check(_bank({"a": 1, "b": 1}), model="bank", options={"bank": {"total": right}})["bank"]
        assert found.verdict is verdict, found


def test_a_wrong_total_of_fractions_stays_wrong() -> None:
    assert check(_bank({"a": 0.5, "b": 0.5}, {"a": 0.5, "b": 0.25}), model="bank")["bank"].verdict is Verdict.INVALID


def test_a_bank_that_was_never_read_is_not_covered_by_the_reads_of_another() -> None:
    read = [(*event, "k") for event in _bank({"a": 1, "b": 1}, {"a": 0, "b": 2})]
    found = check(read + [(*event, "never") for event in MOVED], model="bank")["bank"]
    assert found.verdict is Verdict.UNKNOWN and "never" in (found.reason or ""), found


@pytest.mark.parametrize("tokens", [("10", 9), (None, None), (1, True)])
def test_locks_that_answer_no_tokens_are_not_judged_by_tokens(tokens: tuple[Any, Any]) -> None:
    history = [
        event for token in tokens for event in _done(0, "acquire", None, token) + _done(0, "release", token, None)
    ]
    found = check(history, model="fenced-mutex")
    assert found["linearizable"].verdict is Verdict.UNKNOWN, found
    assert "of history index" in (found["linearizable"].reason or "")
    if 1 in tokens:
        assert check(history, ["fencing-tokens"])["fencing-tokens"].verdict is Verdict.UNKNOWN


def test_a_send_that_was_answered_for_another_value_is_unknown() -> None:
    history = _done(0, "send", [["send", "x", 1]], [["send", "x", [0, 2]]]) + _done(
        1, "poll", [["poll"]], [["poll", {"x": [[0, 2]]}]]
    )
    found = check(history, model="kafka")["kafka"]
    assert found.verdict is Verdict.UNKNOWN and "history index 0" in (found.reason or ""), found


def test_a_history_of_what_was_done_to_the_system_alone_is_not_valid() -> None:
    history = [("nemesis", "info", "write", 1), ("nemesis", "info", "read", 9)]
    assert check(history, model="register")["linearizable"].verdict is Verdict.UNKNOWN


def test_a_truth_value_is_no_number_that_was_added() -> None:
    history = _done(0, "add", True, True) + _done(0, "read", None, 1)
    assert check(history, model="counter")["linearizable"].verdict is Verdict.UNKNOWN


def test_a_read_of_a_set_that_shows_an_element_twice_is_no_answer_of_a_set() -> None:
    history = _done(0, "add", 1, 1) + _done(0, "read", None, [1, 1])
    found = check(history, model="set")["linearizable"]
    assert found.verdict is Verdict.UNKNOWN and "history index 2" in (found.reason or ""), found


@pytest.mark.parametrize("f", ["write", "enqueue", "push", "append"])
def test_a_history_in_which_nothing_was_observed_is_not_valid(f: str) -> None:
    found = check(_done(0, f, 1, 1) + _done(0, f, 2, 2))
    assert found["vacuity"].verdict is Verdict.UNKNOWN and "observed" in (found["vacuity"].reason or ""), found
