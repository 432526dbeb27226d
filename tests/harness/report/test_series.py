"""Figures over time."""

from __future__ import annotations

from tribulation.harness.report import series
from tribulation.histories import History, Operation, parse

from .folders import END_NS, history

MS = 1_000_000


def test_a_process_that_retired_hands_its_seat_to_its_successor() -> None:
    """p0 ends in info and its client goes on as p2, while p1 stays: two lanes, not three."""
    operations = parse("p0 r_ p1 r_ p0 w1? p2 r1 p1 r1").operations()
    lanes = series.lanes(operations, 100 * MS)
    assert dict(lanes.of) == {0: 0, 1: 1, 2: 0}
    assert list(lanes.names) == ["1", "2"]


def test_an_operation_that_never_ends_keeps_its_seat() -> None:
    operations = parse("p0[w1 p1 r1 p2 r1").operations()
    assert dict(series.lanes(operations, 100 * MS).of) == {0: 0, 1: 1, 2: 1}


def test_ten_clients_fill_ten_lanes_however_many_processes_they_used() -> None:
    operations = History(history(3000, seed=1, text="k")).operations()
    assert len({op.process for op in operations}) > 50
    assert len(series.lanes(operations, END_NS).names) == 10


def test_rates_and_quantiles_are_those_of_the_bucket_of_completion() -> None:
    """Three reads of 1, 2 and 3 ms end in the first bucket, a failed one in the second; buckets are 50 ms."""
    operations = [_read(0, 1), _read(5, 2), _read(10, 3), _read(45, 10, "fail")]
    rates = series.rates(operations, 100 * MS)
    assert rates.bucket_s == 0.05
    assert rates.per_s["ok"] == [60.0, 0.0, 0.0]
    assert rates.per_s["fail"] == [0.0, 20.0, 0.0]
    assert rates.latency_ms["p50"] == [2.0, None, None]
    assert rates.latency_ms["p99"] == [2.98, None, None]


def test_a_run_in_which_nothing_succeeded_has_rates_and_empty_quantiles() -> None:
    rates = series.rates([_read(0, 1, "fail")], 40 * MS)
    assert rates.per_s["fail"] == [20.0]
    assert rates.latency_ms["p50"] == [None]


def test_no_operations_make_no_lines() -> None:
    rates = series.rates([], 0)
    assert (rates.per_s, rates.latency_ms) == ({}, {})


def test_what_is_drawn_of_a_long_run_keeps_everything_that_is_not_ok_and_the_witness() -> None:
    operations = History(history(5000, seed=3, text="k")).operations()
    drawn = series.chosen(operations, 1000, frozenset({operations[1].invoke_index}))
    assert len(drawn) <= 1000
    special = [op for op in operations if op.type.value != "ok"]
    assert [op for op in drawn if op.type.value != "ok"] == special
    assert operations[1] in drawn
    assert series.chosen(operations, 5000, frozenset()) == operations


def test_a_run_that_mostly_failed_is_drawn_within_the_bound_and_keeps_the_witness() -> None:
    operations = [_read(at, 1, "fail") for at in range(3000)]
    operations[1234] = Operation(0, "read", operations[0].type, 77, 78, 1234 * MS, 1235 * MS)
    drawn = series.chosen(operations, 100, frozenset({77}))
    assert len(drawn) <= 100
    assert operations[1234] in drawn


def _read(start_ms: int, took_ms: int, outcome: str = "ok") -> Operation:
    from tribulation.histories import Type

    return Operation(0, "read", Type(outcome), 0, 1, start_ms * MS, (start_ms + took_ms) * MS)
