"""Changes of a history that cannot change its verdict, or not in one direction: `python -m tests.checkers.fuzz_metamorphic N SEED [CASE]`.

They need no oracle, so they judge what `check` says as a whole, with every checker that it chooses, and histories that are too large for all orders to be tried.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

from benchmarks.generators import MODELS, VIOLATIONS, generate, plant
from tests.histories.fuzz.bases import KINDS
from tribulation.checkers import Budget, Verdict, check, merge
from tribulation.histories import Event, History, Type
from tribulation.histories.model.rows import history_of_columns

from . import random_histories
from .fuzz import main
from .fuzz_generated import drawn
from .structures.objects import CASES
from .transactions import stories
from .transactions.random_txns import Shape, random_history

Events = list[Event]
Span = tuple[int, int | None]
BUDGET = Budget(20.0, cpu=True)
OBSERVING = frozenset({"mismatch", "empty"})
"""Errors of operations that failed because of what they saw."""


def of_keys(random: Random) -> History:
    """Registers by key."""
    made = random_histories.history(random, random.randrange(4, 16), random.randrange(1, 5), _keyed)
    return History([_split(event) for event in made.events])


def _keyed(random: Random, number: int) -> tuple[str, Any, Any, Type, str | None]:
    f, argument, result, kind, error = random_histories.unique_register(random, number)
    key = random.choice("ab")
    return f, (key, argument), (key, result), kind, error


def _split(event: Event) -> Event:
    return replace(event, key=event.value[0], value=event.value[1])


def _of_fill(fill: random_histories.Fill, random: Random) -> History:
    return random_histories.history(random, random.randrange(2, 16), random.randrange(1, 5), fill)


def _of_transactions(lists: bool, random: Random) -> History:
    return stories.history(random_history(random, Shape(lists=lists, transactions=8)))


def _generated(model: str, random: Random) -> History:
    """Valid, or with a violation in it."""
    columns = generate(drawn(model, random, least=100))
    violations = list(VIOLATIONS.get(model, ()))
    if violations and random.random() < 0.5:
        with suppress(ValueError):  # There is no place for it.
            columns = plant(columns, random.choice(violations), model, random.getrandbits(16))
    return history_of_columns(columns)


SOURCES: dict[str, Callable[[Random], History]] = {
    **{kind: partial(_of_fill, fill) for kind, fill in KINDS.items()},
    "linked register": partial(_of_fill, random_histories.linked_register),
    "small register": partial(_of_fill, random_histories.small_register),
    "registers by key": of_keys,
    **{f"structure {name}": case[1] for name, case in CASES.items()},
    "transactions of lists": partial(_of_transactions, True),
    "transactions of registers": partial(_of_transactions, False),
    **{f"generated {model}": partial(_generated, model) for model in MODELS},
}


def spans(events: Events) -> list[Span]:
    """Places of the invocation and of the completion of every operation of a client."""
    found: list[Span] = []
    open_: dict[Any, int] = {}
    for place, event in enumerate(events):
        if event.process == "nemesis":
            continue
        if event.type is Type.INVOKE:
            open_[event.process] = place
        else:
            found.append((open_.pop(event.process), place))
    return found + [(place, None) for place in open_.values()]


def numbered(events: Iterable[Event]) -> Events:
    return [replace(event, index=place, time_ns=place * 1_000_000) for place, event in enumerate(events)]


def without(events: Events, gone: Iterable[Span]) -> Events:
    places = {place for span in gone for place in span}
    return numbered(event for place, event in enumerate(events) if place not in places)


def processes_renamed(random: Random, events: Events) -> Events:
    names = sorted({event.process for event in events if type(event.process) is int})
    others = random.sample(range(1000), len(names))
    renamed = dict(zip(names, others, strict=True))
    return [replace(event, process=renamed.get(event.process, event.process)) for event in events]


def times_shifted(random: Random, events: Events) -> Events:
    by = random.choice((1, 10**9, 10**15))
    return [replace(event, time_ns=event.time_ns + by) for event in events]


def keys_renamed(random: Random, events: Events) -> Events:
    """A key may be of any kind."""
    keys = list(dict.fromkeys(event.key for event in events if event.key is not None))
    named = dict(zip(keys, random.sample(["z", "é", "a b", -7, 10**9, *range(20, 40)], len(keys)), strict=True))
    return [replace(event, key=named.get(event.key)) for event in events]


def neighbours_swapped(random: Random, events: Events) -> Events:
    """Two invocations, or two completions, one after the other: which operation precedes which is as before."""
    changed = list(events)
    for _ in range(len(events)):
        at = random.randrange(1, len(events))
        one, other = changed[at - 1], changed[at]
        if one.process != other.process and (one.type is Type.INVOKE) == (other.type is Type.INVOKE):
            changed[at - 1], changed[at] = other, one
    return numbered(changed)


def failed_removed(random: Random, events: Events) -> Events:
    """Some that did not happen, and saw nothing."""
    failed = [
        (begun, ended)
        for begun, ended in spans(events)
        if ended is not None and events[ended].type is Type.FAIL and events[ended].error not in OBSERVING
    ]
    return without(events, random.sample(failed, random.randrange(len(failed) + 1)))


def failed_added(random: Random, events: Events) -> Events:
    """Copies of writes, that did not happen, of clients of their own. What they would have written is written by another."""
    changed = list(events)
    for number in range(random.randrange(1, 4)):
        wrote = [
            event for event in events if event.type is Type.INVOKE and event.f in ("write", "add", "enqueue", "append")
        ]
        if wrote:
            at = random.randrange(len(changed) + 1)
            copy = replace(random.choice(wrote), process=2000 + number)
            changed[at:at] = [copy, replace(copy, type=Type.FAIL, error="no-quorum")]
    return numbered(changed)


def another_key_added(random: Random, events: Events) -> Events:
    """A register that is read as it was written, between the operations of the others."""
    changed, places = [], sorted(random.randrange(len(events) + 1) for _ in range(4))
    calls = [("write", 1), ("read", 1), ("write", 2), ("read", 2)]
    for place in range(len(events) + 1):
        for number in range(places.count(place)):
            f, value = calls[places.index(place) + number]
            begun = Event(0, 0, 3000, Type.INVOKE, f, None if f == "read" else value, key="of its own")
            changed += [begun, replace(begun, type=Type.OK, value=value)]
        changed += events[place : place + 1]
    return numbered(changed)


def reads_removed(random: Random, events: Events) -> Events:
    reads = [
        (begun, ended)
        for begun, ended in spans(events)
        if events[begun].f == "read"
        or (events[begun].f == "txn" and all(part[0] == "r" for part in events[begun].value))
    ]
    return without(events, random.sample(reads, random.randrange(len(reads) + 1)))


def intervals_widened(random: Random, events: Events) -> Events:
    """Invocations come earlier, completions later, but not past those of the same client."""
    changed = list(events)
    for _ in range(len(events) // 2):
        at = random.randrange(1, len(events))
        one, other = changed[at - 1], changed[at]
        if one.process != other.process and one.type is not Type.INVOKE and other.type is Type.INVOKE:
            changed[at - 1], changed[at] = other, one
    return numbered(changed)


def answers_lost(random: Random, events: Events) -> Events:
    """Acknowledged operations end in no known outcome; the client goes on under another name. A lock is kept: its client could not release it with a token that it was not given."""
    changed, fresh = list(events), 5000
    for begun, ended in spans(events):
        if (
            ended is not None
            and events[ended].type is Type.OK
            and events[ended].f != "acquire"
            and random.random() < 0.15
        ):
            process = changed[begun].process
            changed[ended] = replace(changed[ended], type=Type.INFO, value=events[begun].value, error="timeout")
            fresh += 1
            for place in range(ended + 1, len(events)):
                if changed[place].process == process:
                    changed[place] = replace(changed[place], process=fresh)
    return numbered(changed)


def cut(random: Random, events: Events) -> Events:
    return numbered(events[: random.randrange(1, len(events) + 1)])


Change = Callable[[Random, Events], Events]
SAME: Mapping[str, Change] = {
    "processes renamed": processes_renamed,
    "times shifted": times_shifted,
    "keys renamed": keys_renamed,
    "neighbours swapped": neighbours_swapped,
    "failed removed": failed_removed,
    "failed added": failed_added,
    "another key added": another_key_added,
}
"""The verdict is the same."""
WEAKER: Mapping[str, Change] = {
    "reads removed": reads_removed,
    "intervals widened": intervals_widened,
    "answers lost": answers_lost,
    "cut": cut,
}
"""What was valid is not invalid."""


def judged(events: Events) -> dict[str, str]:
    """By checker. How much there was to judge changes with the history, and is no statement about the system."""
    results = check(History(events), budget=BUDGET)
    return {name: result.verdict.value for name, result in results.items() if name != "vacuity"}


def compare(source: str, seed: int) -> str:
    random = Random(f"{source}/{seed}")
    events = list(SOURCES[source](random).events)
    if len(events) < 2:
        return "empty"
    before = judged(events)
    keyed = any(event.key is not None for event in events)
    name = random.choice([name for name in (*SAME, *WEAKER) if keyed or "key" not in name])
    changed = {**SAME, **WEAKER}[name](random, events)
    if {event.f for event in changed} != {event.f for event in events}:
        return "of another kind, by its names"
    after = judged(changed)
    story = (
        f"{name}: {before} became {after}\n"
        + "\n".join(map(str, events))
        + "\nchanged:\n"
        + "\n".join(map(str, changed))
    )
    if name in SAME:
        assert after == before, story
    else:
        assert not {each for each in after if (before.get(each), after[each]) == ("valid", "invalid")}, story
    return f"{name} of {merge(map(Verdict, before.values())).value}"


FUZZ = {f"changed, {source}": partial(compare, source) for source in SOURCES}

if __name__ == "__main__":
    sys.exit(main([__spec__.name]))
