"""A node that stops itself, or finds damage, has a cause that is known; or it is broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tribulation.checkers import CheckResult, Fault, RunRecord, Verdict, checker
from tribulation.checkers.base.result import Budget
from tribulation.histories import History

from .trace_book import MS, Book

WHOLE: dict[str, Any] = {"election_ns": 600 * MS}


def halted(late: bool = False, truth: dict[str, Any] | None = None, faults: tuple[Fault, ...] = ()) -> CheckResult:
    book = Book().boot_all()
    for _ in range(10 if late else 0):
        book.line("n2", "apply", entries=[])
    book.line("n2", "halt", reason="wal-00000001.log: damaged\nhint: look")
    record = RunRecord(
        History([]),
        traces=book.lines,
        faults=faults,
        nodes=list(book.voters),
        clock_offsets_ns=book.offsets,
        is_run=True,
    )
    return checker("halts").check(replace(record, truth=truth or {}), Budget())


def fault(kind: str, node: str, start_ms: int = 0) -> Fault:
    return Fault("f1", kind, {"nodes": [node]}, None, True, start_ms * MS)


def test_a_halt_with_every_disk_whole_is_one_without_cause():
    result = halted(truth=WHOLE)
    assert result.verdict is Verdict.INVALID
    assert result.anomalies[0].kind == "halted-without-cause"
    assert result.anomalies[0].explanation == (
        "n2 stopped itself (wal-00000001.log: damaged), and nothing had been done to a disk that explains it."
    )


@pytest.mark.parametrize("damaged_ns", [{"n2": 0}, {"n1": 0, "n2": 1 * MS}])
def test_a_disk_that_was_damaged_before_explains_it(damaged_ns):
    assert halted(truth={**WHOLE, "damaged_ns": damaged_ns}).verdict is Verdict.VALID


@pytest.mark.parametrize("damaged_ns", [{"n1": 0}, {"n2": 500 * MS}])
def test_the_disk_of_another_or_damage_that_came_later_does_not(damaged_ns):
    assert halted(truth={**WHOLE, "damaged_ns": damaged_ns}).verdict is Verdict.INVALID


@pytest.mark.parametrize(("late", "verdict"), [(False, Verdict.INVALID), (True, Verdict.VALID)])
def test_what_others_forgot_explains_a_halt_that_is_not_about_what_was_found_at_boot(late, verdict):
    assert halted(late, {**WHOLE, "forgot_ns": 0}).verdict is verdict


def test_on_hosts_a_halt_is_unknown_unless_a_fault_explains_it():
    result = halted()
    assert (result.verdict, result.reason) == (
        Verdict.UNKNOWN,
        "n2 stopped itself (wal-00000001.log: damaged), and no fault of the run explains it",
    )
    assert halted(faults=(fault("disk", "n2"),)).verdict is Verdict.VALID
    assert halted(faults=(fault("disk", "n1"),)).verdict is Verdict.UNKNOWN
    assert halted(faults=(fault("cut", "n2"),)).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("faults", "verdict"),
    [((), Verdict.UNKNOWN), ((fault("kill", "n3"),), Verdict.VALID), ((fault("kill", "n3", 900),), Verdict.UNKNOWN)],
)
def test_on_hosts_a_process_that_nobody_ended_and_that_began_again_is_unknown(faults, verdict):
    book = Book().boot_all()
    book.boot("n3", again=True)
    record = RunRecord(
        History([]),
        traces=book.lines,
        faults=faults,
        nodes=list(book.voters),
        clock_offsets_ns=book.offsets,
        is_run=True,
    )
    assert checker("halts").check(record, Budget()).verdict is verdict
    assert checker("halts").check(replace(record, truth=WHOLE), Budget()).verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("attached", "later_ms", "verdict"),
    [(True, 10**6, Verdict.VALID), (False, 10**6, Verdict.UNKNOWN), (True, 0, Verdict.UNKNOWN)],
)
def test_what_ended_before_a_run_on_a_system_that_was_there_is_not_the_runs(attached, later_ms, verdict):
    book = Book().boot_all()
    book.boot("n3", again=True)
    record = RunRecord(
        History([]),
        traces=book.lines,
        nodes=list(book.voters),
        clock_offsets_ns={node: (at + later_ms * MS, error) for node, (at, error) in book.offsets.items()},
        is_run=True,
        attached=attached,
    )
    assert checker("halts").check(record, Budget()).verdict is verdict


def test_an_application_that_raises_on_an_accepted_command_is_broken_everywhere():
    book = Book().boot_all()
    book.line("n1", "command-failed", index=4, kind="KeyError")
    record = RunRecord(
        History([]), traces=book.lines, nodes=list(book.voters), clock_offsets_ns=book.offsets, is_run=True
    )
    assert [one.kind for one in checker("halts").check(record, Budget()).anomalies] == ["command-failed"]
