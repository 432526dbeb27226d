"""The same inner keys under another `key`, or in another workload, are other lists and registers, as they are for linearizability."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.checkers import Verdict, check
from tribulation.checkers.base.budget import Meter
from tribulation.checkers.transactions.exact import search_order
from tribulation.histories import Event, History, Type

Part = list[Any]
APART: list[dict[str, Any]] = [{"key": "b"}, {"workload": "other"}, {"key": "a", "workload": "other"}]
"""Fields that name another object than `key` a of no workload."""


def in_turn(*txns: tuple[dict[str, Any], list[Part]], f: str = "txn") -> History:
    """Transactions one after the other, each by its process."""
    return History(
        [
            Event(2 * at + (kind is Type.OK), 2 * at, at, kind, f, value=parts, **{"key": "a", **fields})
            for at, (fields, parts) in enumerate(txns)
            for kind in (Type.INVOKE, Type.OK)
        ]
    )


def verdict(history: History, checker: str, **options: Any) -> Verdict:
    return check(history, [checker], **options)[checker].verdict


@pytest.mark.parametrize("apart", APART)
@pytest.mark.parametrize("checker", ["list-append", "linearizable", "causal", "read-atomic", "read-committed"])
def test_lists_of_different_objects_are_not_merged(apart: dict[str, Any], checker: str) -> None:
    history = in_turn(
        ({}, [["append", "x", 1]]),
        (apart, [["append", "x", 2]]),
        ({}, [["r", "x", [1]]]),
        (apart, [["r", "x", [2]]]),
    )
    assert verdict(history, checker) is Verdict.VALID


@pytest.mark.parametrize("apart", APART)
@pytest.mark.parametrize("checker", ["rw-register", "linearizable", "causal", "read-atomic", "read-committed"])
def test_registers_of_different_objects_are_not_merged(apart: dict[str, Any], checker: str) -> None:
    history = in_turn(({}, [["w", "x", 1]]), (apart, [["w", "x", 2]]), ({}, [["r", "x", 1]]), (apart, [["r", "x", 2]]))
    assert verdict(history, checker) is Verdict.VALID


@pytest.mark.parametrize("apart", APART)
@pytest.mark.parametrize("level", ["serializable", "strong-session-serializable", "strict-serializable"])
def test_the_search_for_an_order_keeps_objects_apart(apart: dict[str, Any], level: str) -> None:
    history = in_turn(({}, [["w", "x", 1]]), (apart, [["w", "x", 2]]), ({}, [["r", "x", 1]]), (apart, [["r", "x", 2]]))
    assert verdict(history, "rw-register", consistency=level, exact=True) is Verdict.VALID
    assert search_order(history, level, Meter(10.0, 64)).verdict is Verdict.VALID


@pytest.mark.parametrize("apart", APART)
@pytest.mark.parametrize("checker", ["list-append", "linearizable", "causal"])
def test_a_value_of_another_object_was_written_by_no_one(apart: dict[str, Any], checker: str) -> None:
    history = in_turn(({}, [["append", "x", 1]]), (apart, [["append", "x", 2]]), ({}, [["r", "x", [1, 2]]]))
    found = check(history, [checker])[checker]
    assert found.verdict is Verdict.INVALID
    assert checker == "linearizable" or "x" in found.anomalies[0].explanation


@pytest.mark.parametrize("apart", APART)
def test_writes_of_one_key_in_two_objects_are_no_long_fork_and_keys_of_it(apart: dict[str, Any]) -> None:
    first: list[tuple[dict[str, Any], list[Part]]] = [
        ({}, [["w", "x", 1]]),
        ({}, [["r", "x", 1], ["r", "y", None]]),
    ]
    other: list[tuple[dict[str, Any], list[Part]]] = [
        (apart, [["w", "y", 1]]),
        (apart, [["r", "x", None], ["r", "y", 1]]),
    ]
    assert verdict(in_turn(*first, *other), "long-fork") is Verdict.VALID
    again: list[tuple[dict[str, Any], list[Part]]] = [(apart, [["w", "x", 1]]), ({}, [["w", "y", 1]])]
    assert verdict(in_turn(*first, *other, *again), "long-fork") is Verdict.VALID


@pytest.mark.parametrize("apart", [{"workload": "other"}])
def test_registers_of_two_workloads_are_two(apart: dict[str, Any]) -> None:
    events = [
        Event(
            2 * at + (kind is Type.OK),
            at,
            0,
            kind,
            f,
            None if f == "read" and kind is Type.INVOKE else value,
            "a",
            **fields,
        )
        for at, (fields, f, value) in enumerate(
            [({}, "write", 1), (apart, "write", 2), ({}, "read", 1), (apart, "read", 2)]
        )
        for kind in (Type.INVOKE, Type.OK)
    ]
    for checker in ("session-guarantees", "sequential-keys", "causal", "linearizable"):
        assert (
            verdict(History(events), checker, consistency="sequential" if "-" in checker else None)
            is not Verdict.INVALID
        )
