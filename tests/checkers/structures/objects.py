"""More worlds (`worlds`): counters, sets, locks and lists, and every structure by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from tribulation.histories import Event, History, Type

from . import legal
from .worlds import World, container, events, finished, sized

Make = Callable[[Random], History]


class _Sum:
    def __init__(self, random: Random, deltas: tuple[int, ...], names: tuple[str, ...]) -> None:
        self.total, self.deltas, self.names = 0, deltas, names

    def calls(self, random: Random) -> tuple[str, Any]:
        f = random.choice(self.names)
        return f, None if f == "read" else random.choice(self.deltas)

    def apply(self, f: str, argument: Any) -> Any:
        if f == "read":
            return self.total
        before = self.total
        self.total += argument
        return before if f == "faa" else argument


def counter(deltas: tuple[int, ...], names: tuple[str, ...], most: int) -> Make:
    def make(random: Random) -> History:
        world = _Sum(random, deltas, names)

        def answer(random: Random, event: Event) -> Any:
            if event.f == "add":
                return event.value
            return event.value + random.choice([-2, -1, 1, 2]) * abs(deltas[0])

        return finished(random, events(random, World(world.calls, world.apply), *sized(random, most)), answer)

    return make


class _Elements:
    def __init__(self, elements: int, names: tuple[str, ...], echo: float) -> None:
        self.inside: set[int] = set()
        self.fresh = iter(range(1, 100))
        self.elements, self.names, self.echo = elements, names, echo

    def calls(self, random: Random) -> tuple[str, Any]:
        f = random.choice(self.names)
        if f == "read":
            return f, None
        if f == "add" and not self.elements:
            return f, next(self.fresh)
        return f, random.randrange(1, (self.elements or 5) + 1)

    def apply(self, f: str, argument: Any) -> Any:
        if f == "read":
            return sorted(self.inside)
        had = argument in self.inside
        if f == "contains":
            return had
        (self.inside.add if f == "add" else self.inside.discard)(argument)
        if (argument * 7 + len(self.inside)) % 10 < 10 * self.echo:
            return argument
        return had if f == "remove" else not had


def elements(count: int, names: tuple[str, ...], echo: float, most: int) -> Make:
    """`count` elements used again and again, or (0) each added once; answers are echoed that often instead of showing anything."""

    def make(random: Random) -> History:
        world = _Elements(count, names, echo)

        def answer(random: Random, event: Event) -> Any:
            if event.f == "read":
                return [item for item in range(1, 8) if (item in event.value) != (random.random() < 0.2)]
            return (not event.value) if type(event.value) is bool else event.value

        return finished(random, events(random, World(world.calls, world.apply), *sized(random, most)), answer)

    return make


def lock(proper: bool, tokens: bool, most: int, named: bool = True) -> Make:
    """A lock whose clients wait for it. `proper` clients release what they hold; others also release what they do not. `tokens` are answered, and `named` at the release."""

    def make(random: Random) -> History:
        reported = _lock_events(random, proper, tokens, most)
        if not named:
            reported = [replace(event, value=None) if event.f == "release" else event for event in reported]

        def answer(random: Random, event: Event) -> Any:
            return event.value + random.choice([-2, -1, 1, 2]) if tokens and event.f == "acquire" else event.value

        return finished(random, reported if tokens else _jostled(random, reported), answer)

    return make


def _lock_events(random: Random, proper: bool, tokens: bool, most: int) -> list[Event]:
    listed: list[Event] = []
    holder: int | None = None
    token = 0
    names = list(range(random.randrange(1, 4)))
    busy: dict[int, tuple[str, Any, bool]] = {}
    held: dict[int, int] = {}
    goal = random.randrange(4, most)
    asked = 0

    def notify(process: int, kind: Any, f: str, value: Any) -> None:
        listed.append(Event(len(listed), len(listed) * 1_000_000, process, kind, f, value))

    for _ in range(40 * most):
        if asked >= goal and not busy:
            break
        place = random.randrange(len(names))
        process = names[place]
        if process not in busy:
            if asked >= goal:
                continue
            asked += 1
            f = "release" if process in held or (not proper and random.random() < 0.2) else "acquire"
            value = held.get(process) if f == "release" and tokens else None
            if f == "release" and tokens and value is None and proper:
                continue
            busy[process] = f, value, False
            notify(process, Type.INVOKE, f, value)
            continue
        f, value, done = busy[process]
        if not done:
            if random.random() < 0.05:
                notify(process, Type.INFO, f, value)
                del busy[process]
                if random.random() < 0.5 and f == "release" and holder == process:
                    holder = None
                names[place] = max(names) + 1
            elif f == "acquire" and holder is None:
                token += random.randrange(1, 3)
                holder, held[process] = process, token
                busy[process] = f, token if tokens else None, True
            elif f == "release" and holder == process:
                holder = None
                held.pop(process, None)
                busy[process] = f, value, True
            elif f == "release" and holder is not None and not proper:
                held.pop(holder, None)
                holder = None
                busy[process] = f, value, True
            continue
        notify(process, Type.OK if random.random() > 0.07 else Type.INFO, f, value)
        del busy[process]
        if listed[-1].type is Type.INFO:
            names[place] = max(names) + 1
    return listed


def _jostled(random: Random, listed: list[Event]) -> list[Event]:
    """With some completions moved earlier, so that sessions may overlap that did not."""
    if random.random() < 0.3:
        return listed
    listed = list(listed)
    for _ in range(random.randrange(2, 7)):
        if len(listed) < 2:
            break
        i = random.randrange(1, len(listed))
        if listed[i].type is Type.INVOKE:
            continue
        j = i
        while listed[j - 1].process != listed[i].process and i - j < 8:
            j -= 1
        listed.insert(j, listed.pop(i))
    return [replace(event, index=n, time_ns=n * 1_000_000) for n, event in enumerate(listed)]


class _List:
    def __init__(self, puts: bool) -> None:
        self.items: list[int] = []
        self.fresh = iter(range(1, 100))
        self.names = ("append", "append", "read", "read", "put") if puts else ("append", "read")

    def calls(self, random: Random) -> tuple[str, Any]:
        f = random.choice(self.names)
        if f == "append":
            return f, next(self.fresh)
        return f, [next(self.fresh) for _ in range(random.choice([1, 1, 2]))] if f == "put" else None

    def apply(self, f: str, argument: Any) -> Any:
        if f == "append":
            self.items.append(argument)
        if f == "put":
            self.items = list(argument)
        return list(self.items) if f == "read" else argument


def appended(puts: bool, most: int) -> Make:
    def make(random: Random) -> History:
        world = _List(puts)

        def answer(random: Random, event: Event) -> Any:
            if event.f != "read":
                return event.value
            return random.choice([event.value[:-1], event.value[1:], [*event.value, 5], event.value[::-1]])

        return finished(random, events(random, World(world.calls, world.apply), *sized(random, most)), answer)

    return make


Cases = dict[str, tuple[str, Make, Callable[..., Any], Any]]
"""Name → (structure, random histories, the sequential object, its state at the beginning)."""


def cases(most: int) -> Cases:
    """With fewer than `most` operations in each history."""
    return {
        "queue": ("queue", container("queue", most), legal.queue, ()),
        "stack": ("stack", container("stack", most), legal.stack, ()),
        "stack-known": ("stack", container("stack", most, 0), legal.stack, ()),
        "priority-queue": ("priority-queue", container("priority-queue", most), legal.priority_queue, ()),
        "counter-fetch": ("counter", counter((1,), ("faa", "faa", "read"), most), legal.counter, 0),
        "counter-blind": ("counter", counter((1,), ("add", "add", "read"), most), legal.counter, 0),
        "counter-mixed": ("counter", counter((-2,), ("add", "faa", "read"), most), legal.counter, 0),
        "counter-deltas": ("counter", counter((1, 2, -1), ("add", "faa", "read"), most), legal.counter, 0),
        "set-elements": ("set", elements(0, ("add", "remove", "contains"), 0.3, most), legal.elements, frozenset()),
        "set-again": ("set", elements(2, ("add", "remove", "contains"), 0.3, most), legal.elements, frozenset()),
        "set-grow": ("set", elements(0, ("add", "add", "read"), 1, most), legal.elements, frozenset()),
        "set-grow-again": ("set", elements(3, ("add", "add", "read"), 1, most), legal.elements, frozenset()),
        "set-all": ("set", elements(3, ("add", "remove", "contains", "read"), 0.5, most), legal.elements, frozenset()),
        "mutex": ("mutex", lock(True, False, most), legal.mutex, False),
        "mutex-improper": ("mutex", lock(False, False, most), legal.mutex, False),
        "fencing": ("fenced-mutex", lock(True, True, most), legal.fencing, (-10, False)),
        "fencing-unnamed": ("fenced-mutex", lock(True, True, most, named=False), legal.unnamed, (-10, None)),
        "fencing-improper": ("fenced-mutex", lock(False, True, most, named=False), legal.unnamed, (-10, None)),
        "queue-again": ("queue", container("queue", most, values=2), legal.queue, ()),
        "stack-again": ("stack", container("stack", most, values=2), legal.stack, ()),
        "priority-queue-again": (
            "priority-queue",
            container("priority-queue", most, values=3),
            legal.priority_queue,
            (),
        ),
        "append-list": ("list", appended(False, most), legal.appended, ()),
        "append-list-put": ("list", appended(True, most), legal.appended, ()),
    }


CASES = cases(10)
"""Small enough to try all orders."""
