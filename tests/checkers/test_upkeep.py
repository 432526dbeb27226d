"""What nodes owe without being asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tribulation.checkers import CheckResult, Fault, RunRecord, checker
from tribulation.checkers.base.result import Budget
from tribulation.histories import History

from .trace_book import MS, Book

TRUTH: dict[str, Any] = {"election_ns": 600 * MS, "heartbeat_ns": 50 * MS, "snapshot_threshold": 50}


def judge(book: Book, *faults: Fault, **more: Any) -> CheckResult:
    record = RunRecord(
        History([]),
        traces=book.lines,
        faults=faults,
        nodes=list(book.voters),
        phases={"end": 20_000 * MS},
        clock_offsets_ns=book.offsets,
        is_run=True,
        truth={**TRUTH, **more},
    )
    return checker("upkeep").check(record, Budget())


def isolated(heal_ms: int = 4_000) -> Fault:
    edges = [["n1", "n2"], ["n1", "n3"], ["n2", "n1"], ["n3", "n1"]]
    return Fault("f1", "cut", {"edges": edges}, None, True, 999 * MS, 1000 * MS, heal_ms * MS, heal_ms * MS, 1000 * MS)


def reign(until_ms: float | None) -> Book:
    book = Book().boot_all()
    book.win("n1", 1, ["n1", "n2"])
    if until_ms is not None:
        book.line("n1", "follower", until_ms, term=1, leader=None, reason="no quorum answers")
    return book


def test_a_leader_that_no_quorum_hears_steps_down():
    assert [one.kind for one in judge(reign(None), isolated()).anomalies] == ["leads-without-quorum"]
    assert judge(reign(2_000), isolated()).anomalies == ()


def test_a_short_cut_and_a_cut_of_another_ask_for_nothing():
    assert judge(reign(None), isolated(2_500)).anomalies == ()
    other = replace(isolated(), intended={"edges": [["n2", "n1"], ["n2", "n3"], ["n1", "n2"], ["n3", "n2"]]})
    assert judge(reign(None), other).anomalies == ()


def test_a_leader_that_stood_still_owes_nothing():
    pause = Fault("f2", "pause", {"nodes": ["n1"]}, None, True, 1500 * MS, 1500 * MS, 3900 * MS, 3900 * MS)
    assert judge(reign(None), isolated(), pause).anomalies == ()


def applied(count: int, snapshots: tuple[int, ...] = ()) -> Book:
    book = Book().boot_all()
    for index in range(1, count + 1):
        book.line("n1", "apply", entries=[[index, 1, 100 + index]])
        if index in snapshots:
            book.line("n1", "snapshot", index=index, term=1)
    return book


@pytest.mark.parametrize(
    ("count", "snapshots", "kinds"),
    [(1_300, (), []), (1_400, (), ["log-not-compacted"]), (1_400, (300,), [])],
)
def test_a_log_that_grows_is_compacted(count, snapshots, kinds):
    assert [one.kind for one in judge(applied(count, snapshots)).anomalies] == kinds


def test_a_slow_disk_explains_a_late_snapshot():
    assert judge(applied(1_400), slowed=["n1"]).anomalies == ()
