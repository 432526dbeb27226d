"""Operations that no checker judged: none of them passes in silence with a valid verdict."""

from __future__ import annotations

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
from tribulation.checkers.registry import add_checker
from tribulation.checkers.run_all import unjudged_of
from tribulation.checkers.soundness.unjudged import JUDGES, UNJUDGED
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
    "a queue": ([("enqueue", 1, 1), ("dequeue", None, 1), *STRANGE], {"frobnicate": 5}),
    "a bank": (
        [("transfer", {"from": 0, "to": 1, "amount": 1}, None), ("read", None, {"0": 1, "1": 3}), *STRANGE],
        {"frobnicate": 5},
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
        assert name in JUDGES or hasattr(checker(name), "judged"), name
    assert set(JUDGES) <= set(CHECKERS)


class Trusting:
    name = "trusting"
    reads: ClassVar = frozenset({"history"})

    def applies(self, record: RunRecord) -> bool:
        return True

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        return CheckResult(self.name, V)


class Naming(Trusting):
    name = "naming"
    operations: ClassVar = frozenset({"frobnicate"})


class Blind(Trusting):
    """Reads traces alone."""

    name = "blind"
    reads: ClassVar = frozenset({"trace"})


@pytest.mark.parametrize(
    ("made", "left"),
    [(Trusting, None), (Naming, {"read": 5, "write": 5}), (Blind, {"frobnicate": 5, "read": 5, "write": 5})],
)
def test_a_checker_of_ones_own_judges_what_it_declares(monkeypatch, made, left):
    monkeypatch.setattr(registry, "_ADDED", {})
    kept = dict(CHECKERS)
    try:
        add_checker(made.name, made)
        results = check(events(*REGISTER, *STRANGE))
    finally:
        CHECKERS.clear()
        CHECKERS.update(kept)
    found = results.get(UNJUDGED)
    assert (found.stats["operations"] if found else None) == left


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
