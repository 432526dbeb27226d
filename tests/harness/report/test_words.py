"""Faults and operations in words."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.checkers.base.result import Fault
from tribulation.harness.report import words
from tribulation.histories import Event, History, Type, parse


@pytest.mark.parametrize(
    ("edges", "text"),
    [
        ([], "nothing"),
        ([("a", "b"), ("b", "a")], "a | b"),
        ([(x, y) for x in "abcde" for y in "abcde" if (x in "ab") != (y in "ab")], "a b | c d e"),
        ([("a", "b")], "a → b"),
        # A bridge: c reaches both sides, so this is no split into groups.
        ([(x, y) for x in "abde" for y in "abde" if (x in "ab") != (y in "ab")], "a b | d e"),
        ([("a", "b"), ("b", "a"), ("b", "c")], "a ↔ b, b → c"),
        ([(x, y) for x in "abc" for y in "abc" if x != y], "a | b | c"),
    ],
)
def test_a_cut_is_reported_by_its_sides_where_it_has_sides(edges: list[tuple[str, str]], text: str) -> None:
    assert words.cut(edges) == text


@pytest.mark.parametrize(
    ("kind", "what", "text"),
    [
        ("kill", {"nodes": ["n1", "n2"]}, "n1, n2"),
        ("clock", {"offsets_ns": {"n2": 60_000_000_000}}, "n2 +60 s"),
        ("clock", {"offsets_ns": {}}, "nothing"),
        ("clock", {"drift_ppm": {"n1": -500.2}, "offsets_ns": {"n1": -2_000_000}}, "n1 -500.2 ppm"),
        ("clock", {"strobe_ns": {"n1": 5_000_000_000}, "period_ns": 1}, "n1 to and fro by 5 s"),
        ("membership", {"nodes": ["n2"], "action": "replace", "weights": {"n2": 1}}, "n2"),
        ("voters", {"voters": {"n5": 0}}, "n5 weight 0"),
        ("pause", None, "not probed"),
        ("loss", {"percent": 3}, '{"percent": 3}'),
        ("kill", {"nodes": ["n1"], "states": {"n1": "gone"}, "apply_ms": 12.5}, "n1"),
        ("kill", {"processes": {"n1": "killed"}}, "n1 killed"),
        ("cut", {"edges": [["a", "b"]], "cut_but_heard": [["b", "a"]], "verify_ms": 3}, "a → b; cut but heard: b → a"),
        ("pause", {"nodes": [], "unlike": {"n1": ["7 worker S"]}}, "nothing; n1, otherwise: 7 worker S"),
        (
            "kill",
            {"nodes": ["n1"], "lapsed": True, "not_held": {"n1": ["7 db S"]}},
            "n1; n1 was back before the heal: 7 db S",
        ),
        (
            "kill",
            {"nodes": [], "not_there_before": ["n1"]},
            "nothing; no process of the system on n1 before it; does `pid` of the adapter name the right one?",
        ),
        ("pause", {"nodes": ["n1"], "lapsed": True}, "n1; lapsed: its watchdog undid it early"),
    ],
)
def test_what_a_fault_does(kind: str, what: Any, text: str) -> None:
    assert words.effect(kind, what) == text


@pytest.mark.parametrize(
    ("kind", "what", "text"),
    [
        ("cut", {"edges": [["n1", "n2"], ["n2", "n1"]]}, "partition: n1 | n2"),
        ("disk", {"nodes": ["n1"], "effect": "lost-writes", "model": "journaled"}, "disk lost-writes: n1"),
        (
            "link",
            {"edges": [["n1", "n2"]], "delay_ns": 80_000_000, "loss_ppm": 200_000},
            "link delay 80 ms loss 20 %: n1 → n2",
        ),
        ("link", {"edges": [["n1", "n2"]], "delay_ns": "soon", "loss_ppm": {}}, "link: n1 → n2"),
    ],
)
def test_a_fault_is_described_with_its_parameters(kind: str, what: Any, text: str) -> None:
    assert words.described(Fault("f", kind, what, None, True, 0)) == text


def test_times_carry_the_unit_that_suits_them() -> None:
    assert [words.duration(ns) for ns in (1_500, 2_500_000, 3_210_000_000, None)] == ["1.5 µs", "2.5 ms", "3.21 s", "–"]
    assert words.milliseconds(1_234_567_890) == "1\u202f234.568"


def test_long_values_are_cut_and_say_how_long_they_were() -> None:
    assert words.value(list(range(500))) == "[0, 1, 2, 3, 4, 5, 6, 7, … 500 in all]"
    assert len(words.value("x" * 1000)) == 72


def test_an_operation_shows_what_was_asked_and_what_was_answered_beyond_it() -> None:
    history = parse("p0 k:w5  p0 k:r5  p0 k:r_  p1 k:r5?  p2 s1,2  p2 w7!")
    assert [words.operation(op) for op in history.operations()] == [
        "write k 5",
        "read k → 5",
        "read k → nil",
        "read k",
        "read → [1, 2]",
        "write 7",
    ]


def test_means_are_reported_once_where_hosts_agree() -> None:
    found = {
        "link": {"n1": "netem", "n2": "nft and NFQUEUE", "n3": "netem"},
        "cpu": {"n1": "cgroup v1", "n2": "cgroup v1"},
    }
    assert words.means(found) == {"link": "netem (n1, n3); nft and NFQUEUE (n2)", "cpu": "cgroup v1"}


@pytest.mark.parametrize("edges", [{"a": None}, [[]], [["n1"]], 5, [[["n1"], "n2"]], {"a": 1}])
def test_what_no_probe_writes_stands_there_as_it_is(edges: object) -> None:
    assert "edges" in words.effect("cut", {"edges": edges})


def test_a_transaction_is_shown_in_words_and_by_what_it_read() -> None:
    asked, answer = [["r", "x", None], ["append", "y", 5]], [["r", "x", [1, 2]], ["append", "y", 5]]
    events = [
        Event(0, 0, 1, Type.INVOKE, "txn", asked),
        Event(1, 9, 1, Type.OK, "txn", answer),
        Event(2, 9, 1, Type.INVOKE, "txn", [["r", "x", None], ["w", "y", 5]]),
    ]
    answered, unanswered = History(events).operations()
    assert words.operation(answered) == "txn read x = [1 2]; append 5 to y"
    assert words.operation(unanswered) == "txn read x; write 5 to y"
