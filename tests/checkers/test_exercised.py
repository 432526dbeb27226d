"""What a run never exercised is a doubt, and what failed a few times by chance is none."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.checkers import CHECKERS, RunRecord, Verdict, checker
from tribulation.checkers.base.result import Budget
from tribulation.checkers.model_names import MODELS
from tribulation.checkers.soundness.exercised import FEW_TRIES
from tribulation.histories import Event, History, Type

Row = tuple[str, str, Any, Any, str]
"""(workload, f, argument, result, outcome), one after the other."""

BANK = {"a": 50, "b": 50}


def reason(*rows: Row, is_run: bool = True) -> str | None:
    events = []
    for process, (workload, f, argument, result, outcome) in enumerate(rows):
        at = 2 * process
        events.append(Event(at, at, process, Type.INVOKE, f, argument, workload=workload))
        events.append(Event(at + 1, at + 1, process, Type(outcome), f, result, workload=workload))
    found = checker("vacuity").check(RunRecord(History(events), is_run=is_run), Budget())
    assert (found.verdict is Verdict.VALID) == (found.reason is None)
    return found.reason


def move(amount: int) -> Row:
    argument = {"from": "a", "to": "b", "amount": amount}
    return ("bank", "transfer", argument, argument, "ok")


def balances(a: int, b: int) -> Row:
    return ("bank", "read", None, {"a": a, "b": b}, "ok")


WRITE, READ = ("register", "write", 1, 1, "ok"), ("register", "read", None, 1, "ok")


def test_a_bank_whose_balances_never_move_although_transfers_end_ok():
    """As a system that answers ok and stores nothing."""
    still = [balances(50, 50)] * 3
    assert reason(still[0], move(5), *still) == "none of 4 ok reads saw a value that was written"
    assert reason(still[0], move(5), balances(45, 55)) is None
    assert reason(move(5), balances(45, 55)) is None, "one read is not enough to judge"


def test_a_counter_that_never_moves():
    still: Row = ("counter", "read", None, 0, "ok")
    assert reason(still, ("counter", "add", 1, 1, "ok"), still) == "none of 2 ok reads saw a value that was written"
    assert reason(still, ("counter", "add", 1, 1, "ok"), ("counter", "read", None, 1, "ok")) is None


@pytest.mark.parametrize(
    ("f", "empty", "full"),
    [("dequeue", None, 1), ("recall", None, {"fields": {}}), ("effects", [], ["t1"]), ("poll", {}, {"x": [[0, 1]]})],
)
def test_other_looks_show_something_where_they_are_not_empty(f, empty, full):
    change: Row = ("w", "enqueue", 1, 1, "ok")
    assert reason(change, ("w", f, None, empty, "ok")) == "none of 1 ok reads saw a value that was written"
    assert reason(change, ("w", f, None, full, "ok")) is None


@pytest.mark.parametrize("read", ["r", "read"])
def test_a_transaction_shows_something_by_its_reads_alone(read):
    def txn(result: Any) -> Row:
        return ("txns", "txn", [["w", "x", 1], [read, "x", None]], [["w", "x", 1], [read, "x", result]], "ok")

    assert reason(txn(1)) is None
    assert reason(txn(None)) == "none of 1 ok reads saw a value that was written"


def test_reads_of_one_workload_say_nothing_of_another():
    stale: Row = ("set", "read", None, [], "ok")
    reported = "none of 1 ok reads of workload set saw a value that was written"
    assert reason(WRITE, READ, ("set", "add", 7, 7, "ok"), stale) == reported


def test_a_kind_that_succeeds_in_one_workload_and_never_in_another():
    failed: list[Row] = [("set", "read", None, None, "fail")] * FEW_TRIES
    reported = f"no read of workload set ended ok ({FEW_TRIES} failed, 0 unknown)"
    assert reason(WRITE, READ, ("set", "add", 7, 7, "ok"), *failed) == reported


def test_a_kind_may_fail_a_few_times_in_a_run_while_another_alike_succeeds():
    cas: Row = ("register", "cas", [1, 2], None, "fail")
    assert reason(WRITE, READ, *[cas] * (FEW_TRIES - 1)) is None
    assert reason(WRITE, READ, *[cas] * FEW_TRIES) == f"no cas ended ok ({FEW_TRIES} failed, 0 unknown)"
    assert reason(WRITE, READ, cas, is_run=False) == "no cas ended ok (1 failed, 0 unknown)"


def test_one_kind_alike_must_have_taken_place():
    failed_write: Row = ("register", "write", 1, None, "fail")
    assert reason(READ, failed_write) == "no write ended ok (1 failed, 0 unknown)"
    assert reason(WRITE, ("register", "read", None, None, "info")) == "no read ended ok (0 failed, 1 unknown)"


ARGUMENTS: dict[str, Any] = {
    "cas": [1, 2],
    "transfer": {"from": "a", "to": "b", "amount": 1},
    "send": [["send", "k", 1]],
    "learn": {"kind": "map", "record": "r0", "fields": {"a": 1}},
    "forget": {"kind": "map", "record": "r0"},
    "assign": ["k"],
    "submit": "t1",
    "spawn": "a1.generic",
}
OTHERS = frozenset({"learn", "recall", "forget", "memory-digest", "submit", "effects", "spawn", "pool", "send", "poll"})


@pytest.mark.parametrize("outcome", ["fail", "info"])
@pytest.mark.parametrize("names", [*(known.names for known in MODELS.values()), OTHERS], ids=[*MODELS, "others"])
def test_no_checker_is_valid_of_a_run_in_which_nothing_took_place(names, outcome):
    events = []
    micro = [[["r", "x", None]], [["w", "x", 1]], [["append", "x", 1]], [["r", "x", None], ["w", "y", 1]]]
    asked = [
        (f, argument)
        for f in sorted(names)
        for argument in (micro if f == "txn" else [ARGUMENTS.get(f, None if f == "poll" else 1)])
    ]
    for process, (f, argument) in enumerate(asked):
        at = 2 * process
        events.append(Event(at, at, process, Type.INVOKE, f, argument))
        events.append(Event(at + 1, at + 1, process, Type(outcome), f, argument))
    phases = {"healed": 0, "quiet_end": 0, "end": 100}
    record = RunRecord(History(events), nodes=("n1",), voters={"n1": 1}, phases=phases, is_run=True)
    for name in CHECKERS:
        found = checker(name)
        if found.applies(record):
            assert found.check(record, Budget()).verdict is not Verdict.VALID, name
