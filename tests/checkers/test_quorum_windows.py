"""Q2 and Q4: what succeeds, and how what fails ends, while no quorum exists."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.checkers import Fault, Verdict

from .quorum_stories import FIVE, check, confirm, cut_off, no_quorum, read, reading, until, untraced
from .trace_book import MS, Book, both_ways, kinds


def test_an_ok_write_wholly_inside_a_window_without_a_quorum() -> None:
    book = no_quorum(Book(FIVE))
    write = book.op("write", 120, 150, value=1, served_by="n2")
    result = untraced(book)
    assert "Q2-write-without-quorum" in kinds(result) and result.anomalies[0].ops == (write,)
    assert "at most 2 of 5 votes were connected" in result.anomalies[0].explanation
    assert result.stats["Q2"]["windows"] == 1 and result.stats["Q2"]["without_quorum_ms"] == 100


def test_a_write_that_begins_with_the_window_is_inside() -> None:
    book = no_quorum(Book(FIVE))
    write = book.op("write", 100, 150, value=1, served_by="n2")
    result = untraced(book)
    assert kinds(result) == ["Q2-write-without-quorum"] and result.anomalies[0].ops == (write,)


def test_a_write_that_ends_at_the_very_heal_may_be_ok_and_is_counted_if_it_is_refused() -> None:
    book = no_quorum(Book(FIVE))
    book.op("write", 150, 200, value=1, served_by="n2")
    book.op("write", 150, 200, kind="fail", error="no-quorum", value=2)
    result = untraced(book)
    assert (result.verdict, result.stats["Q4"]["refused"]) == (Verdict.VALID, 1)


@pytest.mark.parametrize(("start_ms", "end_ms"), [(99, 150), (150, 201), (10, 20), (210, 220)])
def test_a_write_that_reaches_out_of_the_window_may_be_ok(start_ms: float, end_ms: float) -> None:
    book = no_quorum(Book(FIVE))
    book.op("write", start_ms, end_ms, value=1, served_by="n2")
    assert untraced(book).verdict is Verdict.VALID


def test_writes_that_are_refused_or_unknown_inside_are_what_is_promised() -> None:
    book = no_quorum(Book(FIVE))
    book.op("write", 110, 120, kind="fail", error="no-quorum", value=1)
    book.op("write", 130, 190, kind="info", error="timeout", value=2)
    result = untraced(book)
    assert result.verdict is Verdict.VALID
    assert (result.stats["Q4"]["refused"], result.stats["Q4"]["unknown"]) == (1, 1)


def test_the_side_with_the_quorum_may_write() -> None:
    book = Book(FIVE)
    cut_off(book, 100, 200, ["n1", "n2"])
    book.op("write", 120, 150, value=1, served_by="n4")
    result = untraced(book)
    assert result.verdict is Verdict.VALID and result.stats["Q2"]["windows"] == 0


def test_the_other_side_may_not() -> None:
    book = Book(FIVE)
    cut_off(book, 100, 200, ["n1", "n2"])
    bad = book.op("write", 120, 150, value=1, served_by="n1")
    result = untraced(book)
    assert kinds(result) == ["Q2-write-on-a-side-without-quorum"] and result.anomalies[0].ops == (bad,)
    assert "with no more than n1 and n2: 2 of 5 votes" in result.anomalies[0].explanation


@pytest.mark.parametrize(("start_ms", "end_ms", "edges"), [(95, 150, None), (120, 150, [["n1", "n3"], ["n4", "n1"]])])
def test_a_side_is_only_what_certainly_could_not_exchange_messages(start_ms: float, end_ms: float, edges: Any) -> None:
    """The write begins before the cut; the messages go to n4 and come back by n3."""
    book = Book({"n1": 1, "n3": 1, "n4": 1})
    book.fault("cut", 100, 200, edges=edges or both_ways(("n1", "n3"), ("n1", "n4")))
    book.op("write", start_ms, end_ms, value=1, served_by="n1")
    assert untraced(book).verdict is Verdict.VALID


def test_a_read_on_a_side_without_quorum() -> None:
    book = reading()
    cut_off(book, 100, 200, ["n1"])
    bad = read(book, 110, 120)
    confirm(book, 115, ["n1", "n2"])
    result = check(until(book, 500).record())
    assert kinds(result) == ["Q3-read-on-a-side-without-quorum"] and result.anomalies[0].ops == (bad,)


@pytest.mark.parametrize(("preferred", "expected"), [(1, Verdict.INVALID), (2, Verdict.VALID)])
def test_halves_of_four_with_and_without_the_tiebreak(preferred: int, expected: Verdict) -> None:
    book = Book({"n1": preferred, "n2": 1, "n3": 1, "n4": 1})
    cut_off(book, 100, 200, ["n1", "n2"])
    book.op("write", 120, 150, value=1, served_by="n1")
    assert untraced(book).verdict is expected


def test_kill_and_cut_together_leave_no_quorum() -> None:
    """Two killed from 100, one cut off from 150 to 180: two of five remain in between."""
    book = Book(FIVE)
    book.fault("kill", 100, 200, nodes=["n4", "n5"])
    cut_off(book, 150, 180, ["n3"])
    inside = book.op("write", 155, 170, value=1, served_by="n1")
    before = untraced(book)
    assert before.anomalies[0].ops == (inside,) and before.anomalies[0].details["faults"] == ["cut-1", "kill-0"]
    book.events.clear()
    book.op("write", 105, 145, value=1, served_by="n1")
    assert untraced(book).verdict is Verdict.VALID


def test_windows_that_touch_are_one() -> None:
    book = Book(FIVE)
    book.fault("kill", 100, 150, nodes=["n1", "n2", "n3"])
    book.fault("pause", 150, 200, nodes=["n3", "n4", "n5"])
    book.op("write", 140, 160, value=1, served_by="n4")
    assert kinds(untraced(book)) == ["Q2-write-without-quorum"]


@pytest.mark.parametrize(("deaf_from_ms", "expected"), [(150, []), (100, ["Q2-write-without-quorum"])])
def test_votes_may_be_gathered_one_after_another_while_the_faults_change(
    deaf_from_ms: float, expected: list[str]
) -> None:
    """Never more than two of five are connected to n4: n1 until it hears no other node, then n2, which was stopped. Both can have voted, unless n1 was
    deaf from the beginning."""
    book = Book(FIVE)
    book.fault("power", 100, 200, nodes=["n3", "n5"])
    book.fault("pause", 100, 150, nodes=["n2"])
    book.fault("cut", deaf_from_ms, 200, edges=[["n2", "n1"], ["n4", "n1"]])
    book.op("write", 120, 170, value=1, served_by="n4")
    result = untraced(book)
    assert kinds(result) == expected
    assert result.stats["Q2"]["windows"] == 1


def test_without_a_served_by_nobody_may_have_had_a_quorum() -> None:
    """n4 and n5 can have answered no node after 150 ms, but n1 and n2 can; together with n3, none of them had three."""
    book = Book(FIVE)
    book.fault("kill", 100, 150, nodes=["n1", "n2", "n3"])
    book.fault("pause", 150, 200, nodes=["n3", "n4", "n5"])
    book.op("write", 140, 160, value=1)
    assert kinds(untraced(book)) == ["Q2-write-without-quorum"]


def test_a_cut_in_one_direction_separates() -> None:
    """No node hears n1, n2 and n3; they never hear each other's answers."""
    book = Book({"n1": 1, "n2": 1})
    book.fault("cut", 100, 200, edges=[["n1", "n2"]])
    book.op("write", 120, 150, value=1, served_by="n1")
    assert kinds(untraced(book)) == ["Q2-write-without-quorum"]


@pytest.mark.parametrize("doubt", ["unverified", "unhealed", "leaking", "relayed"])
def test_a_window_that_is_not_certain_proves_nothing(doubt: str) -> None:
    book = Book()
    edges = both_ways(("n1", "n2"), ("n1", "n3"), ("n2", "n3"))
    if doubt == "relayed":
        edges = both_ways(("n1", "n2"), ("n1", "n3"))
    book.fault("cut", 100, None if doubt == "unhealed" else 5_000, verified=doubt != "unverified", edges=edges)
    book.op("write", 120, 150, value=1, served_by="n2")
    probes = [(4_000 * MS, {("n1", "n2"): True, ("n2", "n1"): True})] if doubt == "leaking" else []
    result = untraced(book, reachability=probes)
    assert result.verdict is Verdict.VALID
    assert bool(result.stats["notes"]) == (doubt != "relayed")


def _changing(error_ms: float = 0.1) -> Book:
    """Five voters until n1 adopts four weights at 100 ms, three at 110 ms; the last is committed at 120 ms."""
    book = Book(FIVE, error_ms=error_ms).boot_all()
    book.at_ms = 90
    four, three = {**FIVE, "n5": 0}, {"n1": 1, "n2": 1, "n3": 1}
    book.line("n1", "config", at_ms=100, index=5, voters=four)
    book.line("n1", "config", at_ms=110, index=7, voters=three)
    book.commit("n1", 7, 1, dict.fromkeys(three, 7), voters=three)
    book.lines["n1"][-1]["mono_ns"] = 120 * MS
    return book


def test_while_voters_change_any_configuration_may_be_in_force() -> None:
    """n1 and n2 are a quorum of three and none of five. Only what was superseded long before is out."""
    for from_ms, expected in ((300, []), (105, []), (20, ["Q2-write-without-quorum"])):
        book = _changing()
        cut_off(book, from_ms, from_ms + 30, ["n1", "n2"])
        cut_off(book, from_ms, from_ms + 30, ["n3"])
        book.op("write", from_ms + 5, from_ms + 20, value=1, served_by="n1")
        assert [k for k in kinds(check(book.record())) if k.startswith("Q2")] == expected, from_ms


def test_a_configuration_that_was_superseded_is_no_excuse() -> None:
    """n3 n4 n5 had a quorum of the five, long ago."""
    book = _changing()
    cut_off(book, 300, 400, ["n3", "n4", "n5"])
    cut_off(book, 300, 400, ["n1"])
    book.op("write", 320, 350, value=1, served_by="n4")
    assert "Q2-write-without-quorum" in kinds(check(book.record()))


def test_unknown_weights_prove_nothing() -> None:
    """No traces, and the voters were changed: by an unknown way through unknown weights."""
    book = no_quorum(Book(FIVE))
    book.faults.append(Fault("v", "voters", {"voters": {"n1": 1}}, None, True, 50 * MS))
    book.op("write", 120, 150, value=1, served_by="n1")
    assert untraced(book).verdict is Verdict.VALID


# -- Q4


def test_a_stale_read_must_answer_marked_without_a_quorum() -> None:
    book = no_quorum(Book(FIVE))
    book.op("write", 0, 10, value=1)
    book.op("read", 110, 115, level="stale", stale=True)
    bad = book.op("read", 120, 125, level="stale")
    result = untraced(book)
    assert kinds(result) == ["Q4-unmarked-stale-read"] and result.anomalies[0].ops == (bad,)
    assert result.stats["Q4"]["stale_reads"] == {"marked": 1, "unmarked": 1}


def test_a_write_must_end_by_its_deadline_without_a_quorum() -> None:
    for end_ms, expected in ((1950, []), (2300, ["Q4-unanswered-write"]), (None, ["Q4-unanswered-write"])):
        book = Book()
        book.fault("kill", 0, 9_000, nodes=["n2", "n3"])
        book.op("write", 100, end_ms, kind="info", error="timeout", value=1)
        result = untraced(book, options={"deadline_ms": 1000}, phases={"end": 20_000 * MS})
        assert kinds(result) == expected, end_ms


def test_a_write_still_open_when_the_quorum_came_back_is_not_late() -> None:
    book = Book()
    book.fault("kill", 0, 1_000, nodes=["n2", "n3"])
    book.op("write", 100, 5_000, kind="info", error="timeout", value=1)
    assert untraced(book, options={"deadline_ms": 1000}).verdict is Verdict.VALID
