"""Small histories to begin with, of all kinds that the formats can write."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.checkers.random_histories import history, unique_register
from tribulation.histories import Event, History, Type

Filled = tuple[str, Any, Any, Type, str | None]


def _set(random: Random, number: int) -> Filled:
    if random.random() < 0.5:
        return "add", number, number, random.choice([Type.OK, Type.OK, Type.INFO]), None
    return "read", None, sorted({random.randrange(number + 1) for _ in range(3)}), Type.OK, None


def _queue(random: Random, number: int) -> Filled:
    if random.random() < 0.5:
        return "enqueue", number, number, Type.OK, None
    return random.choice(
        [("dequeue", None, random.randrange(number + 1), Type.OK, None), ("dequeue", None, None, Type.FAIL, "empty")]
    )


def _appends(random: Random, number: int) -> Filled:
    parts = [["append", "x", number], ["r", "y", None]]
    return "txn", parts, [["append", "x", number], ["r", "y", list(range(random.randrange(3)))]], Type.OK, None


def _registers(random: Random, number: int) -> Filled:
    key = random.randrange(2)
    parts = [["w", key, number + 1], ["r", 1 - key, random.choice([None, *range(1, number + 1)])]]
    return "txn", parts, parts, Type.OK, None


def _bank(random: Random, number: int) -> Filled:
    if random.random() < 0.5:
        transfer = {"from": 0, "to": 1, "amount": number}
        return "transfer", transfer, transfer, Type.OK, None
    return "read", None, {"0": 10 - number, "1": number}, Type.OK, None


KINDS = {
    "register": unique_register,
    "set": _set,
    "queue": _queue,
    "list-append": _appends,
    "rw-register": _registers,
    "bank": _bank,
}


def base(kind: str, seed: int, with_nemesis: bool) -> History:
    """Of the same seed, the same."""
    events = list(history(Random(seed), 6, 3, KINDS[kind]).events)
    if with_nemesis:
        at = len(events)
        events.append(
            Event(at, at, "nemesis", Type.INFO, "injected", {"fault": "cut-1", "what": {"edges": [["a", "b"]]}})
        )
    return History(events)


def sessions(seed: int) -> History:
    """Committed transactions of registers in which every value read was written: what AWDIT's and IsoVista's text can say."""
    random, written = Random(seed), {0: [0], 1: [0]}
    events: list[Event] = []
    for number in range(5):
        key = random.randrange(2)
        parts = [["w", key, number + 1], ["r", key, number + 1]]
        written[key].append(number + 1)
        for kind in (Type.INVOKE, Type.OK):
            events.append(
                Event(
                    len(events),
                    len(events),
                    random.randrange(2) if kind is Type.INVOKE else events[-1].process,
                    kind,
                    "txn",
                    parts,
                )
            )
    return History(events)
