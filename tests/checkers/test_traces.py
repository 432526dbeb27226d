"""Traces as evidence: where a line lies in time, what is missing, what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.checkers.traces.traces import ANYTIME, TraceError, _boots, excerpt, read_traces, trace_gaps

from .trace_book import MS, Book


def test_mono_time_is_placed_as_an_interval() -> None:
    book = Book()
    book.offsets = {"n1": (5_000 * MS, 2 * MS)}
    book.boot("n1")
    line = book.line("n1", "term", at_ms=5_100, term=1)
    book.boot("n2")
    traces = read_traces(book.record())
    placed = traces.place(line)
    assert (placed.low_ns, placed.high_ns) == (98 * MS, 102 * MS)
    assert traces.place(book.lines["n2"][0]) == ANYTIME


def test_overlapping_intervals_have_no_order() -> None:
    traces = read_traces(Book(error_ms=1).boot_all().record())
    first, second, third = (traces.clocks.place(node, at * MS) for node, at in (("n1", 10), ("n2", 11), ("n3", 20)))
    assert not first.surely_before(second) and not second.surely_before(first)
    assert first.surely_before(third) and not third.surely_before(first)


def test_incarnations_and_lost_ends_are_no_gap() -> None:
    """n1 is killed and its last lines are lost: nothing shows, and nothing is missing inside."""
    book = Book().boot_all()
    book.line("n1", "term", term=1)
    book.lines["n1"].pop()
    book.boot("n1", again=True)
    traces = read_traces(book.record())
    assert [part.number for part in traces.incarnations["n1"]] == [1, 2]
    assert traces.problems == ()


def test_missing_lines_inside_are_reported_with_their_place() -> None:
    book = Book().boot_all()
    for term in (1, 2, 3):
        book.line("n2", "term", term=term)
    del book.lines["n2"][2]
    traces = read_traces(book.record())
    assert traces.incarnations["n2"][0].gaps == (2,)
    assert traces.problems == ("n2: lines are missing from its trace before seq 3 (incarnation 1)",)


def test_a_lost_beginning_is_a_gap() -> None:
    book = Book().boot_all()
    book.line("n1", "term", term=1)
    del book.lines["n1"][0]
    assert "before seq 1" in read_traces(book.record()).problems[0]
    assert read_traces(book.record()).incarnations["n1"][0].start is None


def test_a_node_without_a_trace_is_a_problem() -> None:
    book = Book()
    book.boot("n1")
    assert read_traces(book.record()).problems == ("there is no trace of n2", "there is no trace of n3")


def test_a_trace_that_reached_its_bound_is_a_problem() -> None:
    book = Book().boot_all()
    book.line("n1", "trace-bounded", at_ms=0, bytes=1, last_seq=1)
    assert "bound on its size" in read_traces(book.record()).problems[0]


def test_a_rebooted_host_has_no_single_offset() -> None:
    book = Book().boot_all()
    book.line("n1", "term", at_ms=900, term=1)
    book.boot("n1", again=True)
    book.lines["n1"][-1]["mono_ns"] = 5 * MS
    traces = read_traces(book.record())
    assert traces.place(book.lines["n1"][1]) == ANYTIME
    assert traces.place(book.lines["n2"][0]) != ANYTIME


def test_each_boot_of_a_host_has_an_offset_of_its_own_where_it_is_known() -> None:
    book = Book().boot_all()
    book.line("n1", "term", at_ms=900, term=1)
    book.boot("n1", again=True)
    first, second = (book.lines["n1"][place]["incarnation"] for place in (0, -1))
    book.lines["n1"][1]["mono_ns"] = 950 * MS
    book.lines["n1"][-1]["mono_ns"] = 5 * MS
    boots = {"n1": {first: (50 * MS, MS), second: (-995 * MS, 2 * MS)}}
    traces = read_traces(replace(book.record(), boot_offsets_ns=boots))
    before, after = traces.place(book.lines["n1"][1]), traces.place(book.lines["n1"][-1])
    assert (before.low_ns, before.high_ns) == (899 * MS, 901 * MS)
    assert (after.low_ns, after.high_ns) == (998 * MS, 1002 * MS)
    assert traces.clocks.knows("n1") and not traces.clocks.knows("n9")


def test_a_line_without_its_fields_is_refused_with_its_place() -> None:
    book = Book().boot_all()
    del book.line("n3", "vote", term=1, candidate="n1")["candidate"]
    with pytest.raises(TraceError, match=r"trace of n3, line 2 \('vote'\): no field 'candidate'"):
        read_traces(book.record())


def test_incarnations_that_go_back_are_refused() -> None:
    book = Book().boot_all()
    book.boot("n1", again=True)
    book.lines["n1"].reverse()
    with pytest.raises(TraceError, match="incarnation 1 follows 2"):
        read_traces(book.record())


def test_an_excerpt_keeps_the_entry_in_question() -> None:
    line = {"event": "append", "entries": [[1, 1, 101], [2, 1, 102]], "node": "n1"}
    assert excerpt(line, 2)["entries"] == [[2, 1, 102]]
    assert line["entries"] == [[1, 1, 101], [2, 1, 102]]


def test_lines_that_a_node_dropped_are_a_gap_although_their_numbers_were_not_used() -> None:
    book = Book().boot_all()
    book.line("n1", "dropped", count=3, where="gate")
    book.line("n1", "dropped", count=2, where="held")
    (gap,) = trace_gaps(book.record().traces)
    assert (gap.part, gap.name, gap.why) == ("trace", "n1", "it dropped 5 lines of its trace (incarnation 1)")
    assert "n1: it dropped 5 lines" in read_traces(book.record()).problems[0]


def test_every_boot_with_a_gap_is_named_once_and_whole_ones_not_at_all() -> None:
    book = Book().boot_all()
    for term in (1, 2, 3, 4, 5):
        book.line("n1", "term", term=term)
    book.boot("n1", again=True)
    book.line("n1", "trace-bounded", bytes=1, last_seq=1)
    del book.lines["n1"][4], book.lines["n1"][2]
    assert [gap.why for gap in trace_gaps(book.record().traces)] == [
        "lines are missing from its trace before seq 3 and at 1 more places (incarnation 1)",
        "its trace reached the bound on its size (incarnation 2)",
    ]


@pytest.mark.parametrize("line", [{}, {"seq": "x"}, {"seq": None, "incarnation": []}, {"event": "dropped", "seq": 0}])
def test_gaps_of_lines_of_any_form_are_found(line) -> None:
    assert trace_gaps({"n1": [line]})


@given(st.lists(st.sampled_from([1, 2, 300, "1", True, None, 1.0]), max_size=8))
def test_boots_are_found_as_one_groups_lines_by_their_incarnation(numbers: list[Any]) -> None:
    lines = [{"incarnation": number, "seq": place} for place, number in enumerate(numbers)]
    expected: dict[str, list[Any]] = {}
    for line in lines:
        expected.setdefault(str(line["incarnation"]), []).append(line)
    assert {number: list(found) for number, found in _boots(lines).items()} == expected
