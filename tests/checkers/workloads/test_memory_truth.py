"""The checker of agent memory against a definition that tries everything, and against a small memory that is right, with and without planted violations."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribulation.checkers import Budget, RunRecord, Verdict, checker
from tribulation.histories import Event, History, Type

from .memory_oracle import Deed, outcomes
from .memory_stories import Book
from .stories import MS, kinds
from .tiny_memory import World

WRONG = {"lost-update", "phantom-update"}


@st.composite
def shapes(draw: st.DrawFn) -> list[tuple[str, bool, int]]:
    """Up to four operations, what they are and whether anybody heard of their end, and an order of their beginnings and ends."""
    count = draw(st.integers(1, 4))
    deeds = [
        (draw(st.sampled_from(["add", "add", "write", "write", "delete"])), draw(st.integers(0, 3)) == 0)
        for _ in range(count)
    ]
    order = draw(st.permutations([i for i in range(count) for _ in range(2)]))
    return [(*deeds[i], i) for i in order]


@given(shapes())
@settings(max_examples=150, deadline=None)
def test_the_final_reads_of_few_operations_are_judged_exactly(shape: list[tuple[str, bool, int]]) -> None:
    events: list[Event] = []
    first: dict[int, int] = {}
    deeds: dict[int, Deed] = {}
    for what, doubtful, i in shape:
        at = len(events)
        value = None if what == "delete" else f"{what}{i}"
        f = "forget" if what == "delete" else "learn"
        fields = {"agents": [value]} if what == "add" else {"goal": value}
        argument: dict[str, Any] = {"kind": "episode", "record": "e1", **({} if value is None else {"fields": fields})}
        kind = Type.INVOKE if i not in first else Type.INFO if doubtful else Type.OK
        node = {"served_by": "n1"} if kind is Type.OK else {}
        events.append(Event(at, at * MS, i, kind, f, argument, key="episode/e1", level="eventual", extra=node))
        if i in first:
            deeds[i] = Deed(what, value, first[i], at, doubtful)
        first.setdefault(i, at)
    allowed = outcomes(list(deeds.values()))
    values = [deed.value for deed in deeds.values() if deed.value is not None]
    for size in range(len(values) + 1):
        for shown in combinations(values, size):
            found = set(kinds(_judged(events, shown)))
            assert bool(found & WRONG) == (frozenset(shown) not in allowed), (events, shown, found)


def _judged(events: list[Event], shown: tuple[str, ...]) -> Any:
    at = len(events)
    texts = [value for value in shown if value.startswith("write")]
    fields: dict[str, Any] = {"agents": [value for value in shown if value.startswith("add")]}
    if texts:
        fields["goal"] = texts[-1]
    result = {"fields": fields, "conflicts": {"goal": texts} if len(texts) > 1 else {}} if shown else None
    read = [
        Event(at, at * MS, 9, Type.INVOKE, "recall", None, key="episode/e1"),
        Event(at + 1, (at + 1) * MS, 9, Type.OK, "recall", result, key="episode/e1", extra={"served_by": "n2"}),
    ]
    record = RunRecord(history=History([*events, *read]), phases={"quiet_end": at * MS})
    return checker("memory").check(record, Budget())


@pytest.mark.parametrize("seed", range(120))
def test_a_memory_that_is_right_is_never_found_wrong(seed: int) -> None:
    book = World(Random(seed)).play(Random(seed).randrange(10, 120))
    result = book.result()
    assert result.verdict is not Verdict.INVALID, result


Plant = Callable[[Random, Book], bool]


def _finals(book: Book) -> list[int]:
    assert book.quiet_from is not None
    return [
        at for at in range(book.quiet_from, len(book.operations.events)) if book.operations.events[at].type is Type.OK
    ]


def _shown(book: Book, at: int) -> list[str]:
    value = book.operations.events[at].value
    return list(value["fields"].get("agents", ())) if value else []


def _without(book: Book, at: int, element: str) -> None:
    _changed(book, at, agents=[one for one in _shown(book, at) if one != element])


def _changed(book: Book, at: int, **fields: Any) -> None:
    event = book.operations.events[at]
    value = event.value or {"fields": {}, "conflicts": {}}
    book.operations.events[at] = Event(
        event.index,
        event.time_ns,
        event.process,
        event.type,
        event.f,
        {**value, "fields": {**value["fields"], **fields}},
        key=event.key,
        level=event.level,
        extra=event.extra,
    )


def _acknowledged(book: Book, level: str | None = None) -> dict[str, int]:
    """Element → the event that acknowledged it."""
    return {
        event.value["fields"]["agents"][0]: event.index
        for event in book.operations.events
        if event.f == "learn"
        and event.type is Type.OK
        and level in (None, book.operations.events[event.index].extra.get("asked", event.level), _level(book, event))
    }


def _level(book: Book, done: Event) -> str | None:
    return next(
        event.level for event in reversed(book.operations.events[: done.index]) if event.process == done.process
    )


def lose_everywhere(random: Random, book: Book) -> bool:
    known = sorted(_acknowledged(book))
    if not known:
        return False
    element = random.choice(known)
    for at in _finals(book):
        _without(book, at, element)
    return True


def lose_at_one(random: Random, book: Book) -> bool:
    known = sorted(_acknowledged(book))
    if known:
        _without(book, random.choice(_finals(book)), random.choice(known))
    return bool(known)


def invent(random: Random, book: Book) -> bool:
    reads = [event.index for event in book.operations.events if event.f == "recall" and event.type is Type.OK]
    at = random.choice(reads)
    _changed(book, at, agents=[*_shown(book, at), "zz"])
    return True


def miscount(random: Random, book: Book) -> bool:
    added = sum(
        event.value["fields"].get("times_used", 0)
        for event in book.operations.events
        if event.f == "learn" and event.type is Type.OK
    )
    for at in _finals(book):
        _changed(book, at, times_used=added - 1)
    return added > 0


def go_back(random: Random, book: Book) -> bool:
    """A read lacks what its node showed in one that had ended before."""
    events = book.operations.events
    known = _acknowledged(book)
    choices = []
    for at, event in enumerate(events):
        if event.f != "recall" or event.type is not Type.OK or _level(book, event) == "quorum":
            continue
        begun = next(i for i in range(at - 1, -1, -1) if events[i].process == event.process)
        for before in range(begun):
            other = events[before]
            same = other.f == "recall" and other.type is Type.OK and other.extra == event.extra
            if same and _level(book, other) != "quorum":
                choices += [(at, element) for element in _shown(book, before) if element in known]
    if choices:
        _without(book, *random.choice(choices))
    return bool(choices)


def miss_a_quorum(random: Random, book: Book) -> bool:
    events = book.operations.events
    known = _acknowledged(book, "quorum")
    choices = []
    for at, event in enumerate(events):
        if event.f == "recall" and event.type is Type.OK and _level(book, event) == "quorum":
            begun = next(i for i in range(at - 1, -1, -1) if events[i].process == event.process)
            choices += [(at, element) for element, ended in known.items() if ended < begun]
    if choices:
        _without(book, *random.choice(choices))
    return bool(choices)


@pytest.mark.parametrize(
    ("plant", "kind"),
    [
        (lose_everywhere, "lost-update"),
        (lose_at_one, "not-converged"),
        (invent, "phantom-update"),
        (miscount, "lost-count"),
        (go_back, "replica-went-back"),
        (miss_a_quorum, "stale-quorum-read"),
    ],
)
def test_what_is_planted_is_found(plant: Plant, kind: str) -> None:
    planted = 0
    for seed in range(40):
        random = Random(f"{kind}/{seed}")
        book = World(random, forgets=False).play(60)
        if plant(random, book):
            planted += 1
            assert kind in kinds(book.result()), (seed, kinds(book.result()))
    assert planted > 20
