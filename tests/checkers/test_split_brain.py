"""Split brain by its four definitions: each violation as a literal story, each near miss next to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.checkers import CheckResult, RunRecord, Verdict
from tribulation.checkers.leadership.split_brain import SplitBrainChecker
from tribulation.histories import History, Type

from .cluster_runs import run_cluster
from .tiny_raft import tiny_run
from .trace_book import BUDGET, Book, both_ways, kinds


def check(record: RunRecord) -> CheckResult:
    return SplitBrainChecker().check(record, BUDGET)


def led() -> Book:
    """n1 leads term 1; entry 1 is committed and applied."""
    book = Book().boot_all()
    book.win("n1", 1, ["n1", "n2"])
    book.replicate("n1", ["n2"], 1, 1)
    return book


# -- SB1


def test_two_leaders_in_one_term() -> None:
    book = led()
    book.win("n3", 1, ["n3"])
    result = check(book.record())
    assert result.verdict is Verdict.INVALID and kinds(result) == ["SB1-two-leaders"]
    assert result.stats["SB1"]["violations"] == 1
    assert [line["node"] for line in result.anomalies[0].details["trace"]] == ["n1", "n3"]


# -- SB2


def test_two_leaders_in_two_terms_are_a_figure_and_no_violation() -> None:
    """n1 does not hear of term 2 for 40 ms."""
    book = led()
    book.at_ms = 100
    book.line("n2", "leader", term=2, last_index=1, votes=["n2", "n3"], voters=book.voters)
    book.line("n1", "follower", at_ms=141, term=2, leader="n2", reason="a later term")
    book.append("n2", (2, 2))
    result = check(book.record())
    assert result.verdict is Verdict.VALID
    assert result.stats["SB2"]["overlaps"] == 1
    assert result.stats["SB2"]["total_ms"] == pytest.approx(39.8), "101 to 141 ms, less the error of both clocks"
    assert [side["node"] for side in result.stats["SB2"]["longest"][0]["leaders"]] == ["n1", "n2"]


@pytest.mark.parametrize(
    ("event", "term", "total_ms"),
    [("follower", 2, 39.8), ("follower", 1, 39.8), ("follower", 0, 199.8), ("term", 2, 39.8), ("term", 1, 199.8)],
)
def test_a_leader_leads_until_it_hears_of_a_later_term_and_goes_on_tracing(
    event: str, term: int, total_ms: float
) -> None:
    """Its line that it follows is of its own term at least: it may say so late, when it follows a leader that came before."""
    book = led()
    book.at_ms = 100
    book.line("n2", "leader", term=2, last_index=1, votes=["n2", "n3"], voters=book.voters)
    book.line("n1", event, at_ms=141, term=term, leader="n2")
    for node in ("n1", "n2"):
        book.line(node, "quorum", at_ms=301)
    assert check(book.record()).stats["SB2"]["total_ms"] == pytest.approx(total_ms)


def test_a_killed_leader_leads_until_its_last_line_at_most() -> None:
    book = led()
    book.line("n2", "leader", at_ms=500, term=2, last_index=1, votes=["n2", "n3"], voters=book.voters)
    book.line("n2", "term", at_ms=900, term=3)
    book.boot("n1", term=1, last=(1, 1), voted_for="n1", again=True)
    assert check(book.record()).stats["SB2"]["overlaps"] == 0


# -- SB3


def test_an_acknowledged_write_whose_index_holds_a_later_entry() -> None:
    book = led()
    lost = book.op("write", 20, 30, value=5, log_index=2, term=1, served_by="n1", session=9, seq=1)
    book.win("n2", 3, ["n2", "n3"], last_index=1)
    book.apply("n2", (1, 1), (2, 3))
    result = check(book.record())
    assert kinds(result) == ["SB3-lost-acknowledged-write"]
    assert result.anomalies[0].ops == (lost,)
    assert "write k ← 5" in result.anomalies[0].explanation
    assert result.anomalies[0].details == {"index": 2, "acknowledged_term": 1, "applied": [2, 3, 102]}


def test_an_acknowledged_write_of_no_term_may_be_of_the_later_one() -> None:
    book = led()
    book.op("write", 20, 30, value=5, log_index=2, served_by="n1", session=9, seq=1)
    book.win("n2", 2, ["n2", "n3"], last_index=1)
    book.apply("n2", (1, 1), (2, 2))
    assert check(book.record()).verdict is Verdict.VALID


def test_an_acknowledgement_in_a_later_term_of_an_earlier_entry_is_fine() -> None:
    """The client's retry is answered by the next leader."""
    book = led()
    book.op("write", 20, 30, value=5, log_index=1, term=3, served_by="n2")
    assert check(book.record()).verdict is Verdict.VALID


def test_two_writes_at_one_index() -> None:
    book = Book()
    first = book.op("write", 0, 10, value=1, log_index=8, term=4, served_by="n1", session=1, seq=1)
    second = book.op("write", 0, 20, value=2, log_index=8, term=5, served_by="n3", session=2, seq=1)
    result = check(book.record(traces={}))
    assert kinds(result) == ["SB3-two-writes-one-index"] and result.anomalies[0].ops == (first, second)


def test_writes_that_do_not_say_which_command_they_are_may_be_one() -> None:
    book = Book()
    book.op("write", 0, 10, value=1, log_index=8, term=4, served_by="n1", session=1, seq=1)
    book.op("write", 0, 20, value=2, log_index=8, term=5, served_by="n3", session=2)
    book.op("write", 0, 30, value=3, log_index=8, term=5, served_by="n3", seq=1)
    assert check(book.record(traces={})).verdict is Verdict.VALID


def test_one_command_answered_twice_at_its_index_is_fine() -> None:
    book = Book()
    book.op("write", 0, 10, value=1, log_index=8, term=4, served_by="n1", session=1, seq=1)
    book.op("write", 0, 20, value=1, log_index=8, term=5, served_by="n3", session=1, seq=1)
    book.op("cas", 30, 40, kind="fail", error="mismatch", value=[1, 2], log_index=9, term=5, session=1, seq=2)
    assert check(book.record(traces={})).verdict is Verdict.VALID


def test_what_a_node_acknowledged_is_not_what_was_applied_there() -> None:
    """The history reports no write; the traces alone do."""
    book = led()
    book.append("n1", (2, 1))
    book.line("n1", "ack", session=9, index=2, term=1, level="linearizable", kind="write", command=1)
    book.append("n3", (2, 2), crc=500)
    book.apply("n3", (2, 2), crc=500)
    result = check(book.record())
    assert kinds(result) == ["SB3-lost-acknowledged-write"]
    (anomaly,) = result.anomalies
    assert anomaly.ops == () and (anomaly.details["index"], anomaly.details["applied"][1]) == (2, 2)
    op = book.op("write", 0, 10, value=7, log_index=9, session=9, seq=1)
    assert check(book.record()).anomalies[0].ops == (op,)


@pytest.mark.parametrize("session", [[9], {"a": 9}, "9", 9.5])
def test_a_session_may_be_of_any_type(session: Any) -> None:
    """Of a list or an object, the checker ended with an error, and the violation became a doubt."""
    book = led()
    book.append("n1", (2, 1))
    op = book.op("write", 0, 10, value=7, log_index=9, session=session, seq=1)
    book.line("n1", "ack", session=session, index=2, term=1, level="linearizable", kind="write", command=1)
    book.append("n3", (2, 2), crc=500)
    book.apply("n3", (2, 2), crc=500)
    result = check(book.record())
    assert kinds(result) == ["SB3-lost-acknowledged-write"] and result.anomalies[0].ops == (op,)


def _ack(book: Book, node: str, index: int, term: int) -> None:
    book.line(node, "ack", session=9, index=index, term=term, level="linearizable", kind="write", command=1)


def test_an_acknowledgement_by_a_node_that_held_another_entry() -> None:
    book = led()
    lost = book.op("write", 5, 30, value=5, log_index=2, term=1, served_by="n1", session=9, seq=1)
    book.append("n1", (2, 1))
    _ack(book, "n1", 2, 1)
    book.apply("n2", (1, 1), (2, 7))
    result = check(book.record())
    assert all(anomaly.ops == (lost,) for anomaly in result.anomalies) and result.anomalies


@pytest.mark.parametrize(("term", "verdict"), [(2, Verdict.VALID), (1, Verdict.INVALID)])
def test_a_follower_passes_the_leaders_answer_on_before_its_own_log_has_the_entry(term: int, verdict: Verdict) -> None:
    """It holds an entry that is about to be truncated (a false SB3 of a correct node). An answer of the older term is lost all the same."""
    book = led()
    book.win("n2", 2, ["n2", "n3"], last_index=1)
    book.append("n3", (2, 1))
    _ack(book, "n3", 2, term)
    book.append("n2", (2, 2))
    book.apply("n2", (1, 1), (2, 2))
    assert check(book.record()).verdict is verdict


def test_a_later_leader_whose_log_ends_before_an_acknowledged_write() -> None:
    """Nothing was written at that index yet, so nothing else shows the loss."""
    book = led()
    lost = book.op("write", 5, 30, value=5, log_index=2, term=1, served_by="n1", session=9, seq=1)
    book.append("n1", (2, 1))
    _ack(book, "n1", 2, 1)
    book.win("n2", 2, ["n2", "n3"], last_index=1)
    result = check(book.record())
    assert kinds(result) == ["SB3-lost-acknowledged-write"] and result.anomalies[0].ops == (lost,)


def test_a_deposed_leader_passes_on_what_its_successor_acknowledged() -> None:
    """Its line of stepping down waits for a slow disk, and the acknowledgement, of an entry of the later term, comes before it."""
    book = led()
    book.op("write", 5, 30, value=5, log_index=2, term=2, served_by="n1", session=9, seq=1)
    book.win("n2", 2, ["n2", "n3"], last_index=1)
    book.append("n2", (2, 2))
    _ack(book, "n1", 2, 2)
    book.line("n1", "follower", term=2, leader="n2", reason="a later term")
    assert check(book.record()).verdict is Verdict.VALID


def test_an_unacknowledged_entry_may_be_replaced() -> None:
    book = led()
    book.op("write", 5, 900, kind="info", value=5, error="timeout")
    book.append("n1", (2, 1))
    book.win("n2", 2, ["n2", "n3"], last_index=1)
    book.append("n2", (2, 2))
    book.apply("n2", (1, 1), (2, 2))
    assert check(book.record()).verdict is Verdict.VALID


def test_acknowledgements_on_both_sides_of_a_cut_are_shown() -> None:
    book = led()
    book.fault("cut", 100, 200, edges=both_ways(("n1", "n3"), ("n2", "n3")))
    book.op("write", 110, 120, value=1, served_by="n1")
    book.op("write", 130, 140, value=2, served_by="n3")
    result = check(book.record())
    assert result.stats["SB3"]["acknowledged_apart"] == [{"from_ms": 100.0, "ops": [0, 2]}]
    assert result.verdict is Verdict.VALID, "where to look, and no proof by itself"


# -- SB4


def test_a_read_from_before_an_acknowledged_write() -> None:
    book = Book()
    write = book.op("write", 0, 10, value=1, log_index=12, term=2, served_by="n2")
    read = book.op("read", 20, 30, log_index=11, term=1, served_by="n1")
    result = check(book.record(traces={}))
    assert kinds(result) == ["SB4-stale-read"] and result.anomalies[0].ops == (write, read)
    assert "served by n1 in term 1" in result.anomalies[0].explanation


@pytest.mark.parametrize(
    "second",
    [
        {"log_index": 12},
        {"log_index": 11, "stale": True},
        {"log_index": 11, "level": "stale"},
        {"log_index": 11, "level": "sequential"},
        {},
    ],
)
def test_reads_that_are_no_stale_reads(second: dict[str, Any]) -> None:
    """At the same index; marked; of another level; without an index."""
    book = Book()
    book.op("write", 0, 10, value=1, log_index=12, term=2)
    book.op("read", 20, 30, **second)
    assert check(book.record(traces={})).verdict is Verdict.VALID


def test_a_read_that_overlaps_the_write_may_miss_it() -> None:
    """By position: the read is asked before the write is answered."""
    book = Book()
    write, answer = (book.op("write", 0, 30, value=1, log_index=12, term=2), book.events.pop())
    read = book.op("read", 20, None)
    book.events.append(replace(answer, index=3))
    done = replace(book.events[1], index=4, time_ns=40_000_000, type=Type.OK, extra={"log_index": 11})
    book.events.insert(1, book.events.pop(1))
    events = [book.events[0], replace(book.events[1], index=2), book.events[2], done]
    assert (write, read) == (0, 1)
    assert check(book.record(traces={}, history=History(events))).verdict is Verdict.VALID


def test_a_stale_marked_read_is_no_source_either() -> None:
    book = Book()
    book.op("read", 0, 10, level="stale", log_index=99)
    book.op("read", 20, 30, log_index=11)
    assert check(book.record(traces={})).verdict is Verdict.VALID


# -- doubt


def test_a_history_that_names_no_index_is_unknown() -> None:
    book = Book()
    book.op("write", 0, 10, value=1)
    record = book.record(traces={})
    assert not SplitBrainChecker().applies(record)
    assert check(record).verdict is Verdict.UNKNOWN


def test_missing_lines_are_a_doubt() -> None:
    book = led()
    del book.lines["n2"][1]
    assert check(book.record()).verdict is Verdict.UNKNOWN


# -- many runs


@given(st.integers(0, 10**9), st.integers(3, 5), st.booleans())
def test_correct_runs_with_lost_lines_are_never_invalid(seed: int, nodes: int, lose_lines: bool) -> None:
    result = check(tiny_run(seed, nodes=nodes, lose_lines=lose_lines))
    assert result.verdict is not Verdict.INVALID, result.anomalies


def _done(record: RunRecord, f: str) -> list[int]:
    return [i for i, e in enumerate(record.history.events) if e.type is Type.OK and e.f == f and "log_index" in e.extra]


def _with(record: RunRecord, at: int, **extra: Any) -> RunRecord:
    events = list(record.history.events)
    events[at] = replace(events[at], extra={**events[at].extra, **extra})
    return replace(record, history=History(events))


def _older_read(record: RunRecord) -> RunRecord | None:
    reads, writes = _done(record, "read"), _done(record, "write")
    asked = {event.process: event.index for event in record.history.events if event.type is Type.INVOKE}
    pairs = [(r, w) for r in reads for w in writes if w < asked[record.history.events[r].process]]
    if not pairs:
        return None
    read, write = pairs[-1]
    return _with(record, read, log_index=record.history.events[write].extra["log_index"] - 1)


def _taken_index(record: RunRecord) -> RunRecord | None:
    writes = _done(record, "write")
    if len(writes) < 2:
        return None
    return _with(record, writes[1], log_index=record.history.events[writes[0]].extra["log_index"])


def _lower_term(record: RunRecord) -> RunRecord | None:
    writes = _done(record, "write")
    return _with(record, writes[0], term=0) if writes else None


@pytest.mark.parametrize("mutate", [_older_read, _taken_index, _lower_term])
def test_a_mutated_run_is_caught(mutate: Callable[[RunRecord], RunRecord | None]) -> None:
    caught = 0
    for seed in range(25):
        mutated = mutate(tiny_run(seed, steps=250, lose_lines=False))
        if mutated is not None:
            assert check(mutated).verdict is Verdict.INVALID, f"seed {seed}"
            caught += 1
    assert caught >= 3


def test_the_real_core_under_faults_is_accepted() -> None:
    result = check(run_cluster(11, seconds=6, clients=3))
    assert result.verdict is Verdict.VALID, (result.reason, result.anomalies)
    assert result.stats["SB3"]["compared"] > 50 and result.stats["SB4"]["reads"] > 50
