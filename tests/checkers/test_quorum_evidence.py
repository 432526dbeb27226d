"""Q1 and Q3: writes that a quorum held, and reads that one confirmed."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.checkers import Verdict
from tribulation.checkers import check as check_all

from .quorum_stories import FIVE, check, confirm, cut_off, led, no_quorum, read, reading, until, untraced, write
from .trace_book import THREE, Book, kinds


def test_a_write_that_a_quorum_held_before_its_ok() -> None:
    book = led()
    write(book, 1, 50)
    result = check(book.record())
    assert result.verdict is Verdict.VALID
    assert result.stats["Q1"] == {"writes": 1, "proven": 1, "claimed": 0, "undecided": 0}


def test_a_write_acknowledged_while_one_disk_had_it() -> None:
    """Entry 2 reaches n2 at 300 ms; the ok was at 200 ms."""
    book = led()
    book.append("n1", (2, 1))
    book.durable("n1", 2, 1)
    bad = write(book, 2, 200)
    book.line("n2", "append", at_ms=300, entries=[[2, 1, 102]])
    book.line("n3", "term", at_ms=400, term=1)
    result = check(book.record())
    assert kinds(result) == ["Q1-acknowledged-before-quorum"] and result.anomalies[0].ops == (bad,)
    assert "at most n1 can have had it on disk: 1 of 3" in result.anomalies[0].explanation


@pytest.mark.parametrize(("followers", "expected"), [([], ["Q1-acknowledged-before-quorum"]), (["n2"], [])])
def test_voters_that_the_run_does_not_name_are_those_of_the_first_boots(
    followers: list[str], expected: list[str]
) -> None:
    book = led()
    for node in ("n1", *followers):
        book.append(node, (2, 1))
        book.durable(node, 2, 1)
    write(book, 2, 200)
    book.boot("n3", term=1, again=True, voters={"n1": 1})
    assert kinds(check(until(book, 500).record(voters={}))) == expected


def test_a_killed_follower_may_have_held_it_in_its_lost_lines() -> None:
    """n3 boots with entry 2 on its disk; its line before was at 150 ms, the ok at 200 ms."""
    book = led()
    book.append("n1", (2, 1))
    book.durable("n1", 2, 1)
    book.commit("n1", 2, 1, {"n1": 2, "n2": 0, "n3": 2})
    write(book, 2, 200)
    book.line("n2", "term", at_ms=390, term=1)
    book.line("n3", "term", at_ms=150, term=1)
    book.at_ms = 300
    book.boot("n3", term=1, last=(2, 1), again=True)
    result = check(book.record())
    assert result.verdict is Verdict.VALID and result.stats["Q1"]["proven"] == 1


def test_a_trace_that_ends_early_decides_nothing() -> None:
    book = led()
    book.append("n1", (2, 1))
    book.durable("n1", 2, 1)
    book.commit("n1", 2, 1, {"n1": 2, "n2": 2, "n3": 0})
    write(book, 2, 200)
    result = check(book.record())
    assert result.verdict is Verdict.VALID and result.stats["Q1"]["claimed"] == 1


def test_unknown_clocks_decide_nothing() -> None:
    book = led()
    book.offsets.clear()
    book.append("n1", (2, 1))
    write(book, 2, 90)
    book.line("n2", "append", at_ms=300, entries=[[2, 1, 102]])
    book.line("n3", "term", at_ms=400, term=1)
    assert check(book.record()).verdict is not Verdict.INVALID


def test_a_read_confirmed_in_its_interval() -> None:
    book = reading()
    confirm(book, 115, ["n1", "n2"])
    read(book, 110, 120)
    result = check(until(book, 500).record())
    assert result.verdict is Verdict.VALID and result.stats["Q3"]["confirmed"] == 1


@pytest.mark.parametrize("moments_ms", [(105,), (125,), (), (105, 125), (102, 105, 125, 130)])
def test_a_read_without_confirmation(moments_ms: tuple[float, ...]) -> None:
    """Before it was asked, after it was answered, never, or both of them."""
    book = reading()
    for at_ms in moments_ms:
        confirm(book, at_ms, ["n1", "n2"])
    bad = read(book, 110, 120)
    result = check(until(book, 500).record())
    assert kinds(result) == ["Q3-unconfirmed-read"] and result.anomalies[0].ops == (bad,)


def test_a_confirmation_at_a_later_index_is_not_of_this_read() -> None:
    book = reading()
    confirm(book, 115, ["n1", "n2"], index=9)
    read(book, 110, 120, index=1)
    assert kinds(check(until(book, 500).record())) == ["Q3-unconfirmed-read"]


def test_a_confirmation_that_may_be_lost_with_a_killed_node() -> None:
    """n3 was killed around the read; it may have led for a moment."""
    book = reading()
    read(book, 110, 120)
    for node in ("n1", "n2"):
        book.line(node, "quorum", at_ms=500)
    book.boot("n3", term=1, again=True)
    book.line("n3", "quorum", at_ms=600)
    result = check(book.record())
    assert result.verdict is Verdict.VALID and result.stats["Q3"]["undecided"] == 1


def test_a_round_that_half_of_the_weight_answered() -> None:
    book = reading()
    confirm(book, 115, ["n1"])
    assert kinds(check(until(book, 500).record())) == ["Q3-read-without-quorum"]


@pytest.mark.parametrize("acks", [[7], [["n2"]], [None, "n2"]])
def test_a_round_whose_answers_are_no_names_hides_no_other(acks: list[Any]) -> None:
    """Sorting them for the sentence ended the checker with an error. Such a line is a gap of the node's trace."""
    book = reading()
    book.line("n2", "read-confirmed", at_ms=114, index=1, acks=acks, voters=THREE)
    confirm(book, 115, ["n1"])
    result = check_all(until(book, 500).record(), ["quorum"])["quorum"]
    assert result.verdict is Verdict.UNKNOWN and result.reason is not None
    assert result.reason.startswith(
        "what was found (Q3-read-without-quorum) may be explained by missing evidence: n2: "
    )
    assert result.reason.endswith("line 6 is not one that a node writes: votes or acks are not names of nodes")


def test_a_round_counted_by_voters_of_its_own() -> None:
    book = reading()
    book.line("n1", "read-confirmed", at_ms=115, index=1, acks=["n1"], voters={"n1": 1}, rounds=1)
    assert kinds(check(until(book, 500).record())) == ["Q3-read-without-quorum"]


@pytest.mark.parametrize(("clock", "expected"), [("monotonic", []), ("wall", ["Q3-read-by-bad-lease"])])
def test_reads_by_a_lease(clock: str, expected: list[str]) -> None:
    book = reading()
    book.line("n1", "lease", at_ms=115, until_ns=10**12, clock=clock)
    op = read(book, 110, 120)
    result = check(until(book, 500).record())
    assert kinds(result) == expected and result.stats["Q3"]["leased"] == 1
    assert all(anomaly.ops == (op,) for anomaly in result.anomalies)


def test_stale_reads_need_no_confirmation() -> None:
    book = reading()
    book.op("read", 110, 120, level="stale", log_index=1, stale=True)
    assert check(until(book, 500).record()).verdict is Verdict.VALID


def test_a_linearizable_read_where_no_quorum_could_exist() -> None:
    book = reading()
    book.fault("kill", 100, 200, nodes=["n2", "n3"])
    bad = read(book, 110, 120)
    confirm(book, 115, ["n1", "n2"])
    result = check(until(book, 500).record())
    assert kinds(result) == ["Q3-read-without-quorum"] and result.anomalies[0].ops == (bad,)


@pytest.mark.parametrize("side", [["n1"], ["n1", "n2"]])
def test_of_reads_without_traces_the_campaign_says_whether_they_need_a_quorum(side: list[str]) -> None:
    """From history and ledger alone leases are unknown. On the side with two of three votes a read is in order."""
    book = Book({"n1": 1, "n2": 1, "n3": 1})
    cut_off(book, 100, 200, side)
    book.op("write", 10, 20, value=1, served_by="n1")
    read = book.op("read", 120, 150, served_by="n1")
    asked = {"quorum": {"reads_need_quorum": True}}
    assert untraced(book).verdict is Verdict.VALID
    result = untraced(book, options=asked)
    assert kinds(result) == (["Q3-read-on-a-side-without-quorum"] if side == ["n1"] else [])
    assert all(anomaly.ops == (read,) for anomaly in result.anomalies)


def test_a_read_without_traces_where_no_quorum_could_exist() -> None:
    book = no_quorum(Book(FIVE))
    book.op("write", 10, 20, value=1, served_by="n1")
    read = book.op("read", 120, 150, served_by="n2")
    result = untraced(book, options={"quorum": {"reads_need_quorum": True}})
    assert kinds(result) == ["Q3-read-without-quorum"] and result.anomalies[0].ops == (read,)
    assert untraced(book).verdict is Verdict.VALID
