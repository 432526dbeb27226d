"""When all is healed every node serves a write and a linearizable read, in a time that the campaign promised."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tribulation.checkers import CheckResult, RunRecord, Verdict, checker
from tribulation.checkers.base.result import Budget
from tribulation.histories import Event, History, Type

from .trace_book import Book

SECOND = 1_000_000_000
PROMISED: dict[str, Any] = {"election_ns": SECOND // 2, "settle_ns": SECOND, "calm": True}
"""3.5 s."""
PHASES = {"load_end": SECOND, "healed": SECOND, "quiet_end": 3 * SECOND, "end": 10 * SECOND}


def tried(node: str, f: str, outcome: str, first_s: float, count: int = 4) -> list[Event]:
    found = []
    for number in range(count):
        at_ns = round((first_s + number) * SECOND)
        common: dict[str, Any] = {
            "process": f"{node}{f}{number}",
            "f": f,
            "key": "settle",
            "value": number,
            "workload": "settle",
            "node": node,
        }
        found.append(Event(0, at_ns, type=Type.INVOKE, **common))
        found.append(
            Event(0, at_ns + SECOND // 2, type=Type(outcome), error=None if outcome == "ok" else "timeout", **common)
        )
    return found


def judge(
    events: list[Event], traces: Book | None = None, options: dict[str, Any] | None = None, **truth: Any
) -> CheckResult:
    ordered = sorted(events, key=lambda event: event.time_ns)
    history = History(replace(event, index=index) for index, event in enumerate(ordered))
    book = traces or Book().boot_all()
    record = RunRecord(
        history,
        traces=book.lines,
        nodes=("n1", "n2", "n3"),
        phases=PHASES,
        clock_offsets_ns=book.offsets,
        is_run=True,
        truth=truth,
    )
    return checker("availability").check(replace(record, options=options or {}), Budget())


SERVED = [*tried("n1", "write", "ok", 3), *tried("n1", "read", "ok", 3), *tried("n2", "write", "ok", 3)]
SILENT = [*SERVED, *tried("n2", "read", "fail", 3)]


def test_a_node_that_takes_writes_and_answers_no_read_is_found():
    result = judge(SILENT, **PROMISED)
    assert result.verdict is Verdict.INVALID
    assert [(one.kind, one.details["node"], one.details["kind"]) for one in result.anomalies] == [
        ("unavailable-through-node", "n2", "read")
    ]


def test_one_answer_is_enough():
    assert judge([*SILENT, *tried("n2", "read", "ok", 8, 1)], **PROMISED).verdict is Verdict.VALID


@pytest.mark.parametrize(
    "truth", [{}, {**PROMISED, "calm": False}, {**PROMISED, "fair": False}, {**PROMISED, "election_ns": 3 * SECOND}]
)
def test_where_nobody_promises_a_time_it_is_a_doubt(truth):
    result = judge(SILENT, **truth)
    assert (result.verdict, result.reason) == (
        Verdict.UNKNOWN,
        "after everything was healed, n2 ended no read ok (4 tried)",
    )


def test_a_campaign_can_promise_it():
    assert judge(SILENT, options={"max_recovery_s": 3}).verdict is Verdict.INVALID


def test_a_node_that_stopped_itself_is_judged_elsewhere():
    book = Book().boot_all()
    book.line("n2", "halt", reason="disk")
    result = judge(SILENT, book, **PROMISED)
    assert result.verdict is Verdict.UNKNOWN and "n2 had stopped itself" in (result.reason or "")
