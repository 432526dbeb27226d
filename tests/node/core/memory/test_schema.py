"""What a change may say: refused by name and value, with what would be right."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.core.memory.records import trits
from tribulation.node.core.memory.records.schema import (
    COUNT_LIMIT,
    FIELDS,
    INTEGER_LIMIT,
    KINDS,
    LIMITS,
    change_problem,
    short,
    thousandths,
)

EPISODE = {
    "goal": "write a parser",
    "outcome": "",
    "strategy": "先に考える 😀",
    "duration_ms": 1200,
    "timestamp_ms": 1_700_000_000_000,
    "hypervector": trits.to_text([1, -1, 0] * 3333 + [1]),
    "quality": 0.8,
    "agents": ["a1", "a2"],
    "modalities_in": ["text"],
    "modalities_out": ["code"],
}
FACT = {"concept": "c", "knowledge": "k", "times_used": 1, "times_helpful": 2, "confidence": 1, "sources": ["e1"]}


def test_the_published_kinds_and_limits() -> None:
    assert tuple(FIELDS) == KINDS and LIMITS == {"episode": 10_000, "fact": 5_000, "profile": 30}
    assert change_problem("episode", "e1", EPISODE) is None
    assert change_problem("fact", "f1", FACT) is None
    assert change_problem("profile", "a1/text", {"attempts": 1, "successes": 1, "score": 0}) is None
    assert set(EPISODE) == set(FIELDS["episode"]) and set(FACT) == set(FIELDS["fact"])


@pytest.mark.parametrize(
    ("kind", "record", "fields", "problem"),
    [
        ("memo", "m", {}, "the kind 'memo' is none of episode, fact, profile"),
        (["fact"], "m", {}, "the kind a list of 1 is none of episode, fact, profile"),
        ("fact", "", FACT, "the record '' is not a name of 1-128 printable characters"),
        ("fact", "x\n", FACT, "the record 'x\\n' is not a name of 1-128 printable characters"),
        ("fact", "x" * 129, FACT, f"the record '{'x' * 80}'… is not a name of 1-128 printable characters"),
        ("profile", "p", {}, "fields are a dict of 0, not an object with one or more of attempts, successes, score"),
        (
            "profile",
            "p",
            {"skill": 1},
            "'skill' is not a field of kind profile; its fields are attempts, successes, score",
        ),
        ("profile", "p", {"attempts": 0}, "attempts is 0, not an integer 1..1099511627775: how many more there are"),
        (
            "profile",
            "p",
            {"attempts": True},
            "attempts is True, not an integer 1..1099511627775: how many more there are",
        ),
        ("profile", "p", {"score": 1.01}, "score is 1.01, not a number 0..1"),
        ("profile", "p", {"score": float("nan")}, "score is nan, not a number 0..1"),
        ("profile", "p", {"score": True}, "score is True, not a number 0..1"),
        ("episode", "e", {"goal": 5}, "goal is 5, not a text of at most 4096 characters"),
        (
            "episode",
            "e",
            {"goal": "\ud800"},
            "goal is '\\ud800', which has half of a surrogate pair; texts are whole Unicode characters",
        ),
        ("episode", "e", {"duration_ms": -1}, f"duration_ms is -1, not an integer 0..{INTEGER_LIMIT}"),
        ("episode", "e", {"duration_ms": 1.0}, f"duration_ms is 1.0, not an integer 0..{INTEGER_LIMIT}"),
        ("episode", "e", {"agents": "a1"}, "agents is 'a1', not a list of 1-64 elements to add"),
        ("episode", "e", {"agents": []}, "agents is a list of 0, not a list of 1-64 elements to add"),
        ("episode", "e", {"agents": ["x"] * 65}, "agents is a list of 65, not a list of 1-64 elements to add"),
        ("episode", "e", {"agents": ["x", ""]}, "agents is a list of 2, in which '' is not a text of 1-64 characters"),
        (
            "episode",
            "e",
            {"agents": ["x" * 65]},
            f"agents is a list of 1, in which '{'x' * 65}' is not a text of 1-64 characters",
        ),
    ],
)
def test_what_is_refused(kind: Any, record: Any, fields: Any, problem: str) -> None:
    assert change_problem(kind, record, fields) == problem


def test_limits_are_within_and_one_more_is_not() -> None:
    assert change_problem("fact", "x" * 128, {"concept": "x" * 4096}) is None
    assert str(change_problem("fact", "x", {"concept": "x" * 4097})).endswith(
        "… , not a text of at most 4096 characters (it has 4097)".replace("… ,", "…,")
    )
    assert change_problem("fact", "x", {"times_used": COUNT_LIMIT - 1}) is None
    assert change_problem("fact", "x", {"times_used": COUNT_LIMIT}) is not None
    assert change_problem("episode", "x", {"duration_ms": INTEGER_LIMIT}) is None
    assert change_problem("episode", "x", {"duration_ms": INTEGER_LIMIT + 1}) is not None
    assert change_problem("episode", "x", {"agents": ["y" * 64] * 64}) is None


@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=9))
def test_packed_trits_are_a_hypervector(values: list[int]) -> None:
    assert change_problem("episode", "e", {"hypervector": trits.to_text(values)}) is None


@given(st.binary(max_size=6))
def test_bytes_are_a_hypervector_when_they_unpack(packed: bytes) -> None:
    try:
        good = len(trits.unpack(packed)) > 0
    except ValueError:
        good = False
    assert (change_problem("episode", "e", {"hypervector": b64encode(packed).decode()}) is None) == good


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "A",
        "AA",
        "AB==",
        "AA==\n",
        " AA==",
        "AAAA====",
        "A===",
        "é",
        b64encode(bytes(5001)).decode(),
        trits.to_text([0] * 10_001),
    ],
)
def test_other_texts_are_not(text: Any) -> None:
    """Also those that a lenient decoder takes: `AB==` has bits after its last byte."""
    problem = str(change_problem("episode", "e", {"hypervector": text}))
    assert problem.endswith("not 1-10000 trits, two a byte, in base64 without line ends (see trits.py)")


def test_scores_become_thousandths() -> None:
    assert [thousandths(score) for score in (0, 1, 0.8, 0.1234, 0.9999, 1 / 3)] == [0, 1000, 800, 123, 1000, 333]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_anything_may_be_asked_for(value: Any) -> None:
    for kind in (*KINDS, value):
        change_problem(kind, value, value)
        for field in FIELDS.get(kind, ()) if isinstance(kind, str) else ():
            change_problem(kind, "x", {field: value})


def test_a_problem_is_short_whatever_the_value() -> None:
    for value in ("x" * 10_000_000, 10**5000, [[]] * 1_000_000, {"x": 1}, object(), b"x"):
        assert len(short(value)) < 100
