"""Runs of Raft for its safety checker, written line by line."""

from __future__ import annotations

from typing import Any

from tribulation.checkers import CheckResult, RunRecord
from tribulation.checkers.raft.safety import RaftSafetyChecker

from .trace_book import BUDGET, Book, kinds


def check(record: RunRecord) -> CheckResult:
    return RaftSafetyChecker().check(record, BUDGET)


def verdict(book: Book, **more: Any) -> tuple[str, list[str]]:
    result = check(book.record(**more))
    for anomaly in result.anomalies:
        assert anomaly.explanation.endswith((".", ")")) and (anomaly.ops or anomaly.details["trace"]), anomaly
    return result.verdict.value, kinds(result)


def calm(upto: int = 2) -> Book:
    """n1 leads term 1 with n2; entries 1..upto are committed on n1 and n2, and applied on n1."""
    book = Book().boot_all()
    book.win("n1", 1, ["n1", "n2"])
    for index in range(1, upto + 1):
        book.replicate("n1", ["n2"], index, 1)
    return book


VALID = ("valid", [])
