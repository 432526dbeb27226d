"""Records that join, as stories of two or three nodes."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.node.core.memory.records.conflicts import conflicts_of, room_problem
from tribulation.node.core.memory.records.record import (
    changed,
    concurrent,
    deleted,
    joined,
    live,
    overwritten,
    shown,
    unseen,
    visible,
)
from tribulation.node.core.memory.records.schema import ELEMENTS_LIMIT
from tribulation.node.core.memory.records.shape import state_problem
from tribulation.node.flaws.switch import Flaws

A, B, C = "n1.1.a", "n2.1.b", "n3.1.c"


def fields_of(state: Any, kind: str = "episode") -> dict[str, Any]:
    return shown(kind, state)["fields"]


def test_a_state_is_the_json_of_the_contract() -> None:
    state = changed(None, "episode", {"goal": "g", "quality": 0.8, "agents": ["x", "a"]}, (A, 1))
    assert state == {
        "c": {A: 1},
        "q": {"quality": {f"{A}:1": [800, 1, 0, 0]}},
        "s": {"agents": {"a": [[A, 1]], "x": [[A, 1]]}},
        "t": {"goal": [[A, 1, "g"]]},
    }
    assert changed(None, "fact", {"times_used": 2}, (A, 7)) == {"c": {A: 7}, "n": {"times_used": {f"{A}:7": [2, 0]}}}
    assert shown("episode", state) == {"fields": {"goal": "g", "quality": 0.8, "agents": ["a", "x"]}, "conflicts": {}}


def test_of_two_texts_written_at_once_both_are_reported_until_one_is_chosen() -> None:
    base = changed(None, "episode", {"goal": "g", "outcome": "o"}, (A, 1))
    one, other = (
        changed(base, "episode", {"goal": "from a"}, (A, 2)),
        changed(base, "episode", {"goal": "from b"}, (B, 1)),
    )
    both = joined(one, other)
    assert shown("episode", both) == {
        "fields": {"goal": "from b", "outcome": "o"},
        "conflicts": {"goal": ["from a", "from b"]},
    }
    chosen = changed(both, "episode", {"goal": "from a"}, (C, 1))
    assert joined(chosen, both) is chosen and joined(other, chosen) is chosen
    assert shown("episode", chosen) == {"fields": {"goal": "from a", "outcome": "o"}, "conflicts": {}}


def test_two_who_write_the_same_are_no_conflict() -> None:
    both = joined(changed(None, "fact", {"concept": "x"}, (A, 1)), changed(None, "fact", {"concept": "x"}, (B, 1)))
    assert len(both["t"]["concept"]) == 2 and shown("fact", both) == {"fields": {"concept": "x"}, "conflicts": {}}


def test_what_was_counted_at_once_is_summed_and_ratings_are_averaged() -> None:
    one = changed(changed(None, "fact", {"times_used": 2, "confidence": 1}, (A, 1)), "fact", {"times_used": 3}, (A, 2))
    other = changed(None, "fact", {"times_used": 10, "confidence": 0}, (B, 1))
    third = changed(None, "fact", {"confidence": 0.001}, (C, 1))
    assert fields_of(joined(joined(one, other), third), "fact") == {"times_used": 15, "confidence": 0.334}


def test_a_deletion_removes_what_was_seen_and_nothing_else() -> None:
    base = changed(
        None, "fact", {"concept": "x", "knowledge": "k", "times_used": 3, "confidence": 0.5, "sources": ["s"]}, (A, 1)
    )
    gone = deleted(base, (B, 1))
    more = changed(base, "fact", {"knowledge": "new", "times_used": 4, "confidence": 1, "sources": ["s"]}, (A, 2))
    assert not live(gone) and shown("fact", gone) == {"fields": {}, "conflicts": {}}
    left = joined(gone, more)
    assert left == joined(more, gone) and live(left)
    assert fields_of(left, "fact") == {"knowledge": "new", "times_used": 4, "confidence": 1.0, "sources": ["s"]}


def test_a_cell_goes_on_after_a_deletion() -> None:
    gone = deleted(changed(None, "profile", {"attempts": 3}, (A, 1)), (A, 2))
    again = changed(gone, "profile", {"attempts": 2}, (A, 3))
    assert again["n"] == {"attempts": {f"{A}:1": [5, 3]}} and fields_of(again, "profile") == {"attempts": 2}
    assert not live(deleted(again, (B, 1)))


def test_a_rating_of_zero_is_a_rating() -> None:
    assert live(changed(None, "profile", {"score": 0}, (A, 1)))
    assert fields_of(changed(None, "profile", {"score": 0}, (A, 1)), "profile") == {"score": 0.0}


def test_two_deletions_at_once_subtract_once() -> None:
    base = changed(None, "profile", {"attempts": 3}, (A, 1))
    more = changed(base, "profile", {"attempts": 4}, (A, 2))
    both = joined(deleted(base, (B, 1)), deleted(more, (C, 1)))
    assert both["n"]["attempts"] == {f"{A}:1": [7, 7]} and not live(both)


def test_an_old_state_that_arrives_after_the_tombstone_is_gone_brings_nothing_back() -> None:
    """The record is deleted, collected, and made again by another: its context does not cover the old one any more. The vector of its holder does."""
    old = changed(None, "fact", {"concept": "old", "times_used": 3, "sources": ["s"]}, (A, 1))
    late = changed(old, "fact", {"knowledge": "not seen here"}, (B, 1))
    vector = {A: 1, C: 1}  # C deleted it
    assert unseen(old, vector) is None
    assert shown("fact", unseen(late, vector) or {})["fields"] == {"knowledge": "not seen here"}
    remade = changed(None, "fact", {"concept": "new"}, (C, 2))
    assert visible(joined(remade, old, {**vector, C: 2})) == visible(remade)
    assert fields_of(joined(remade, late, {**vector, C: 2}), "fact") == {"concept": "new", "knowledge": "not seen here"}
    assert fields_of(joined(late, remade, {}, {**vector, C: 2}), "fact") == {
        "concept": "new",
        "knowledge": "not seen here",
    }
    assert unseen(late, {}) is late, "nothing is taken out, nothing is made again"


def test_a_cell_that_was_collected_elsewhere_comes_back_with_what_was_reported_since() -> None:
    base = changed(None, "profile", {"attempts": 3}, (A, 1))
    gone = deleted(base, (B, 1))
    again = changed(gone, "profile", {"attempts": 2}, (A, 2))
    news = unseen(again, gone["c"])
    assert news is not None and fields_of(news, "profile") == {"attempts": 2}


def test_the_digest_is_that_of_what_there_is_to_see() -> None:
    rule = conflicts_of("merge", Flaws())
    base = changed(None, "profile", {"attempts": 3}, (A, 1))
    gone = deleted(base, (B, 1))
    again, remade = changed(gone, "profile", {"score": 1}, (C, 1)), changed(None, "profile", {"score": 1}, (C, 1))
    assert rule.digest("profile", "p", gone) == 0
    assert again != remade and rule.digest("profile", "p", again) == rule.digest("profile", "p", remade)
    assert (
        rule.digest("profile", "q", remade) != rule.digest("profile", "p", remade) != rule.digest("fact", "p", remade)
    )
    assert rule.digest("profile", "p", base).bit_length() <= 128


def test_concurrent() -> None:
    base = changed(None, "fact", {"concept": "x"}, (A, 5))
    one, other = changed(base, "fact", {"concept": "y"}, (B, 5)), changed(base, "fact", {"concept": "z"}, (C, 1))
    assert concurrent(one, other) and not concurrent(base, one) and not concurrent(one, one)


def test_a_set_has_a_limit_that_a_join_may_pass() -> None:
    rule, state = conflicts_of("merge", Flaws()), None
    names = [f"s{number}" for number in range(ELEMENTS_LIMIT + 1)]
    for number, start in enumerate(range(0, ELEMENTS_LIMIT, 64), 1):
        state = changed(state, "fact", {"sources": names[start : start + 64]}, (A, number))
    assert room_problem(rule, "fact", state, {"sources": ["s1", "s2"]}) is None
    assert (
        room_problem(rule, "fact", state, {"sources": [names[-1]]})
        == "sources would have 257 elements, and may have 256"
    )
    assert room_problem(rule, "fact", None, {"sources": ["s1"]}) is None
    state = joined(state, changed(None, "fact", {"sources": [names[-1]]}, (B, 1)))
    assert (
        len(fields_of(state, "fact")["sources"]) == 257
        and room_problem(rule, "fact", state, {"sources": ["s1"]}) is None
    )


@pytest.mark.parametrize("flaw", [None, "texts-overwrite"])
def test_texts_overwrite(flaw: str | None) -> None:
    rule = conflicts_of("merge", Flaws.from_names([flaw] if flaw else []))
    one, other = changed(None, "fact", {"concept": "x"}, (A, 1)), changed(None, "fact", {"concept": "y"}, (B, 1))
    both = rule.joined(one, other)
    assert shown("fact", both)["fields"] == {"concept": "y"}
    assert shown("fact", both)["conflicts"] == ({} if flaw else {"concept": ["x", "y"]})
    assert overwritten(one) is one


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (None, "the state is None"),
        ({}, "the vector is None"),
        ({"c": {}}, "seen nothing"),
        ({"c": {A: True}}, "not an integer"),
        ({"c": {A: 1 << 63}}, "not an integer"),
        ({"c": {"": 1}}, "not a replica"),
        ({"c": {A: 1}, "x": {}}, "its parts are"),
        ({"c": {A: 1}, "t": {}}, "left out when empty"),
        ({"c": {A: 1}, "t": {"nothing": [[A, 1, "x"]]}}, "not one of its type"),
        ({"c": {A: 1}, "t": {"sources": [[A, 1, "x"]]}}, "not one of its type"),
        ({"c": {A: 1}, "t": {"concept": []}}, "not a list of things"),
        ({"c": {A: 1}, "t": {"concept": [[A, 2, "x"]]}}, "not in the context"),
        ({"c": {A: 1}, "t": {"concept": [[A, 1, 5]]}}, "not a text"),
        ({"c": {A: 1}, "t": {"concept": [[A, 1]]}}, "a replica and a number and a value"),
        ({"c": {A: 2}, "t": {"concept": [[A, 1, "x"], [A, 2, "x"]]}}, "one of each replica"),
        ({"c": {A: 1, B: 1}, "t": {"concept": [[B, 1, "x"], [A, 1, "x"]]}}, "not sorted"),
        ({"c": {A: 1}, "s": {"sources": {"": [[A, 1]]}}}, "1-64 characters"),
        ({"c": {A: 1}, "s": {"sources": {"x": []}}}, "not a list"),
        ({"c": {A: 1}, "s": {"sources": {"x": [[A, 1, "y"]]}}}, "a replica and a number"),
        ({"c": {A: 1}, "n": {"times_used": {A: [1, 0]}}}, "not named by"),
        ({"c": {A: 1}, "n": {"times_used": {f"{A}:01": [1, 0]}}}, "not named by"),
        ({"c": {A: 1}, "n": {"times_used": {f"{A}:2": [1, 0]}}}, "not named by"),
        ({"c": {A: 1}, "n": {"times_used": {f"{A}:1": [1, 2]}}}, "more was reset"),
        ({"c": {A: 1}, "n": {"times_used": {f"{A}:1": [0, 0]}}}, "counts nothing"),
        ({"c": {A: 1}, "n": {"times_used": {f"{A}:1": [1, -1]}}}, "integers"),
        ({"c": {A: 1}, "n": {"times_used": {f"{A}:1": [1.0, 0]}}}, "integers"),
        ({"c": {A: 1}, "q": {"confidence": {f"{A}:1": [1, 0]}}}, "list of 4"),
    ],
)
def test_a_state_from_elsewhere_is_refused_by_name(state: Any, words: str) -> None:
    assert words in str(state_problem("fact", state))


def test_the_context_of_a_hostile_state_is_answered_shortly() -> None:
    assert len(str(state_problem("fact", {"c": {"x" * 10_000_000: 1}}))) < 300
    assert len(str(state_problem("fact", {"c": {A: 1}, "t": {"concept": [[A, 1, 10**5000]]}}))) < 300
    assert len(str(state_problem("fact", {"c": {A: 1}, "n": {"times_used": {f"{A}:{'9' * 6000}": [1, 0]}}}))) < 300
