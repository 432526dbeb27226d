"""Runs for the quorum checker: which nodes are cut off when, and what is requested then."""

from __future__ import annotations

from typing import Any

from tribulation.checkers import CheckResult, RunRecord
from tribulation.checkers.quorum.checker import QuorumChecker

from .trace_book import BUDGET, Book, both_ways

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


# -- Q1


def led() -> Book:
    """n1 leads; entry 1 went to n2, and a write acknowledged at it lies in the history."""
    book = Book().boot_all()
    book.win("n1", 1, ["n1", "n2"])
    book.replicate("n1", ["n2"], 1, 1)
    book.line("n1", "term", at_ms=100, term=1)
    return book


def write(book: Book, index: int, end_ms: float, term: int = 1) -> int:
    return book.op("write", 0, end_ms, value=1, log_index=index, term=term, served_by="n1", session=9, seq=1)


# -- Q3


def confirm(book: Book, at_ms: float, acks: list[str], index: int = 1, node: str = "n1") -> None:
    book.line(node, "read-confirmed", at_ms=at_ms, index=index, acks=acks, voters=book.voters, rounds=1)


def read(book: Book, start_ms: float, end_ms: float, index: int = 1) -> int:
    return book.op("read", start_ms, end_ms, log_index=index, term=1, served_by="n1")


def reading() -> Book:
    book = led()
    write(book, 1, 50)
    return book


def until(book: Book, at_ms: float) -> Book:
    """Every node goes on tracing until then."""
    for node in book.voters:
        book.line(node, "quorum", at_ms=at_ms)
    return book
