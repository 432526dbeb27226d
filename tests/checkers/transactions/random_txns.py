"""Small random histories of transactions, some of them right: a few clients against a store that is honest, late, or plainly wrong."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from .stories import Txn


@dataclass(frozen=True)
class Shape:
    lists: bool = True
    transactions: int = 5
    processes: int = 3
    keys: int = 2
    most: int = 3
    unknown: float = 0.1
    failed: float = 0.05
    wrong: float = 0.3
    rmw: bool = False
    single: bool = False
    mode: str | None = None


def random_history(random: Random, shape: Shape) -> list[Txn]:
    """Transactions in order of invocation. Positions of distinct events differ."""
    mode = shape.mode or random.choice(("now", "snapshot", "wrong", "wrong"))
    clock = 0
    store: dict[str, list[Any]] = {}
    past: list[dict[str, int]] = []
    pending: dict[int, tuple[int, list[Any], dict[str, int]]] = {}
    process_of = list(range(shape.processes))
    fresh = shape.processes
    counter: dict[str, int] = {}
    done: list[Txn] = []
    left = random.randint(2, shape.transactions)
    while left or pending:
        idle = [place for place in range(shape.processes) if place not in pending]
        clock += 1
        if left and idle and (not pending or random.random() < 0.55):
            place = random.choice(idle)
            pending[place] = (
                clock,
                _intention(random, shape, counter),
                {key: len(held) for key, held in store.items()},
            )
            left -= 1
            continue
        place = random.choice(sorted(pending))
        begin, ops, snapshot = pending.pop(place)
        chance = random.random()
        outcome = "info" if chance < shape.unknown else "fail" if chance < shape.unknown + shape.failed else "ok"
        wrong = shape.wrong if mode == "wrong" else 0.0
        happens = outcome == "ok" or (outcome == "info" and random.random() < 0.5) or random.random() < wrong / 2
        ops = _carry_out(random, shape, ops, store, snapshot if mode == "snapshot" else None, wrong, happens)
        done.append(Txn(process_of[place], begin, clock, ops, outcome))
        past.append(snapshot)
        if outcome == "info":
            process_of[place] = fresh
            fresh += 1
    return sorted(done, key=lambda txn: txn.begin)


def _intention(random: Random, shape: Shape, counter: dict[str, int]) -> list[Any]:
    ops: list[Any] = []
    for _ in range(1 if shape.single else random.randint(1, shape.most)):
        key = "xyz"[random.randrange(shape.keys)]
        if random.random() < 0.5:
            ops.append(["r", key, None])
            continue
        if shape.rmw and not any(op[1] == key for op in ops):
            ops.append(["r", key, None])
        counter[key] = counter.get(key, 0) + 1
        ops.append(["append" if shape.lists else "w", key, counter[key]])
    return ops


def _carry_out(
    random: Random,
    shape: Shape,
    ops: list[Any],
    store: dict[str, list[Any]],
    snapshot: dict[str, int] | None,
    wrong: float,
    happens: bool,
) -> list[Any]:
    own: dict[str, list[Any]] = {}
    found = []
    for kind, key, value in ops:
        if kind != "r":
            own.setdefault(key, []).append(value)
            found.append([kind, key, value])
            continue
        held = store.get(key, [])
        seen = held[: snapshot.get(key, 0)] if snapshot is not None else list(held)
        if random.random() < wrong and held:
            seen = held[: random.randint(0, len(held))]
        seen = [*seen, *own.get(key, [])]
        if random.random() < wrong / 8 and len(seen) > 1:
            random.shuffle(seen)
        found.append([kind, key, seen if shape.lists else (seen[-1] if seen else None)])
    if happens:
        for key, values in own.items():
            store.setdefault(key, []).extend(values)
    return found


def scattered(random: Random) -> list[Txn]:
    """Single reads and writes of three sessions; a read may show any value ever written, so that guarantees break often."""
    count = random.randint(5, 11)
    plan = [(random.randrange(3), "xy"[random.randrange(2)], random.random() < 0.6) for _ in range(count)]
    values: dict[str, int] = {"x": 0, "y": 0}
    ops: list[list[Any]] = []
    for _, key, reads in plan:
        reads = reads or values[key] == 3
        values[key] += not reads
        ops.append(["r", key, None] if reads else ["w", key, values[key]])
    for op in ops:
        if op[0] == "r":
            op[2] = random.choice([None, *range(1, values[op[1]] + 1)][random.random() < 0.7 and values[op[1]] > 0 :])
    return [
        Txn(process, 2 * place, 2 * place + 1, [op])
        for place, ((process, _, _), op) in enumerate(zip(plan, ops, strict=True))
    ]
