"""Operations that fail while the system is whole, in a time that its configuration or the campaign promises."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tribulation.checkers import CheckResult, Fault, RunRecord, Verdict, checker
from tribulation.checkers.base.result import Budget
from tribulation.histories import Event, History, Type

from .test_through_each import SERVED
from .trace_book import Book

SECOND = 1_000_000_000
PROMISED: dict[str, Any] = {"election_ns": SECOND // 2, "settle_ns": SECOND, "lossless": True}
"""3.5 s."""
KILL = Fault("f1", "kill", {"nodes": ["n3"]}, None, True, 0, 0, SECOND, SECOND, SECOND)


def tried(node: str, outcome: str, from_s: int, count: int, f: str = "txn", error: str = "timeout") -> list[Event]:
    found = []
    for number in range(from_s, from_s + count):
        common: dict[str, Any] = {"process": f"{node}{f}{number}", "f": f, "key": "k", "value": number, "node": node}
        found.append(Event(0, number * SECOND, type=Type.INVOKE, **common))
        wrong = None if outcome == "ok" else error
        found.append(Event(0, number * SECOND + SECOND // 2, type=Type(outcome), error=wrong, **common))
    return found


def judge(*events: Event, faults: tuple[Fault, ...] = (KILL,), book: Book | None = None, **more: Any) -> CheckResult:
    ordered = sorted((*SERVED, *events), key=lambda event: event.time_ns)
    record = RunRecord(
        History(replace(event, index=index) for index, event in enumerate(ordered)),
        faults=faults,
        nodes=("n1", "n2", "n3"),
        phases={"end": 60 * SECOND},
        is_run=True,
        **{"truth": PROMISED, **more},
    )
    if book is not None:
        record = replace(record, traces=book.lines, clock_offsets_ns=book.offsets)
    return checker("availability").check(record, Budget())


def kinds(result: CheckResult) -> list[str]:
    return [one.kind for one in result.anomalies]


TEN, OTHERS = tried("n2", "fail", 20, 10), tried("n1", "ok", 20, 10)


def test_a_kind_of_operation_that_one_node_never_serves():
    assert kinds(judge(*TEN, *OTHERS)) == ["never-served-through-node"]


@pytest.mark.parametrize(
    "events",
    [
        (*tried("n2", "fail", 20, 9), *OTHERS),
        (*TEN, *OTHERS, *tried("n2", "ok", 50, 1)),
        (*tried("n2", "fail", 20, 10, error="not-found"), *OTHERS),
        (*tried("n2", "fail", 20, 10, error="busy"), *OTHERS),
        (*tried("n2", "fail", 2, 10), *OTHERS),
    ],
    ids=["nine", "served once", "answered", "busy", "a fault was near"],
)
def test_where_it_proves_nothing(events):
    assert judge(*events).verdict is Verdict.VALID


@pytest.mark.parametrize(("ill", "expected"), [("n3", ["never-served-through-node"]), ("n2", []), ("n1", [])])
def test_a_fault_elsewhere_is_no_excuse_of_a_node_that_knows_a_leader(ill: str, expected: list[str]) -> None:
    book = Book().boot_all()
    book.win("n1", 1, ["n1", "n2"])
    book.line("n2", "follower", term=1, leader="n1")
    long = replace(KILL, intended={"nodes": [ill]}, heal_ns=55 * SECOND, healed_ns=55 * SECOND)
    assert kinds(judge(*TEN, *OTHERS, faults=(long,), book=book)) == expected


def test_on_hosts_it_is_a_doubt_unless_the_campaign_gives_a_bound():
    doubt = judge(*TEN, *OTHERS, truth={})
    assert doubt.verdict is Verdict.UNKNOWN and "n2 served no txn in the whole run" in (doubt.reason or "")
    bound = judge(*TEN, *OTHERS, truth={}, options={"max_recovery_s": 5})
    assert kinds(bound) == ["never-served-through-node"]


SILENCE = [event for node in ("n1", "n2", "n3") for event in tried(node, "info", 20, 5, f="write")]


def test_a_system_that_falls_silent_without_a_fault():
    assert kinds(judge(*SILENCE, *tried("n1", "ok", 30, 1))) == ["silent-without-fault"]
    assert judge(*SILENCE, *tried("n1", "ok", 22, 1)).verdict is Verdict.VALID
    assert judge(*tried("n1", "info", 20, 5, f="write")).verdict is Verdict.VALID
    later = replace(KILL, start_ns=18 * SECOND, injected_ns=18 * SECOND, heal_ns=19 * SECOND, healed_ns=19 * SECOND)
    assert kinds(judge(*SILENCE, faults=(KILL, later))) == []


def test_nodes_that_lost_the_tail_of_their_logs_explain_silence():
    book = Book()
    for node in book.voters:
        book.boot(node, torn=node != "n1")
    assert judge(*SILENCE, book=book).verdict is Verdict.VALID


def test_a_request_that_is_never_answered():
    one = {"node": "n1", "what": "read", "at_ns": SECOND, "deadline_ns": 2 * SECOND, "late_ns": 3 * SECOND}
    assert kinds(judge(truth={**PROMISED, "unanswered": [one]})) == ["never-answered"]
