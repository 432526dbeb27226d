"""Random small histories, about half of them wrong: the shape is random, and results are guessed with a bias towards the plausible."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from tribulation.histories import Event, History, Type

Fill = Callable[[Random, int], tuple[str, Any, Any, Type, str | None]]
"""(random, number of the operation) → f, argument, result, type, error."""


def history(random: Random, operations: int, processes: int, fill: Fill) -> History:
    """`operations` by `processes` processes, their intervals interleaved at random; a process that ends in info goes on as another."""
    events: list[Event] = []
    names = list(range(processes))
    fresh = processes
    open_: dict[int, tuple[str, Any, Any, Type, str | None]] = {}
    begun = 0
    while begun < operations or open_:
        place = random.randrange(processes)
        process = names[place]
        index = len(events)
        if process in open_:
            f, argument, result, kind, error = open_.pop(process)
            if kind is Type.INFO:
                names[place], fresh = fresh, fresh + 1
                result = argument
            events.append(Event(index, index * 1_000_000, process, kind, f, result, error=error))
        elif begun < operations:
            open_[process] = fill(random, begun)
            begun += 1
            f, argument, *_ = open_[process]
            events.append(Event(index, index * 1_000_000, process, Type.INVOKE, f, argument))
    return History(events)


def unique_register(random: Random, number: int) -> tuple[str, Any, Any, Type, str | None]:
    """Writes and cas of values 1, 2, 3 …; reads and expectations of values near the present one."""
    value = number + 1
    guess = random.choice([None, *range(max(1, value - 3), value + 2)])
    return _register(random, value, guess)


def linked_register(random: Random, number: int) -> tuple[str, Any, Any, Type, str | None]:
    """Mostly cas and swaps of values 1, 2, 3 …, each from one of the latest."""
    value = number + 1
    guess = random.choice([None, *range(max(1, value - 2), value)])
    kind = Type.INFO if random.random() < 0.2 else Type.OK
    f = random.choice(["read", "write", "cas", "cas", "cas", "swap", "mismatch"])
    if f == "mismatch":
        return "cas", [guess, value], [guess, value], Type.FAIL, "mismatch"
    if f == "swap":
        return "swap", value, guess, kind, None
    if f == "cas":
        return "cas", [guess, value], [guess, value], kind, None
    return (f, None, guess, kind, None) if f == "read" else (f, value, value, kind, None)


def small_register(random: Random, number: int) -> tuple[str, Any, Any, Type, str | None]:
    """Values 0..2, so that values say little."""
    return _register(random, random.randrange(3), random.choice([None, 0, 1, 2]))


def _register(random: Random, value: Any, guess: Any) -> tuple[str, Any, Any, Type, str | None]:
    kind = Type.INFO if random.random() < 0.2 else Type.OK
    f = random.choice(["read", "read", "write", "write", "cas", "fail", "mismatch"])
    if f == "read":
        return "read", None, guess, kind, None
    if f == "write":
        return "write", value, value, kind, None
    if f == "cas":
        return "cas", [guess, value], [guess, value], kind, None
    if f == "fail":
        return "write", value, value, Type.FAIL, "no-quorum"
    seen = guess if random.random() < 0.5 else [guess, value]
    expected = random.choice([None, value - 1, guess])
    return "cas", [expected, value], [expected, value] if isinstance(seen, list) else seen, Type.FAIL, "mismatch"


def legal_register(random: Random, operations: int, processes: int, values: int, info_rate: float) -> History:
    """Reads, writes and cas over `values` values, each answered by a register when it takes effect, at a random moment while it is open."""
    events: list[Event] = []
    open_: dict[int, list[Any]] = {}
    state, begun, names, fresh = None, 0, list(range(processes)), processes
    while begun < operations or open_:
        place, index = random.randrange(processes), len(events)
        if place not in open_:
            if begun < operations:
                begun += 1
                f, value = random.choice(["read", "write", "write", "cas"]), random.randrange(values)
                # Half of the time the value that is there: a write that changes nothing, and a cas that may succeed.
                seen = random.choice([state or 0, random.randrange(values)])
                argument = None if f == "read" else seen if f == "write" else [seen, value]
                open_[place] = [f, argument, None]
                events.append(Event(index, index * 1_000_000, names[place], Type.INVOKE, f, argument))
        elif open_[place][2] is None:
            f, argument, _ = open_[place]
            missed = f == "cas" and state != argument[0]
            state = state if f == "read" or missed else argument if f == "write" else argument[1]
            open_[place][2] = (Type.FAIL if missed else Type.OK, state if f == "read" else argument)
        else:
            f, argument, (kind, result) = open_.pop(place)
            if random.random() < info_rate:
                kind, result = Type.INFO, argument
            error = "mismatch" if kind is Type.FAIL else None
            events.append(Event(index, index * 1_000_000, names[place], kind, f, result, error=error))
            if kind is Type.INFO:
                names[place], fresh = fresh, fresh + 1
    return History(events)


def unique_set(random: Random, number: int) -> tuple[str, Any, Any, Type, str | None]:
    """Adds of 0, 1, 2 …, mostly acknowledged; reads of a prefix of them with one guess more or less."""
    kind = Type.INFO if random.random() < 0.15 else Type.OK
    if random.random() < 0.55:
        if random.random() < 0.1:
            return "add", number, number, Type.FAIL, "no-quorum"
        return "add", number, number, kind, None
    shown = set(range(random.choice([number, number, random.randrange(number + 1)])))
    if shown and random.random() < 0.5:
        shown.discard(random.choice(sorted(shown)))
    return "read", None, sorted(shown), kind, None


def mutex(random: Random, number: int) -> tuple[str, Any, Any, Type, str | None]:
    kind = Type.INFO if random.random() < 0.2 else Type.OK
    return random.choice(["acquire", "release"]), None, None, kind, None


def appends(random: Random, number: int) -> tuple[str, Any, Any, Type, str | None]:
    """Appends to a list, whole writes now and then, reads of runs of numbers."""
    kind = Type.INFO if random.random() < 0.15 else Type.OK
    f = random.choice(["append", "append", "read", "read", "write"])
    if f == "append":
        return f, number, number, kind, None
    some = [item for item in range(number) if random.random() < 0.6]
    if f == "write":
        return f, some[:1], some[:1], kind, None
    return f, None, some, kind, None
