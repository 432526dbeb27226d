"""Operations that no checker judged: none of them passes in silence with a valid verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from tribulation.checkers import (
    CHECKERS,
    Budget,
    CheckResult,
    RunRecord,
    Verdict,
    check,
    checker,
    merge,
    registry,
    run_all,
)
from tribulation.checkers.base.selection import judges
from tribulation.checkers.registry import add_checker
from tribulation.checkers.run_all import unjudged_of
from tribulation.checkers.soundness.unjudged import UNJUDGED
from tribulation.histories import History, parse

V, X, U = Verdict.VALID, Verdict.INVALID, Verdict.UNKNOWN


def events(*ops: tuple[Any, ...]) -> list[dict[str, Any]]:
    """(f, argument, result[, more fields]) each → its two events, one after the other."""
    found = []
    for number, (f, argument, result, *more) in enumerate(ops):
        fields = {"process": 0, "f": f, **(more[0] if more else {})}
        kind = fields.pop("ends", "ok")
        found.append({**fields, "type": "invoke", "value": argument, "time": 2 * number})
        found.append({**fields, "type": kind, "value": result, "time": 2 * number + 1})
    return found


REGISTER = [("write", 1, 1), ("read", None, 1)] * 5
STRANGE = [("frobnicate", n, n) for n in range(5)]
SET = [("add", 1, 1), ("read", None, [1])]

MIXED = {
    "one object": ([*REGISTER, *STRANGE], {"frobnicate": 5, "read": 5, "write": 5}),
    "another key": (
        [(*op, {"key": "a"}) for op in REGISTER] + [(*op, {"key": "b"}) for op in STRANGE],
        {"frobnicate": 5},
    ),
    "another workload": (
        [(*op, {"workload": "a"}) for op in REGISTER] + [(*op, {"workload": "b"}) for op in STRANGE],
        {"frobnicate": 5},
    ),
    "nothing else": (STRANGE, {"frobnicate": 5}),
    "a set": ([*SET, ("frobnicate", 1, None)], {"add": 1, "frobnicate": 1, "read": 1}),
    "a set whose elements are removed": ([*SET, ("gc", None, [1]), ("read", None, [])], {"add": 1, "gc": 1, "read": 2}),
    "identifiers": ([("generate", None, 1), ("generate", None, 2), *STRANGE], {"frobnicate": 5}),
    "a queue": ([("enqueue", 1, 1), ("dequeue", None, 1), *STRANGE], {"dequeue": 1, "enqueue": 1, "frobnicate": 5}),
    "a bank": (
        [("transfer", {"from": 0, "to": 1, "amount": 1}, None), ("read", None, {"0": 1, "1": 3}), *STRANGE],
        {"frobnicate": 5, "read": 1, "transfer": 1},
    ),
    "transactions": ([("txn", [["w", "x", 1]], [["w", "x", 1]]), *STRANGE], {"frobnicate": 5}),
    "an unknown level": ([(*op, {"level": "psychic"}) for op in REGISTER], {"read": 5, "write": 5}),
}


@pytest.mark.parametrize("name", MIXED)
def test_what_no_checker_judged_keeps_a_verdict_from_being_valid(name):
    ops, left = MIXED[name]
    results = check(events(*ops))
    assert merge(result.verdict for result in results.values()) is U
    assert results[UNJUDGED].stats["operations"] == left
    reason = results[UNJUDGED].reason
    assert reason and "hint: " in reason
    assert all(f"{count} {f}" in reason for f, count in left.items())


def test_what_cannot_be_counted_is_a_doubt(monkeypatch):
    def too_large(record, given):
        raise MemoryError

    assert merge(result.verdict for result in check(events(*REGISTER)).values()) is V
    monkeypatch.setattr(run_all, "unjudged", too_large)
    results = check(events(*REGISTER))
    assert merge(result.verdict for result in results.values()) is U and "MemoryError" in results[UNJUDGED].reason


EXCUSED = {
    "of unknown outcome": [(*op, {"ends": "info", "process": 9 + n}) for n, op in enumerate(STRANGE)],
    "refused": [(*op, {"ends": "fail"}) for op in STRANGE],
    "of the nemesis": [("start", None, None, {"process": "nemesis", "ends": "info"})],
}


@pytest.mark.parametrize("name", EXCUSED)
def test_what_was_not_acknowledged_is_not_missed(name):
    at_a = [(*op, {"key": "a"}) for op in REGISTER]
    at_b = [(f, argument, result, {"key": "b", **more}) for f, argument, result, more in EXCUSED[name]]
    assert UNJUDGED not in check(events(*at_a, *at_b))


def test_a_read_of_a_weaker_level_is_excused_where_its_name_is_known():
    stale = ("read", None, 7, {"level": "stale"})
    assert UNJUDGED not in check(events(("write", 1, 1), stale))
    strange = check(events(("write", 1, 1), ("frobnicate", 1, 1, {"level": "stale"})))
    assert strange[UNJUDGED].stats["operations"] == {"frobnicate": 1}


def test_an_anomaly_stands_whatever_else_there_is():
    lost = [("write", 1, 1, {"key": "a"}), ("read", None, None, {"key": "a"})]
    results = check(events(*lost, *((*op, {"key": "b"}) for op in STRANGE)))
    assert merge(result.verdict for result in results.values()) is X


def test_who_names_checkers_is_only_shown_what_they_leave_out():
    record = RunRecord(History(check_events(*REGISTER, *STRANGE)))
    results = check(record, ["vacuity"])
    assert set(results) == {"vacuity"}
    assert unjudged_of(record, results) == {"frobnicate": 5, "read": 5, "write": 5}


def check_events(*ops):
    from tribulation.checkers.sources import as_record

    return as_record(events(*ops)).history.events


def test_every_checker_declares_what_it_judges():
    for name in CHECKERS:
        assert hasattr(checker(name), "operations"), name


class Silent:
    """It finds nothing, and declares nothing."""

    name = "silent"

    def applies(self, record: RunRecord) -> bool:
        return True

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        return CheckResult(self.name, V)


class Naming(Silent):
    name = "naming"
    operations: ClassVar = frozenset({"frobnicate"})


class OfOneWorkload(Silent):
    name = "of-one-workload"
    operations: ClassVar = judges("frobnicate", "read", "write", workloads=["b"])


@pytest.fixture
def plugin(monkeypatch) -> Iterator[Callable[[type], None]]:
    monkeypatch.setattr(registry, "_ADDED", {})
    kept = dict(CHECKERS)
    yield lambda made: add_checker(made.name, made)
    CHECKERS.clear()
    CHECKERS.update(kept)


@pytest.mark.parametrize(
    ("made", "left"),
    [(Silent, {"frobnicate": 5, "read": 5, "write": 5}), (Naming, {"read": 5, "write": 5})],
)
def test_a_checker_of_ones_own_judges_what_it_declares(plugin, made, left):
    plugin(made)
    found = check(events(*REGISTER, *STRANGE))[UNJUDGED]
    assert found.stats["operations"] == left
    assert ("silent may judge them" in found.reason) is (made is Silent)


def test_a_checker_that_declares_nothing_judges_the_workloads_that_name_it(plugin):
    plugin(Silent)
    ops = [(*op, {"workload": "mine"}) for op in STRANGE] + [(*op, {"workload": "other"}) for op in STRANGE[:2]]
    named = RunRecord(History(check_events(*ops)), judged_by={"mine": ["silent"]})
    assert check(named)[UNJUDGED].stats["operations"] == {"frobnicate": 2}
    assert UNJUDGED not in check(replace(named, judged_by={"mine": ["silent"], "other": ["silent"]}))


def test_a_declaration_may_be_of_workloads(plugin):
    plugin(OfOneWorkload)
    ops = [(*op, {"workload": "a"}) for op in STRANGE] + [(*op, {"workload": "b"}) for op in STRANGE[:2]]
    assert check(events(*ops))[UNJUDGED].stats["operations"] == {"frobnicate": 5}


TRANSFER = ("transfer", {"from": 0, "to": 1, "amount": 1}, None)
BALANCES = ("read", None, {"0": 1, "1": 3})
AT_B = {"workload": "b", "key": "k"}
AT_K = {"key": "k"}
STRANGERS_READ = ("read", None, {"0": 7}, AT_B)
OF_OTHER_OBJECTS = {
    "a read that is of no bank": (
        [TRANSFER, BALANCES, STRANGERS_READ, ("frobnicate", 1, None, AT_B)],
        {"frobnicate": 1, "read": 1},
    ),
    "a dequeue of what nothing was enqueued in": (
        [("enqueue", 1, 1), ("dequeue", None, 1), ("dequeue", None, 1, AT_B), ("frobnicate", 1, None, AT_B)],
        {"dequeue": 1, "frobnicate": 1},
    ),
    "a release of what issues no tokens": (
        [
            ("acquire", None, 1),
            ("release", None, None),
            ("release", None, None, AT_B),
            ("frobnicate", 1, None, AT_B),
        ],
        {"frobnicate": 1, "release": 1},
    ),
    "a read of no counter": (
        [("add", 1, 1), ("read", None, 1), ("read", None, 1, AT_B), ("frobnicate", 1, None, AT_B)],
        {"frobnicate": 1, "read": 1},
    ),
    "a list where sessions of registers are judged": (
        [
            ("write", 1, 1),
            ("read", None, 1, {"level": "sequential"}),
            ("append", 1, 1, AT_B),
            ("read", None, [1], AT_B),
            ("frobnicate", 1, None, AT_B),
        ],
        {"append": 1, "frobnicate": 1, "read": 1},
    ),
    "a transaction next to a log": (
        [
            ("send", [["send", "x", 1]], [["send", "x", [0, 1]]]),
            ("poll", [["poll"]], [["poll", {"x": [[0, 1]]}]]),
            ("txn", [["w", "x", 1], ["append", "y", 1]], [["w", "x", 1], ["append", "y", 1]], AT_B),
        ],
        {"txn": 1},
    ),
}


@pytest.mark.parametrize("name", OF_OTHER_OBJECTS)
def test_a_name_alone_does_not_say_that_an_operation_was_judged(name):
    ops, left = OF_OTHER_OBJECTS[name]
    assert check(events(*ops))[UNJUDGED].stats["operations"] == left


BY_OTHER_OPERATIONS = {
    "a bank with deposits": [
        TRANSFER,
        BALANCES,
        ("deposit", {"to": 0, "amount": 1}, None),
        ("read", None, {"0": 2, "1": 3}),
    ],
    "a queue that is cleared": [("enqueue", 1, 1), ("clear", None, None), ("dequeue", None, None)],
    "a counter that is set": [("add", 1, 1), ("write", 7, 7), ("read", None, 7)],
    "a register next to a counter": [("add", 1, 1), ("read", None, 1), ("write", 7, 7, AT_K), ("read", None, 7, AT_K)],
}


@pytest.mark.parametrize("name", BY_OTHER_OPERATIONS)
def test_an_object_that_other_operations_changed_is_not_judged_by_those_that_are_known(name):
    results = check(events(*BY_OTHER_OPERATIONS[name]))
    assert merge(result.verdict for result in results.values()) is not X, results


def test_operations_that_checkers_know_only_by_name_keep_a_verdict_from_being_valid():
    ops = [TRANSFER, BALANCES, ("generate", None, 1, AT_B), ("read", None, 99, AT_B)]
    results = check(events(*ops))
    assert merge(result.verdict for result in results.values()) is U
    assert results[UNJUDGED].stats["operations"] == {"read": 1}


def test_transactions_with_registers_are_left_to_their_checkers():
    txns = [
        ("txn", [["w", "x", n], ["r", "x", None]], [["w", "x", n], ["r", "x", n]], {"workload": "t"}) for n in range(3)
    ]
    registers = [(*op, {"workload": "r", "key": "k"}) for op in REGISTER]
    results = check(events(*txns, *registers))
    assert results["linearizable"].stats["operations"] == len(REGISTER)
    assert results["rw-register"].verdict is V
    assert UNJUDGED not in results
    asked = check(events(*txns, *registers), ["linearizable"])
    assert asked["linearizable"].stats["operations"] == len(REGISTER) + len(txns)


def test_a_history_that_the_notation_can_say_is_judged_whole():
    assert UNJUDGED not in check(parse("p0 w1 p1 r1"))
