"""What administrators were answered is so, and what they asked for takes effect."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.checkers import CheckResult, Fault, RunRecord, Verdict, checker
from tribulation.checkers.base.result import Budget
from tribulation.histories import History

from .trace_book import MS, Book

TWO = {"n1": 1, "n2": 1}
TRUTH: dict[str, Any] = {"election_ns": 600 * MS, "heartbeat_ns": 50 * MS, "lossless": True}


def asked(**more: Any) -> dict[str, Any]:
    facts = {
        "node": "n1",
        "what": "voters",
        "at_ns": 1000 * MS,
        "voters": TWO,
        "answered_ns": 6000 * MS,
        "status": "ok",
        "index": 9,
    }
    return {**facts, **more}


def judge(
    *administered: dict[str, Any], faults: tuple[Fault, ...] = (), voters: dict[str, int] = TWO, truth: bool = True
) -> CheckResult:
    book = Book().boot_all()
    book.win("n1", 1, ["n1", "n2"])
    book.line("n1", "commit", index=8, match={}, voters=voters)
    book.line("n1", "commit", index=12, match={}, voters=book.voters)
    record = RunRecord(
        History([]),
        traces=book.lines,
        faults=faults,
        nodes=list(book.voters),
        phases={"end": 20_000 * MS},
        clock_offsets_ns=book.offsets,
        is_run=True,
        truth={**TRUTH, "administered": list(administered)} if truth else {},
    )
    return checker("administration").check(record, Budget())


def test_an_answer_that_the_log_confirms():
    assert judge(asked()).verdict is Verdict.VALID


def test_an_answer_that_the_log_denies():
    result = judge(asked(), voters={"n1": 1, "n2": 1, "n3": 1})
    assert [one.kind for one in result.anomalies] == ["acknowledged-without-effect"]


@pytest.mark.parametrize(
    ("more", "kinds"),
    [
        ({}, ["change-without-effect"]),
        ({"error": "superseded"}, []),
        ({"answered_ns": 1500 * MS}, []),
        ({"answered_ns": None, "status": None}, []),
    ],
)
def test_a_change_that_failed_under_a_leader_that_stayed(more, kinds):
    result = judge(asked(**{"status": "info", "error": "timed-out", "index": None, **more}))
    assert [one.kind for one in result.anomalies] == kinds


@pytest.mark.parametrize(("nodes", "kinds"), [(["n1"], []), (["n2"], []), (["n3"], ["change-without-effect"])])
def test_a_fault_of_the_leader_or_of_a_quorum_explains_it(nodes, kinds):
    kill = Fault("f1", "kill", {"nodes": nodes}, None, True, 2000 * MS, 2000 * MS, 5000 * MS, 5000 * MS)
    result = judge(asked(status="info", error="timed-out", index=None), faults=(kill,))
    assert [one.kind for one in result.anomalies] == kinds


def test_on_hosts_a_change_that_nothing_explains_is_unknown():
    change = Fault("f1", "voters", {"voters": TWO}, {}, False, 1000 * MS, 1000 * MS, seen_ns=5000 * MS)
    kill = Fault("f2", "kill", {"nodes": ["n3"]}, None, True, 2000 * MS, 2000 * MS, 4000 * MS, 4000 * MS)
    assert judge(faults=(change,), truth=False).verdict is Verdict.UNKNOWN
    assert judge(faults=(change, kill), truth=False).verdict is Verdict.VALID


def proposed(
    down_from_ms: int,
    until_ms: int | None,
    *,
    node: str = "n1",
    killed: tuple[str, ...] = ("n3",),
    booted: bool = False,
) -> CheckResult:
    """A leader of three appends the voters n1 and n3 at 9 s; `node` is the one whose log shows it."""
    book = Book().boot_all()
    book.win("n1", 1, ["n1", "n2"])
    if booted:
        book.at_ms = 8000
        book.boot("n3", again=True)
    book.line(node, "config", at_ms=9000, index=5, voters={"n1": 1, "n3": 1})
    book.append(node, (5, 1))
    heal_ns = None if until_ms is None else until_ms * MS
    kill = Fault(
        "f1",
        "kill",
        {"nodes": list(killed)},
        {},
        True,
        down_from_ms * MS,
        down_from_ms * MS,
        heal_ns,
        heal_ns,
        undone=True,
    )
    record = RunRecord(
        History([]),
        traces=book.lines,
        faults=(kill, Fault("f2", "voters", {"voters": TWO}, {}, True, 8900 * MS, 9100 * MS, seen_ns=9200 * MS)),
        nodes=list(book.voters),
        phases={"end": 20_000 * MS},
        clock_offsets_ns=book.offsets,
        is_run=True,
        truth={**TRUTH, "administered": []},
    )
    return checker("administration").check(record, Budget())


def test_a_leader_changed_to_voters_half_of_which_were_down():
    result = proposed(3000, 15_000)
    assert [one.kind for one in result.anomalies] == ["change-without-quorum"]
    assert "although n3 had been down since" in result.anomalies[0].explanation


@pytest.mark.parametrize(
    "more",
    [
        {"down_from_ms": 8500},
        {"until_ms": 8800},
        {"killed": ("n2",)},
        {"killed": ("n1", "n3")},
        {"node": "n2"},
        {"booted": True},
    ],
    ids=["just down", "up again", "another", "the leader too", "a follower's log", "booted meanwhile"],
)
def test_a_change_that_a_leader_could_rightly_make(more):
    assert proposed(**{"down_from_ms": 3000, "until_ms": 15_000, **more}).verdict is Verdict.VALID
