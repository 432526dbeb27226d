"""The latest change wins, whole: it converges, and it loses what was written meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.core.interface.entry import canonical
from tribulation.node.core.memory.records.conflicts import LatestWins, conflicts_of
from tribulation.node.core.memory.records.latest import changed, deleted, joined, live, shown, state_problem, unseen
from tribulation.node.flaws.switch import Flaws

A, B = "n1.1.a", "n2.1.b"


def test_a_state_is_the_json_of_the_contract() -> None:
    state = changed(None, "episode", {"goal": "g", "quality": 0.8, "agents": ["x", "a"]}, (A, 1), 1000)
    assert state == {"c": {A: 1}, "f": {"agents": ["a", "x"], "goal": "g", "quality": [800, 1]}, "w": [1000, A, 1]}
    state = changed(state, "episode", {"quality": 0.1, "agents": ["b"]}, (B, 1), 2000)
    assert state == {
        "c": {A: 1, B: 1},
        "f": {"agents": ["a", "b", "x"], "goal": "g", "quality": [900, 2]},
        "w": [2000, B, 1],
    }
    assert shown("episode", state) == {
        "fields": {"goal": "g", "quality": 0.45, "agents": ["a", "b", "x"]},
        "conflicts": {},
    }
    assert state_problem("episode", state) is None
    gone = deleted(state, (A, 2), 3000)
    assert (
        gone == {"c": {A: 2, B: 1}, "f": None, "w": [3000, A, 2]}
        and not live(gone)
        and state_problem("fact", gone) is None
    )


def test_what_was_counted_at_once_is_lost() -> None:
    base = changed(None, "profile", {"attempts": 1}, (A, 1), 1000)
    one, other = (
        changed(base, "profile", {"attempts": 5}, (A, 2), 2000),
        changed(base, "profile", {"attempts": 7}, (B, 1), 2001),
    )
    both = joined(one, other)
    assert both == joined(other, one) and both["c"] == {A: 2, B: 1}
    assert shown("profile", both)["fields"] == {"attempts": 8}


def test_what_a_clock_that_is_behind_writes_is_lost_at_once() -> None:
    base = changed(None, "fact", {"concept": "x"}, (A, 1), 5000)
    after = changed(base, "fact", {"concept": "y"}, (B, 1), 1000)
    assert shown("fact", after)["fields"] == {"concept": "x"} and after["c"] == {A: 1, B: 1}
    assert live(deleted(after, (B, 2), 2000)), "so is a deletion"


@pytest.mark.parametrize("flaw", [None, "lww-tie"])
def test_lww_tie(flaw: str | None) -> None:
    rule = LatestWins(Flaws.from_names([flaw] if flaw else []))
    one = rule.changed(None, "fact", {"concept": "x"}, (A, 1), 1000)
    other = rule.changed(None, "fact", {"concept": "y"}, (B, 1), 1000)
    here, there = rule.joined(one, other), rule.joined(other, one)
    assert (rule.digest("fact", "f", here) != rule.digest("fact", "f", there)) == (flaw is not None)
    assert shown("fact", there)["fields"] == {"concept": "y"}
    assert shown("fact", here)["fields"] == {"concept": "x" if flaw else "y"}


def test_what_was_seen_and_is_not_here_was_deleted() -> None:
    old = changed(None, "fact", {"concept": "x"}, (A, 1), 1000)
    beaten = changed(old, "fact", {"concept": "y"}, (B, 1), 500)
    assert unseen(old, {A: 1}) is None and unseen(old, {}) is old
    assert unseen(beaten, {A: 1}) == {**beaten, "f": None}
    rule = conflicts_of("latest-wins", Flaws())
    assert rule.digest("fact", "f", {**beaten, "f": None}) == 0


GOOD = {"c": {A: 1}, "f": {"concept": "x", "times_used": 1, "confidence": [5, 1], "sources": ["a"]}, "w": [0, A, 1]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"c": {}}, "seen nothing"),
        ({"x": 1}, "parts c, f and w"),
        ({"w": [0, A]}, "not a list of wall_ms"),
        ({"w": [0, A, 2]}, "not in the context"),
        ({"w": [0.5, A, 1]}, "not an integer of ms"),
        ({"w": [-1, A, 1]}, "not an integer of ms"),
        ({"w": [0, [], 1]}, "not a list of wall_ms"),
        ({"f": {}}, "not an object of fields"),
        ({"f": {"goal": "x"}}, "not a field of kind fact"),
        ({"f": {"concept": 1}}, "not a text"),
        ({"f": {"times_used": 0}}, "not an integer"),
        ({"f": {"confidence": [5, 0]}}, "not a list of total"),
        ({"f": {"sources": []}}, "not a list of elements"),
        ({"f": {"sources": ["b", "a"]}}, "not a sorted list"),
    ],
)
def test_a_state_from_elsewhere_is_refused_by_name(change: dict[str, Any], words: str) -> None:
    assert state_problem("fact", GOOD) is None
    assert words in str(state_problem("fact", {**GOOD, **change}))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_anything_may_come_from_a_peer(value: Any) -> None:
    state_problem("fact", value)
    for part in ("c", "f", "w"):
        state_problem("fact", {**GOOD, part: value})
    for field in ("concept", "times_used", "confidence", "sources"):
        state_problem("fact", {**GOOD, "f": {field: value}})


fields = st.fixed_dictionaries(
    {},
    optional={
        "concept": st.sampled_from("xyz"),
        "times_used": st.integers(1, 3),
        "sources": st.lists(st.sampled_from("ab"), min_size=1),
    },
).filter(bool)
step = st.tuples(
    st.integers(0, 2),
    st.sampled_from(["change", "change", "delete", "join"]),
    fields,
    st.integers(0, 4),
    st.integers(0, 2),
)


@given(st.integers(0, 30).flatmap(lambda length: st.lists(step, min_size=length, max_size=length)))
def test_every_history_converges_on_the_latest(history: list[Any]) -> None:
    """Clocks jump as they like; each replica takes whole states of the others."""
    states: list[Any] = [None] * 3
    numbers, reached = [0] * 3, []
    for replica, verb, values, wall_ms, other in history:
        here = states[replica]
        if verb == "join" and states[other] is not None:
            states[replica] = states[other] if here is None else joined(here, states[other])
        elif verb == "change" or (verb == "delete" and here is not None):
            numbers[replica] += 1
            dot = (f"n{replica}", numbers[replica])
            states[replica] = (
                changed(here, "fact", values, dot, wall_ms) if verb == "change" else deleted(here, dot, wall_ms)
            )
        if states[replica] is not None:
            reached.append(states[replica])
            assert state_problem("fact", states[replica]) is None
            assert json.dumps(states[replica], separators=(",", ":")) == canonical(states[replica])
            assert here is None or joined(here, states[replica]) == states[replica], (
                "nothing is forgotten but by losing"
            )
    for a, b, c in zip(reached, reached[::-1], reached[1:] + reached[:1], strict=True):
        assert joined(a, a) is a and joined(a, b) == joined(b, a)
        assert joined(joined(a, b), c) == joined(a, joined(b, c)) and joined(joined(a, b), a) == joined(a, b)
    left = [state for state in states if state is not None]
    for _ in range(2):
        for one in range(len(left)):
            for other in range(len(left)):
                left[one] = joined(left[one], left[other])
    assert all(state == left[0] for state in left)
