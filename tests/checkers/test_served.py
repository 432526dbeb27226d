"""Requests that fail at a node which knows a stable leader, in a simulated run: each explanation as a near miss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tribulation.checkers import CheckResult, Fault, RunRecord, checker

from .trace_book import BUDGET, MS, Book

TRUTH: dict[str, Any] = {"heartbeat_ns": 50 * MS, "election_ns": 600 * MS, "settle_ns": 1000 * MS, "lossless": True}
"""A node may take 350 ms for a request: six heartbeats, and a twentieth of the time to settle."""
FAILED = ({}, {})


def fault(kind: str, from_ms: int, to_ms: int, **what: Any) -> Fault:
    return Fault("f1", kind, what, what, True, from_ms * MS, from_ms * MS, to_ms * MS, to_ms * MS)


LONG_AGO = fault("kill", 500, 600, nodes=["n3"])
"""Some fault there must be."""


def judge(
    *reads: dict[str, Any],
    faults: tuple[Fault, ...] = (LONG_AGO,),
    lines: tuple[tuple[str, str, float, dict[str, Any]], ...] = (),
    truth: dict[str, Any] | None = None,
    more: Callable[[Book], None] = lambda book: None,
) -> CheckResult:
    """n1 leads term 1 from the beginning and n2 follows it; reads through n2 begin at 9 s and fail 10 s into the run."""
    book = Book().boot_all()
    book.win("n1", 1, ["n1", "n2"])
    book.line("n2", "follower", term=1, leader="n1")
    for node, event, at_ms, fields in lines:
        book.line(node, event, at_ms=at_ms, **fields)
    more(book)
    for number, read in enumerate(reads):
        known = {"f": "read", "kind": "fail", "error": "timed-out", "node": "n2", **read}
        node = known.pop("node")
        book.op(process=number, start_ms=9000 + number, end_ms=10_000 + number, **known)
        book.events[-2:] = [replace(event, node=node) for event in book.events[-2:]]
    book.events.sort(key=lambda event: event.time_ns)
    book.events = [replace(event, index=at) for at, event in enumerate(book.events)]
    phases = {"end": 20_000 * MS, "healed": 15_000 * MS}
    record: RunRecord = book.record(faults=faults, phases=phases, is_run=True, truth={**TRUTH, **(truth or {})})
    return checker("availability").check(record, BUDGET)


def found(result: CheckResult) -> list[tuple[Any, ...]]:
    wanted = [one for one in result.anomalies if one.kind == "failed-under-a-leader"]
    return [(one.ops, one.details["node"], one.details["leader"]) for one in wanted]


BOTH = [((0,), "n2", "n1"), ((1,), "n2", "n1")]


def test_reads_that_fail_at_a_follower_of_a_stable_leader() -> None:
    result = judge(*FAILED)
    assert found(result) == BOTH
    assert "although n1 had led in term 1 and n2 had known it since" in result.anomalies[-1].explanation


@pytest.mark.parametrize("error", ["timeout", "no-quorum", "busy"])
def test_what_a_node_reports_about_itself_counts(error: str) -> None:
    assert found(judge({"error": error}, {})) == BOTH


EXCUSES: dict[str, tuple[Any, ...]] = {
    "one alone": (FAILED[0],),
    "a broken connection": ({}, {"error": "connection"}),
    "a write": ({}, {"f": "write", "value": 1}),
    "an answer": ({}, {"kind": "ok", "error": None}),
    "a stale read": ({}, {"level": "stale"}),
    "of no node": ({}, {"node": None}),
    "of one that followed no leader": ({}, {"node": "n3"}),
}


@pytest.mark.parametrize("reads", EXCUSES.values(), ids=EXCUSES)
def test_one_failure_may_be_chance(reads: tuple[dict[str, Any], ...]) -> None:
    assert found(judge(*reads)) == []


PROMISES: dict[str, tuple[Any, ...]] = {
    "a network too slow for leaders": ({"fair": False}, []),
    "messages get lost before the heal": ({"lossless": False}, []),
    "slow to settle": ({"settle_ns": 7000 * MS}, BOTH),
    "heartbeats as long as the run": ({"heartbeat_ns": 1700 * MS}, []),
}


@pytest.mark.parametrize(("truth", "expected"), PROMISES.values(), ids=PROMISES)
def test_what_the_network_promises(truth: dict[str, Any], expected: list[Any]) -> None:
    assert found(judge(*FAILED, truth=truth)) == expected


FAULTS: dict[str, tuple[Any, ...]] = {
    "the leader": (fault("kill", 9_000, 9_500, nodes=["n1"]), []),
    "the node": (fault("kill", 9_000, 9_500, nodes=["n2"]), []),
    "the third": (fault("kill", 9_000, 9_500, nodes=["n3"]), BOTH),
    "long over": (fault("kill", 8_000, 8_600, nodes=["n2"]), BOTH),
    "just over": (fault("kill", 8_000, 8_700, nodes=["n2"]), []),
    "later": (fault("kill", 10_010, 12_000, nodes=["n2"]), BOTH),
    "a cut at the leader": (fault("cut", 9_000, 12_000, edges=[["n1", "n3"]]), []),
    "a request": (fault("transfer", 9_000, 9_500, to="n2", nodes=["n2"]), BOTH),
    "a change of voters": (fault("voters", 9_000, 9_500, voters={"n1": 1}), []),
}


@pytest.mark.parametrize(("one", "expected"), FAULTS.values(), ids=FAULTS)
def test_a_fault_that_touches_the_two_explains_it(one: Fault, expected: list[Any]) -> None:
    assert found(judge(*FAILED, faults=(LONG_AGO, one))) == expected


def test_without_a_quorum_of_the_others_no_leader_can_answer() -> None:
    five = {f"n{number}": 1 for number in range(1, 6)}
    change = ("n1", "leader", 100.0, {"term": 2, "last_index": 0, "votes": ["n1", "n2", "n3"], "voters": five})
    follows = ("n2", "follower", 101.0, {"term": 2, "leader": "n1"})
    for nodes, expected in ((["n3", "n4"], BOTH), (["n3", "n4", "n5"], [])):
        faults = (LONG_AGO, fault("kill", 9_000, 9_500, nodes=nodes))
        assert found(judge(*FAILED, faults=faults, lines=(change, follows))) == expected


ROLES: dict[str, tuple[Any, ...]] = {
    "deposed": (("n1", "follower", 9_900.0, {"term": 2, "leader": "n3"}), []),
    "stood down": (("n1", "follower", 9_900.0, {"term": 2, "leader": None}), []),
    "follows another": (("n2", "follower", 9_900.0, {"term": 2, "leader": "n3"}), []),
    "known for long": (("n2", "follower", 9_640.0, {"term": 1, "leader": "n1"}), BOTH),
    "known too late": (("n2", "follower", 9_660.0, {"term": 1, "leader": "n1"}), []),
    "deposed later": (("n1", "follower", 10_100.0, {"term": 2, "leader": "n3"}), BOTH),
    "stopped itself": (("n1", "halt", 9_900.0, {"reason": "disk"}), []),
    "later": (("n1", "halt", 10_100.0, {"reason": "disk"}), BOTH),
}


@pytest.mark.parametrize(("line", "expected"), ROLES.values(), ids=ROLES)
def test_the_leader_stayed_and_the_node_knew_it_all_the_time(line: Any, expected: list[Any]) -> None:
    assert found(judge(*FAILED, lines=(line,))) == expected


@pytest.mark.parametrize(("last_ms", "expected"), [(9_900, []), (10_100, BOTH)])
def test_a_life_of_the_leader_ended_with_its_last_line(last_ms: int, expected: list[Any]) -> None:
    def restart(book: Book) -> None:
        book.line("n1", "quorum", at_ms=5000)
        book.line("n1", "quorum", at_ms=last_ms)
        book.at_ms = 15_000
        book.boot("n1", term=1, again=True)

    assert found(judge(*FAILED, more=restart)) == expected
