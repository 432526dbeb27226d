"""The quorum guarantees Q1 to Q4: each violation as a literal story, each near miss next to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.checkers import CheckResult, Fault, RunRecord, Verdict
from tribulation.checkers.quorum.checker import QuorumChecker
from tribulation.histories import Type

from .cluster_runs import run_cluster
from .tiny_raft import TICK_NS, tiny_run
from .trace_book import BUDGET, MS, Book, both_ways, kinds

FIVE = dict.fromkeys(["n1", "n2", "n3", "n4", "n5"], 1)


def check(record: RunRecord) -> CheckResult:
    return QuorumChecker().check(record, BUDGET)


def untraced(book: Book, **more: Any) -> CheckResult:
    return check(book.record(traces={}, **more))


def cut_off(book: Book, from_ms: float, to_ms: float | None, side: list[str], **more: Any) -> None:
    others = [name for name in book.voters if name not in side]
    book.fault("cut", from_ms, to_ms, edges=both_ways(*[(a, b) for a in side for b in others]), **more)


# -- Q2


def no_quorum(book: Book) -> Book:
    """n1 n2 | n3 | n4 n5 from 100 to 200 ms: no side has three of five."""
    cut_off(book, 100, 200, ["n1", "n2"])
    cut_off(book, 100, 200, ["n4", "n5"])
    return book


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
    bad = _read(book, 110, 120)
    _confirm(book, 115, ["n1", "n2"])
    result = check(_until(book, 500).record())
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


# -- Q1


def led() -> Book:
    """n1 leads; entry 1 went to n2, and a write acknowledged at it lies in the history."""
    book = Book().boot_all()
    book.win("n1", 1, ["n1", "n2"])
    book.replicate("n1", ["n2"], 1, 1)
    book.line("n1", "term", at_ms=100, term=1)
    return book


def _write(book: Book, index: int, end_ms: float, term: int = 1) -> int:
    return book.op("write", 0, end_ms, value=1, log_index=index, term=term, served_by="n1", session=9, seq=1)


def test_a_write_that_a_quorum_held_before_its_ok() -> None:
    book = led()
    _write(book, 1, 50)
    result = check(book.record())
    assert result.verdict is Verdict.VALID
    assert result.stats["Q1"] == {"writes": 1, "proven": 1, "claimed": 0, "undecided": 0}


def test_a_write_acknowledged_while_one_disk_had_it() -> None:
    """Entry 2 reaches n2 at 300 ms; the ok was at 200 ms."""
    book = led()
    book.append("n1", (2, 1))
    book.durable("n1", 2, 1)
    bad = _write(book, 2, 200)
    book.line("n2", "append", at_ms=300, entries=[[2, 1, 102]])
    book.line("n3", "term", at_ms=400, term=1)
    result = check(book.record())
    assert kinds(result) == ["Q1-acknowledged-before-quorum"] and result.anomalies[0].ops == (bad,)
    assert "at most n1 can have had it on disk: 1 of 3" in result.anomalies[0].explanation


def test_a_killed_follower_may_have_held_it_in_its_lost_lines() -> None:
    """n3 boots with entry 2 on its disk; its line before was at 150 ms, the ok at 200 ms."""
    book = led()
    book.append("n1", (2, 1))
    book.durable("n1", 2, 1)
    book.commit("n1", 2, 1, {"n1": 2, "n2": 0, "n3": 2})
    _write(book, 2, 200)
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
    _write(book, 2, 200)
    result = check(book.record())
    assert result.verdict is Verdict.VALID and result.stats["Q1"]["claimed"] == 1


def test_unknown_clocks_decide_nothing() -> None:
    book = led()
    book.offsets.clear()
    book.append("n1", (2, 1))
    _write(book, 2, 90)
    book.line("n2", "append", at_ms=300, entries=[[2, 1, 102]])
    book.line("n3", "term", at_ms=400, term=1)
    assert check(book.record()).verdict is not Verdict.INVALID


# -- Q3


def _confirm(book: Book, at_ms: float, acks: list[str], index: int = 1, node: str = "n1") -> None:
    book.line(node, "read-confirmed", at_ms=at_ms, index=index, acks=acks, voters=book.voters, rounds=1)


def _read(book: Book, start_ms: float, end_ms: float, index: int = 1) -> int:
    return book.op("read", start_ms, end_ms, log_index=index, term=1, served_by="n1")


def reading() -> Book:
    book = led()
    _write(book, 1, 50)
    return book


def _until(book: Book, at_ms: float) -> Book:
    """Every node goes on tracing until then."""
    for node in book.voters:
        book.line(node, "quorum", at_ms=at_ms)
    return book


def test_a_read_confirmed_in_its_interval() -> None:
    book = reading()
    _confirm(book, 115, ["n1", "n2"])
    _read(book, 110, 120)
    result = check(_until(book, 500).record())
    assert result.verdict is Verdict.VALID and result.stats["Q3"]["confirmed"] == 1


@pytest.mark.parametrize("at_ms", [105, 125, None])
def test_a_read_that_nobody_confirmed(at_ms: float | None) -> None:
    """Before it was asked, after it was answered, never."""
    book = reading()
    if at_ms is not None:
        _confirm(book, at_ms, ["n1", "n2"])
    bad = _read(book, 110, 120)
    result = check(_until(book, 500).record())
    assert kinds(result) == ["Q3-unconfirmed-read"] and result.anomalies[0].ops == (bad,)


def test_a_confirmation_at_a_later_index_is_not_of_this_read() -> None:
    book = reading()
    _confirm(book, 115, ["n1", "n2"], index=9)
    _read(book, 110, 120, index=1)
    assert kinds(check(_until(book, 500).record())) == ["Q3-unconfirmed-read"]


def test_a_confirmation_that_may_be_lost_with_a_killed_node() -> None:
    """n3 was killed around the read; it may have led for a moment."""
    book = reading()
    _read(book, 110, 120)
    for node in ("n1", "n2"):
        book.line(node, "quorum", at_ms=500)
    book.boot("n3", term=1, again=True)
    book.line("n3", "quorum", at_ms=600)
    result = check(book.record())
    assert result.verdict is Verdict.VALID and result.stats["Q3"]["undecided"] == 1


def test_a_round_that_half_of_the_weight_answered() -> None:
    book = reading()
    _confirm(book, 115, ["n1"])
    assert kinds(check(_until(book, 500).record())) == ["Q3-read-without-quorum"]


def test_a_round_counted_by_voters_of_its_own() -> None:
    book = reading()
    book.line("n1", "read-confirmed", at_ms=115, index=1, acks=["n1"], voters={"n1": 1}, rounds=1)
    assert kinds(check(_until(book, 500).record())) == ["Q3-read-without-quorum"]


@pytest.mark.parametrize(("clock", "expected"), [("monotonic", []), ("wall", ["Q3-read-by-bad-lease"])])
def test_reads_by_a_lease(clock: str, expected: list[str]) -> None:
    book = reading()
    book.line("n1", "lease", at_ms=115, until_ns=10**12, clock=clock)
    op = _read(book, 110, 120)
    result = check(_until(book, 500).record())
    assert kinds(result) == expected and result.stats["Q3"]["leased"] == 1
    assert all(anomaly.ops == (op,) for anomaly in result.anomalies)


def test_stale_reads_need_no_confirmation() -> None:
    book = reading()
    book.op("read", 110, 120, level="stale", log_index=1, stale=True)
    assert check(_until(book, 500).record()).verdict is Verdict.VALID


def test_a_linearizable_read_where_no_quorum_could_exist() -> None:
    book = reading()
    book.fault("kill", 100, 200, nodes=["n2", "n3"])
    bad = _read(book, 110, 120)
    _confirm(book, 115, ["n1", "n2"])
    result = check(_until(book, 500).record())
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


# -- doubt


def test_without_writes_it_does_not_apply() -> None:
    book = Book()
    book.op("read", 0, 10)
    assert not QuorumChecker().applies(book.record(traces={}))
    assert untraced(book).verdict is Verdict.UNKNOWN


def test_a_run_in_which_nothing_succeeded_is_unknown() -> None:
    book = Book()
    book.op("write", 0, 10, kind="fail", error="no-quorum", value=1)
    assert untraced(book).verdict is Verdict.UNKNOWN


def test_without_traces_and_weights_nothing_is_known() -> None:
    book = Book()
    book.op("write", 0, 10, value=1)
    record = book.record(traces={}, voters={})
    assert not QuorumChecker().applies(record) and check(record).verdict is Verdict.UNKNOWN


def test_missing_lines_are_a_doubt() -> None:
    book = reading()
    del book.lines["n2"][1]
    assert check(book.record()).verdict is Verdict.UNKNOWN


# -- many runs


@given(st.integers(0, 10**9), st.integers(3, 5), st.booleans())
def test_correct_runs_with_lost_lines_are_never_invalid(seed: int, nodes: int, lose_lines: bool) -> None:
    result = check(tiny_run(seed, nodes=nodes, lose_lines=lose_lines))
    assert result.verdict is not Verdict.INVALID, result.anomalies


def _ok(record: RunRecord, f: str) -> list[Any]:
    return [op for op in record.history.operations() if op.f == f and op.type is Type.OK]


def test_runs_whose_confirmations_are_taken_out_are_caught() -> None:
    caught = 0
    for seed in range(25):
        record = tiny_run(seed, steps=250, lose_lines=False)
        reads = [op for op in _ok(record, "read") if (op.complete_ns or 0) < record.phases["end"] - 100 * TICK_NS]
        if not reads:
            continue
        for lines in record.traces.values():
            for line in lines:
                if line["event"] == "read-confirmed":
                    line["event"] = "was-confirmed"
        result = check(record)
        assert result.verdict is Verdict.INVALID or result.stats["Q3"]["undecided"] >= len(reads), f"seed {seed}"
        caught += result.verdict is Verdict.INVALID
    assert caught >= 3


def test_runs_with_a_false_ledger_are_caught() -> None:
    """A kill of everybody that did not hinder a write: either the ledger or the cluster lies."""
    caught = 0
    for seed in range(25):
        record = tiny_run(seed, steps=250)
        for op in _ok(record, "write")[:1]:
            window = op.invoke_ns, (op.complete_ns or 0) + 1
            fault = Fault(
                "k", "kill", {"nodes": list(record.nodes)}, None, True, window[0], window[0], window[1], window[1]
            )
            assert "Q2-write-without-quorum" in kinds(check(replace(record, faults=[fault]))), f"seed {seed}"
            caught += 1
    assert caught >= 3


def test_the_real_core_under_faults_is_accepted() -> None:
    result = check(run_cluster(15, seconds=6, clients=3))
    assert result.verdict is Verdict.VALID, (result.reason, result.anomalies)
    assert result.stats["Q1"]["proven"] > 50 and result.stats["Q3"]["confirmed"] > 50


def test_a_core_that_reads_without_asking_is_caught() -> None:
    result = check(run_cluster(100, seconds=4, clients=3, flaws=["stale-read-from-deposed-leader"]))
    assert "Q3-unconfirmed-read" in kinds(result)
