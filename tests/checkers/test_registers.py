"""Registers as arrays: many keys at once, what a history may hold apart from plain reads and writes, certificates, and a sample of the fuzz."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tests.full import full
from tribulation.checkers import Budget, CheckResult, RunRecord, Verdict, checker
from tribulation.checkers.linearizability.registers.accesses import _FAR, _positions
from tribulation.histories import Event, History, Type, parse
from tribulation.histories.model.columns import OPEN

from . import fuzz_register, oracle
from .busy_clients import busy_register


def judge(history: str | History, **options: object) -> CheckResult:
    found = parse(history) if isinstance(history, str) else history
    return checker("linearizable").check(RunRecord(history=found, options=options), Budget())


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [([1, 2], Verdict.VALID), ([1, 3], Verdict.INVALID), ([3, 2], Verdict.INVALID), ([4, 5], Verdict.VALID)],
)
def test_a_mismatch_that_answers_a_pair_saw_it_unless_it_repeats_what_was_asked(
    answer: list[int], verdict: Verdict
) -> None:
    """The register holds the list [4, 5]."""
    events = [
        Event(0, 0, 0, Type.INVOKE, "write", [4, 5]),
        Event(1, 1, 0, Type.OK, "write", [4, 5]),
        Event(2, 2, 1, Type.INVOKE, "cas", [1, 2]),
        Event(3, 3, 1, Type.FAIL, "cas", answer, error="mismatch"),
    ]
    assert judge(History(events), model="register").verdict is verdict


def test_positions_that_are_too_large_become_ranks():
    """Those that are not stay what they are, and what is open stays open."""
    small = np.array([3, 8], np.int64), np.array([5, OPEN], np.int64)
    assert [side.tolist() for side in _positions(*small)] == [[3, 8], [5, OPEN]]
    far = np.array([_FAR + 3, _FAR + 8], np.int64), np.array([_FAR + 5, OPEN], np.int64)
    assert [side.tolist() for side in _positions(*far)] == [[0, 2], [1, OPEN]]
    assert [side.tolist() for side in _positions(small[0][:0], small[1][:0])] == [[], []]


def swap(index: int, process: int, new: int, old: object, kind: Type = Type.OK) -> list[Event]:
    return [
        Event(index, index, process, Type.INVOKE, "swap", new),
        Event(index + 1, index + 1, process, kind, "swap", old),
    ]


@pytest.mark.parametrize("first", [0, *full(500, 1000)])
def test_a_sample_of_the_fuzz(first: int):
    """The seeds before those that `make fuzz` takes; each shape and each outcome occurs."""
    seen: Counter[str] = Counter()
    for seed in range(first, first + 500):
        wrong = fuzz_register.compare(seed, seen)
        assert wrong is None, f"seed {seed}: {wrong}"
    assert min(seen["legal"], seen["illegal"], seen["repeated"]) > 30
    assert seen["in doubt"] > 3


def test_swaps_chain_like_cas():
    good = swap(0, 0, 1, None) + swap(2, 1, 2, 1)
    assert judge(History(good)).stats["methods"] == {"zones": 1}
    assert judge(History(good)).verdict is Verdict.VALID
    (anomaly,) = judge(History(good + swap(4, 2, 3, 1))).anomalies
    assert (anomaly.kind, anomaly.ops) == ("lost-update", (2, 4))


def test_get_put_and_delete_are_read_and_write():
    def renamed(text: str) -> History:
        names = {"read": "get", "write": "put"}
        return History(replace(event, f=names[event.f]) for event in parse(text))

    assert judge(renamed("p0 x:w1 p1 x:r1")).verdict is Verdict.VALID
    assert judge(renamed("p0 x:w1 p0 x:w2 p1 x:r1")).verdict is Verdict.INVALID
    deleted = [
        *parse("p0 w1"),
        Event(2, 2, 0, Type.INVOKE, "delete"),
        Event(3, 3, 0, Type.OK, "delete"),
    ]
    after = [replace(event, index=event.index + 4) for event in parse("p1 r_")]
    assert judge(History(deleted + after)).verdict is Verdict.VALID
    after = [replace(event, index=event.index + 4) for event in parse("p1 r1")]
    assert judge(History(deleted + after)).verdict is Verdict.INVALID


def test_values_may_be_lists():
    def listed(text: str) -> History:
        return History(
            replace(event, value=[event.value, "x"]) if event.value is not None else event for event in parse(text)
        )

    good, bad = judge(listed("p0 w1 p0 w2 p1 r2")), judge(listed("p0 w1 p0 w2 p1 r2 p1 r1"))
    assert (good.verdict, bad.verdict) == (Verdict.VALID, Verdict.INVALID)
    assert good.stats["methods"] == {"zones": 1}
    assert "[1, 'x']" in bad.anomalies[0].explanation


def test_a_cas_without_two_values_is_unknown_with_its_place():
    events = [*parse("p0 w1"), Event(2, 2, 0, Type.INVOKE, "cas", [1, 2, 3]), Event(3, 3, 0, Type.OK, "cas", [1, 2, 3])]
    result = judge(History(events))
    assert result.verdict is Verdict.UNKNOWN
    assert result.reason is not None and "index 2 carries [1, 2, 3], not [from, to]" in result.reason


@pytest.mark.parametrize(
    ("text", "kind", "ops"),
    [
        ("p0 w1 p1 r1 p2 c1>2! p1 r1", "false-mismatch", (0, 4, 6)),  # 1 was there before and after
        ("p1 c_>2! p1 r_", "false-mismatch", (0, 2)),
    ],
)
def test_mismatches_while_the_expected_value_was_there(text, kind, ops):
    (anomaly,) = judge(text).anomalies
    assert (anomaly.kind, anomaly.ops) == (kind, ops)


def test_mismatches_in_doubt_are_said_to_be_necessary_only_unless_asked():
    """Too many to be searched unasked; the few that fit nowhere in the order found are in doubt."""
    asked: dict[object, object] = {}
    events = []
    for event in busy_register(seed=4, operations=8_000, clients=15, values=None):
        if event.type is Type.INVOKE:
            asked[event.process] = event.value
        events.append(replace(event, value=asked[event.process]) if event.error == "mismatch" else event)
    history = History(events)
    result = judge(history)
    assert (result.verdict, result.stats["failed_cas"]) == (Verdict.VALID, "necessary-only")
    exact = judge(history, exact=True)
    assert (exact.verdict, exact.stats["methods"]) == (Verdict.VALID, {"search": 1})
    assert "failed_cas" not in exact.stats


def test_certificates_are_legal_orders():
    """The order holds every known operation once, in real time, and a plain register answers so."""
    whole = busy_register(seed=9, operations=2_000, clients=8, values=None, unknown=0.02)
    result = judge(whole, certificate=True)
    assert result.certificate is not None
    by_index = {op.invoke_index: op for op in whole.operations()}
    (order,) = result.certificate.values()
    assert {op.invoke_index for op in by_index.values() if op.type is Type.OK} <= set(order)
    latest, state = -1, None
    for op in map(by_index.__getitem__, order):
        assert op.complete_index is None or op.complete_index > latest
        latest = max(latest, op.invoke_index)
        state = oracle.register(state, op)
        assert state is not oracle.WRONG
    assert judge(whole).certificate is None


def test_violations_of_several_keys_are_found_at_once():
    """One key for each rule; a good one with them, and one whose values are not unique."""
    stories = {
        "stale": "p0 w1 p0 w2 p1 r2 p1 r1",
        "air": "p0 w1 p0 r9",
        "aborted": "p0 w1 p0 w8! p0 r8",
        "twice": "p0 w1 p0 c1>2 p1 c1>3",
        "circle": "p0 c1>2 p1 c2>1",
        "good": "p0 w1 p1 r1",
        "repeated": "p0 w1 p0 w1 p1 r1",
    }
    events: list[Event] = []
    for key, story in stories.items():
        events += [
            replace(event, index=len(events) + event.index, key=key, process=f"{key}{event.process}")
            for event in parse(story)
        ]
    result = judge(History(events))
    kinds = {anomaly.details["key"]: anomaly.kind for anomaly in result.anomalies}
    assert kinds == {
        "stale": "stale-read",
        "air": "thin-air",
        "aborted": "aborted-read",
        "twice": "lost-update",
        "circle": "cas-cycle",
    }
    assert result.stats["verdicts"]["good"] == "valid"
    assert result.stats["methods"] == {"search": 1, "zones": 6}
