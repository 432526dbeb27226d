"""Random histories for the checkers of single workloads: clients of a plain Python object, and here and there an answer that cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from tribulation.checkers import RunRecord
from tribulation.histories import Event, History, Type

from ..structures.worlds import World, events, sized

Value = Any


@dataclass
class Shop:
    """`bent` answers instead of what is true; `keyed`: a process keeps to one of two keys."""

    calls: Callable[[Random], tuple[str, Any]]
    apply: Callable[[str, Any], Any]
    bent: Callable[[Random, Event], Any]
    keyed: bool = False
    extra: Callable[[Random, Event], dict[str, Any]] = lambda random, event: {}


def _ids(random: Random) -> Shop:
    given = iter(range(100))
    return Shop(lambda r: ("generate", None), lambda f, a: next(given), lambda r, e: r.choice((None, 0, 3, "3")))


def _bank(random: Random) -> Shop:
    held = {"a": 10, "b": 10, "c": 10}

    def calls(r: Random) -> tuple[str, Any]:
        if r.random() < 0.5:
            return "read", None
        source, sink = r.sample(sorted(held), 2)
        return "transfer", {"from": source, "to": sink, "amount": r.randint(1, 6)}

    def apply(f: str, argument: Any) -> Any:
        if f == "read":
            return dict(held)
        held[argument["from"]] -= argument["amount"]
        held[argument["to"]] += argument["amount"]
        return argument

    def bent(r: Random, event: Event) -> Any:
        if event.f == "transfer":
            return event.value
        name = r.choice(sorted(held))
        some = {**event.value, name: event.value[name] + r.choice((-5, -1, 1, 3))}
        return r.choice((some, {k: v for k, v in event.value.items() if k != name}, {**event.value, "d": 0}, [1], None))

    return Shop(calls, apply, bent)


def _forks(random: Random) -> Shop:
    """Keys written once, and reads of some of them."""
    held: dict[str, int | None] = dict.fromkeys("vwxyz")
    left = random.sample(sorted(held), len(held))

    def calls(r: Random) -> tuple[str, Any]:
        if left and r.random() < 0.4:
            return "txn", [["w", left.pop(), 1]]
        return "txn", [["r", key, None] for key in sorted(r.sample(sorted(held), r.randint(1, 4)))]

    def apply(f: str, argument: Any) -> Any:
        done = deepcopy(argument)
        for part in done:
            if part[0] == "w":
                held[part[1]] = part[2]
            part[2] = held[part[1]]
        return done

    def bent(r: Random, event: Event) -> Any:
        return [[f, key, value if f == "w" else r.choice((None, 1, 1, 1, value, 2))] for f, key, value in event.value]

    return Shop(calls, apply, bent)


def _reverse(random: Random) -> Shop:
    held: list[int] = []
    fresh = iter(range(1, 100))

    def calls(r: Random) -> tuple[str, Any]:
        return ("write", next(fresh)) if r.random() < 0.6 else ("read", None)

    def apply(f: str, argument: Any) -> Any:
        if f == "write":
            held.append(argument)
        return list(held) if f == "read" else argument

    def bent(r: Random, event: Event) -> Any:
        if event.f == "write":
            return event.value
        gone = r.choice(event.value) if event.value else None
        return r.choice(([v for v in event.value if v != gone], [*event.value, 77], [*event.value, gone], None))

    return Shop(calls, apply, bent)


def _inserts(random: Random) -> Shop:
    fresh = iter(range(100))

    def calls(r: Random) -> tuple[str, Any]:
        number = next(fresh)
        return "insert", [r.randrange(4), [number, None] if r.random() < 0.5 else [None, number]]

    return Shop(calls, lambda f, a: a, lambda r, e: e.value)


def _kafka(random: Random) -> Shop:
    logs: dict[str, list[tuple[int, int]]] = {"x": [], "y": []}
    fresh = iter(range(100))
    at: dict[str, int] = {"x": 0, "y": 0}

    def calls(r: Random) -> tuple[str, Any]:
        roll = r.random()
        if roll < 0.5:
            return "send", [["send", r.choice("xy"), next(fresh)]]
        return ("poll", [["poll"]]) if roll < 0.9 else (r.choice(("assign", "subscribe")), ["x", "y"])

    def apply(f: str, argument: Any) -> Any:
        if f == "send":
            ((_, key, value),) = argument
            offset = logs[key][-1][0] + 1 if logs[key] else 0
            logs[key].append((offset, value))
            return [["send", key, [offset, value]]]
        if f != "poll":
            return argument
        got = {key: [list(message) for message in log[at[key] : at[key] + 2]] for key, log in logs.items()}
        at.update({key: at[key] + len(some) for key, some in got.items()})
        return [["poll", {key: some for key, some in got.items() if some}]]

    def bent(r: Random, event: Event) -> Any:
        if event.f == "send":
            ((_, key, (offset, value)),) = event.value
            return [["send", key, [max(0, offset + r.choice((-1, 1))), value]]]
        if event.f != "poll" or not event.value[0][1]:
            return event.value
        got = deepcopy(event.value)
        some = got[0][1][r.choice(sorted(got[0][1]))]
        r.choice((some.reverse, some.clear, lambda: some.append(some[-1]), lambda: some[0].__setitem__(1, 55)))()
        return got

    return Shop(calls, apply, bent)


def _lww(random: Random) -> Shop:
    held: dict[str, Any] = {"value": None}
    fresh = iter(range(1, 100))

    def calls(r: Random) -> tuple[str, Any]:
        roll = r.random()
        return ("write", next(fresh)) if roll < 0.5 else ("read", None) if roll < 0.9 else ("delete", None)

    def apply(f: str, argument: Any) -> Any:
        if f != "read":
            held["value"] = argument
        return held["value"]

    def extra(r: Random, event: Event) -> dict[str, Any]:
        if event.f == "read" or r.random() < 0.1:
            return {}
        return {"ts": [max(0, event.index + r.choice((0, 0, 0, 0, 1, -5))), 0]}

    return Shop(calls, apply, lambda r, e: r.choice((None, 1, 2, 99)) if e.f == "read" else e.value, extra=extra)


def _totals(random: Random) -> Shop:
    """A queue that is drained, with values that come twice and lists that cannot be distinguished."""
    held: list[int] = []
    fresh = iter(range(1, 100))

    def calls(r: Random) -> tuple[str, Any]:
        roll = r.random()
        if roll < 0.5:
            return "enqueue", next(fresh) if r.random() < 0.8 else 1
        return ("dequeue", None) if roll < 0.9 else ("drain", None)

    def apply(f: str, argument: Any) -> Any:
        if f == "enqueue":
            held.append(argument)
            return argument
        if f == "dequeue":
            return held.pop(0) if held else None
        some = list(held)
        held.clear()
        return some

    def bent(r: Random, event: Event) -> Any:
        if event.f == "enqueue":
            return event.value
        return r.choice((None, 1, 2, 66)) if event.f == "dequeue" else [*event.value[1:], *r.choice(([], [2], [66]))]

    return Shop(calls, apply, bent)


def _counters(random: Random) -> Shop:
    held = {"sum": 0}
    falls = random.random() < 0.5

    def calls(r: Random) -> tuple[str, Any]:
        f = r.choice(("add", "increment", "read", "read", *(("decrement", "dec") if falls else ())))
        return f, None if f == "read" or (f != "add" and r.random() < 0.3) else r.randint(-1 if falls else 1, 3)

    def apply(f: str, argument: Any) -> Any:
        if f != "read":
            held["sum"] += (1 if argument is None else argument) * (-1 if f in ("decrement", "dec") else 1)
        return held["sum"] if f == "read" else argument

    return Shop(calls, apply, lambda r, e: e.value + r.choice((-3, -1, 1, 4)) if e.f == "read" else e.value, keyed=True)


def _sets(random: Random) -> Shop:
    held: list[int] = []
    fresh = iter(range(1, 100))

    def calls(r: Random) -> tuple[str, Any]:
        return ("add", next(fresh) if r.random() < 0.9 else 1) if r.random() < 0.5 else ("read", None)

    def apply(f: str, argument: Any) -> Any:
        if f == "add":
            held.append(argument)
        return sorted(set(held)) if f == "read" else argument

    def bent(r: Random, event: Event) -> Any:
        if event.f == "add":
            return event.value
        kept = [item for item in event.value if r.random() < 0.7]
        return r.choice((kept, [*event.value, 88], [*event.value, *event.value[:1]]))

    return Shop(calls, apply, bent, keyed=True)


def _accesses(random: Random) -> Shop:
    token = {"last": 0}

    def calls(r: Random) -> tuple[str, Any]:
        f = r.choice(("acquire", "access", "access"))
        return f, None if f == "acquire" else max(0, token["last"] + r.choice((0, 0, 0, -1)))

    def apply(f: str, argument: Any) -> Any:
        if f == "acquire":
            token["last"] += 1
            return token["last"]
        return argument

    return Shop(calls, apply, lambda r, e: max(1, e.value - 1) if e.f == "acquire" else e.value)


SHOPS: dict[str, tuple[Callable[[Random], Shop], tuple[str, ...]]] = {
    "identifiers": (_ids, ("unique-ids",)),
    "bank": (_bank, ("bank",)),
    "forks": (_forks, ("long-fork", "write-skew")),
    "reversal": (_reverse, ("causal-reverse",)),
    "inserts": (_inserts, ("write-skew",)),
    "logs": (_kafka, ("kafka",)),
    "last writer": (_lww, ("lww",)),
    "queues": (_totals, ("total-queue", "queue")),
    "counters": (_counters, ("counter-bounds", "counter")),
    "sets": (_sets, ("set-full", "set")),
    "tokens": (_accesses, ("fencing-tokens",)),
}
"""What the histories are of, and the checkers that they are for."""


def record(name: str, seed: int) -> RunRecord:
    random = Random(f"{name}/{seed}/golden")
    shop = SHOPS[name][0](random)
    world = World(shop.calls, shop.apply, random.choice((0.0, 0.12)))
    operations, processes = sized(random, random.choice((8, 16, 40)))
    reported = events(random, world, operations, processes)
    oks = [event.index for event in reported if event.type is Type.OK]
    for index in random.sample(oks, min(len(oks), random.choice((0, 0, 1, 2)))):
        reported[index] = replace(reported[index], value=shop.bent(random, reported[index]))
    for index in random.sample(oks, min(len(oks), random.choice((0, 0, 1)))):
        reported[index] = replace(reported[index], type=Type.FAIL, error=random.choice(("empty", "refused", None)))
    reported = [
        replace(
            event,
            key=f"k{event.process % 2}" if shop.keyed else None,
            extra=shop.extra(random, event) if event.type is Type.OK else {},
        )
        for event in reported
    ]
    end_ns = reported[-1].time_ns if reported else 0
    options = random.choice(({}, {}, {"total": 30, "negative_balances": True, "max_lost": 1}))
    return RunRecord(
        history=History(reported), phases={"quiet_end": random.choice((end_ns // 2, end_ns))}, options=options
    )


def keyed(seed: int) -> History:
    """Three registers side by side, with cas that say what they saw, that do not, and answers that cannot be."""
    random = Random(f"keyed/{seed}/golden")
    listed: list[Event] = []
    for key in range(3):
        held: dict[str, Any] = {"value": None}
        fresh = iter(range(1, 100))

        def calls(r: Random, held: dict[str, Any] = held, fresh: Iterator[int] = fresh) -> tuple[str, Any]:
            f = r.choice(("read", "read", "write", "cas", "cas"))
            return f, None if f == "read" else next(fresh) if f == "write" else [held["value"], next(fresh)]

        def apply(f: str, argument: Any, held: dict[str, Any] = held) -> Any:
            if f == "cas" and held["value"] != argument[0]:
                return "mismatch", held["value"]
            if f != "read":
                held["value"] = argument[1] if f == "cas" else argument
            return held["value"] if f == "read" else argument

        some = events(random, World(calls, apply, 0.08), *sized(random, 16))
        listed += [replace(event, key=f"k{key}", process=event.process + 100 * key) for event in some]
    random.shuffle(order := [event.key for event in listed])
    lines = {key: iter([event for event in listed if event.key == key]) for key in order}
    listed = [replace(next(lines[key]), index=index, time_ns=index * 1_000_000) for index, key in enumerate(order)]
    for place, event in enumerate(listed):
        if isinstance(event.value, tuple):
            argument = next(one for one in reversed(listed[:place]) if one.process == event.process).value
            value = event.value[1] if random.random() < 0.5 else argument
            listed[place] = replace(event, type=Type.FAIL, value=value, error="mismatch")
        elif event.f == "read" and event.type is Type.OK and random.random() < 0.02:
            listed[place] = replace(event, value=random.choice((None, 1, 2)))
    return History(listed)
