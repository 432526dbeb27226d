"""Histories of several replicas against the definition of what must be visible (oracle.py): whatever is late, lost, doubled, and out of order."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribulation.node.core.interface.entry import canonical
from tribulation.node.core.memory.records import record
from tribulation.node.core.memory.records.record import changed, deleted, joined, live, shown, unseen, visible
from tribulation.node.core.memory.records.shape import state_problem

from .oracle import NONE, Known, Operation
from .oracle import shown as expected

A, B, C = "n1.1.a", "n2.1.b", "n3.1.c"

texts = st.sampled_from(["x", "y", "z"])
episodes = st.fixed_dictionaries(
    {},
    optional={
        "goal": texts,
        "outcome": texts,
        "duration_ms": st.integers(0, 3),
        "quality": st.sampled_from([0, 0.25, 0.5, 1]),
        "agents": st.lists(texts, min_size=1, max_size=2),
    },
).filter(bool)
facts = st.fixed_dictionaries(
    {},
    optional={
        "concept": texts,
        "times_used": st.integers(1, 5),
        "times_helpful": st.integers(1, 5),
        "confidence": st.sampled_from([0, 0.333, 1]),
        "sources": st.lists(texts, min_size=1, max_size=2),
    },
).filter(bool)
REPLICAS = (A, B, C, "log")
CHANGES = {"episode": episodes, "fact": facts}
kinds = pytest.mark.parametrize("kind", list(CHANGES))


def histories(kind: str, most: int) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """Of all lengths: lists alone are short, for the most part."""
    replicas = st.sampled_from(REPLICAS)
    step = st.one_of(
        st.tuples(st.just("change"), replicas, CHANGES[kind]),
        st.tuples(st.just("change"), replicas, CHANGES[kind]),
        st.tuples(st.sampled_from(["delete", "send", "other"]), replicas),
        st.tuples(st.just("deliver"), replicas, st.integers(0, 5)),
        st.tuples(st.just("deliver"), replicas, st.integers(0, 5)),
    )
    return st.integers(0, most).flatmap(lambda length: st.lists(step, min_size=length, max_size=length))


@dataclass
class Replica:
    name: str
    state: Any = None
    known: Known = NONE
    number: int = 0

    def dot(self) -> tuple[str, int]:
        self.number += 1
        return self.name, self.number


@dataclass
class World:
    """Replicas of one record, and messages that are late, lost, doubled and out of order: a sender leaves a copy of its state, a receiver chooses which it takes."""

    kind: str
    replicas: dict[str, Replica] = field(default_factory=lambda: {name: Replica(name) for name in REPLICAS})
    sent: list[tuple[Any, Known]] = field(default_factory=list)
    reached: list[tuple[Any, Known]] = field(default_factory=list)

    def do(self, step: tuple[Any, ...]) -> None:
        verb, replica = step[0], self.replicas[step[1]]
        if verb == "change" or (verb == "delete" and replica.state is not None):
            fields = step[2] if verb == "change" else None
            operation = Operation(replica.dot(), fields, replica.known)
            before = canonical(replica.state)
            after = (
                changed(replica.state, self.kind, fields, operation.dot)
                if fields
                else deleted(replica.state, operation.dot)
            )
            assert canonical(replica.state) == before, "an argument was changed"
            if replica.state is not None:
                assert joined(replica.state, after) is after and joined(after, replica.state) is after, (
                    "a change says all that was said"
                )
            self.put(replica, after, replica.known | {operation})
        elif verb == "other":
            replica.number += 1  # of another record
        elif verb == "send" and replica.state is not None:
            self.sent.append((replica.state, replica.known))
        elif verb == "deliver" and self.sent:
            state, known = self.sent[-1 - step[2] % len(self.sent)]
            self.take(replica, state, known)

    def take(self, replica: Replica, state: Any, known: Known) -> None:
        before = canonical([replica.state, state])
        after = state if replica.state is None else joined(replica.state, state)
        assert canonical([replica.state, state]) == before, "an argument was changed"
        self.put(replica, after, replica.known | known)

    def put(self, replica: Replica, state: Any, known: Known) -> None:
        replica.state, replica.known = state, known
        self.reached.append((state, known))
        check(self.kind, state, known)

    def settle(self) -> None:
        """Everybody hears of everything, twice round."""
        for one, other in [*itertools.permutations(self.replicas.values(), 2)] * 2:
            if one.state is not None:
                self.take(other, one.state, one.known)
        states = [replica.state for replica in self.replicas.values()]
        assert all(state == states[0] for state in states)


def check(kind: str, state: Any, known: Known) -> None:
    """What is shown is what must be; and the state is canonical, and fine for others."""
    wanted = expected(kind, known)
    assert live(state) == (wanted is not None)
    assert shown(kind, state) == (wanted or {"fields": {}, "conflicts": {}})
    assert state["c"] == {name: max(o.dot[1] for o in known if o.dot[0] == name) for name, _ in {o.dot for o in known}}
    text = canonical(state)
    assert json.dumps(state, separators=(",", ":")) == text, "keys are sorted"
    assert state_problem(kind, json.loads(text)) is None


def play(kind: str, history: list[tuple[Any, ...]]) -> World:
    world = World(kind)
    for step in history:
        world.do(step)
    return world


@kinds
@given(data=st.data())
@settings(max_examples=30)
def test_every_history_shows_what_it_must_and_converges(kind: str, data: st.DataObject) -> None:
    play(kind, data.draw(histories(kind, 50))).settle()


@kinds
@given(data=st.data())
@settings(max_examples=25)
def test_joining_is_idempotent_commutative_and_associative(kind: str, data: st.DataObject) -> None:
    reached = play(kind, data.draw(histories(kind, 30))).reached
    if not reached:
        return
    one = st.sampled_from(reached)
    for _ in range(5):
        (a, a_known), (b, b_known), (c, _) = data.draw(st.tuples(one, one, one))
        assert joined(a, a) is a
        both = joined(a, b)
        assert both == joined(b, a) == record._Join(a, b, {}, {}).state(), (
            "the short way comes to what the long way does"
        )
        check(kind, both, a_known | b_known)
        assert joined(both, c) == joined(a, joined(b, c))
        assert joined(both, a) is both and joined(a, both) is both
        if a_known == b_known:
            assert a == b, "a state is what was seen, and nothing else"


@settings(max_examples=50)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_anything_may_come_from_a_peer(value: Any) -> None:
    state_problem("episode", value)
    state_problem("fact", {"c": {A: 1}, "t": value, "s": {"sources": value}})
    for part, name in (("t", "concept"), ("s", "sources"), ("n", "times_used"), ("q", "confidence")):
        assert isinstance(state_problem("fact", {"c": {A: 1}, part: {name: value}}), str)
        state_problem("fact", {"c": {A: 1}, part: {name: {f"{A}:1": value}}})


@kinds
@given(data=st.data())
@settings(max_examples=25)
def test_a_state_with_anything_changed_in_it_is_judged_without_raising(kind: str, data: st.DataObject) -> None:
    """And what is not refused can be read, joined and deleted."""
    reached = play(kind, data.draw(histories(kind, 20))).reached
    if not reached:
        return
    state = json.loads(canonical(data.draw(st.sampled_from(reached))[0]))
    holders = [state]
    for item in holders:
        values = item.values() if isinstance(item, dict) else item
        holders += [value for value in values if isinstance(value, (dict, list))]
    holder = data.draw(st.sampled_from([each for each in holders if each]))
    key = data.draw(st.sampled_from(list(holder) if isinstance(holder, dict) else list(range(len(holder)))))
    strange = [None, True, -1, 0, 1, 1 << 70, 1.5, "", "x", [], {}, [[]], {"": 0}, [A, 1], float("nan")]
    holder[key] = data.draw(st.sampled_from(strange))
    if state_problem(kind, state) is None:
        shown(kind, state)
        visible(state)
        joined(state, deleted(state, ("n9", 1)))
        joined(state, reached[0][0])
        unseen(state, {A: 1})
