"""Levels of isolation by their definitions, tried out: every order of a few transactions. Slow, and too simple to be wrong in the same way.

A history is a list of `Txn` (`stories`). An info transaction may have happened or not; a failed one did not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise, permutations, product
from typing import Any

from .stories import Txn

State = dict[str, Any]


def run(txn: Txn, state: State) -> State | None:
    """The state after the transaction; None where a read of it does not fit. A state holds a tuple for a list, a value or None for a register."""
    now = dict(state)
    for kind, key, value in txn.ops:
        if kind == "append":
            now[key] = (*(now.get(key) or ()), value)
        elif kind == "w":
            now[key] = value
        elif txn.outcome == "ok" and not _same(now.get(key), value):
            return None
    return now


def _same(held: Any, read: Any) -> bool:
    if isinstance(held, tuple) or isinstance(read, list):
        return list(held or ()) == list(read or ())
    return bool(held == read)


def choices(txns: Sequence[Txn]) -> Iterator[list[Txn]]:
    """What may have happened: the ok ones, and any of the unknown ones."""
    sure = [txn for txn in txns if txn.outcome == "ok"]
    unsure = [txn for txn in txns if txn.outcome == "info"]
    for count in range(len(unsure) + 1):
        for some in combinations(unsure, count):
            yield [*sure, *some]


def before_in_session(a: Txn, b: Txn) -> bool:
    return a.process == b.process and a.begin < b.begin


def before_in_time(a: Txn, b: Txn) -> bool:
    return a.outcome == "ok" and a.end < b.begin


ORDERS = {
    "serializable": lambda a, b: False,
    "strong-session-serializable": before_in_session,
    "strict-serializable": before_in_time,
}


def serializable(txns: Sequence[Txn], level: str) -> bool:
    precedes = ORDERS[level]
    return any(_serial(chosen, precedes) for chosen in choices(txns))


def _serial(txns: list[Txn], precedes: Any) -> bool:
    def extend(state: State, left: list[Txn]) -> bool:
        if not left:
            return True
        for txn in left:
            if any(precedes(other, txn) for other in left if other is not txn):
                continue
            after = run(txn, state)
            if after is not None and extend(after, [other for other in left if other is not txn]):
                return True
        return False

    return extend({}, txns)


def snapshot_isolated(txns: Sequence[Txn], level: str) -> bool:
    """Transactions commit in some order; each reads from the state after some prefix of it, which ends before it, and none between wrote what it writes."""
    precedes = {
        "snapshot-isolation": lambda a, b: False,
        "strong-session-snapshot-isolation": before_in_session,
        "strong-snapshot-isolation": before_in_time,
    }[level]
    return any(_snapshots(order, precedes) for chosen in choices(txns) for order in permutations(chosen))


def _snapshots(order: Sequence[Txn], precedes: Any) -> bool:
    states: list[State] = [{}]
    for place, txn in enumerate(order):
        least = max((earlier + 1 for earlier, other in enumerate(order[:place]) if precedes(other, txn)), default=0)
        if any(precedes(other, txn) for other in order[place + 1 :]):
            return False
        written = _written(txn)
        for snapshot in range(place, least - 1, -1):
            if any(written & _written(other) for other in order[snapshot:place]):
                return False  # an older snapshot has this conflict too
            if run(txn, states[snapshot]) is not None:
                break
        else:
            return False
        after = run(Txn(txn.process, txn.begin, txn.end, txn.ops, "info"), states[place])
        assert after is not None
        states.append(after)
    return True


def _written(txn: Txn) -> set[str]:
    return {key for kind, key, _ in txn.ops if kind != "r"}


def weak(txns: Sequence[Txn], level: str) -> bool:
    """Biswas and Enea's axioms (OOPSLA 2019): some order of commits, after sessions and reading, in which no transaction reads what a visible writer had replaced.

    A list is one object, so that reads of it that contradict each other, or the order in which a transaction appended, are ruled out at once.
    """
    return _agree(txns) and _in_program_order(txns) and any(_weak(chosen, level) for chosen in choices(txns))


def _agree(txns: Sequence[Txn]) -> bool:
    reads = [
        (key, value)
        for txn in txns
        for kind, key, value in txn.ops
        if kind == "r" and txn.outcome == "ok" and isinstance(value, list)
    ]
    return all(
        one[: len(other)] == other or other[: len(one)] == one for a, one in reads for b, other in reads if a == b
    )


def _in_program_order(txns: Sequence[Txn]) -> bool:
    appends = [
        [(key, value) for kind, key, value in txn.ops if kind == "append"] for txn in txns if txn.outcome != "fail"
    ]
    lists = [
        (key, value)
        for txn in txns
        for kind, key, value in txn.ops
        if kind == "r" and txn.outcome == "ok" and isinstance(value, list)
    ]
    return not any(
        one_key == other_key == key and one in items and other in items and items.index(other) < items.index(one)
        for key, items in lists
        for mine in appends
        for (one_key, one), (other_key, other) in combinations(mine, 2)
    )


def _weak(txns: list[Txn], level: str) -> bool:
    appended = {(key, value) for txn in txns for kind, key, value in txn.ops if kind == "append"}
    if any(
        (key, item) not in appended
        for txn in txns
        for kind, key, value in txn.ops
        if kind == "r" and txn.outcome == "ok" and isinstance(value, list)
        for item in value
    ):
        return False  # an element of a transaction that did not happen, wherever it stands
    reads = _sources(txns, strict=level != "read-committed")
    if reads is None:
        return False
    count = len(txns)
    wrote = [_written(txn) for txn in txns]
    sessions = {(a, b) for a in range(count) for b in range(count) if before_in_session(txns[a], txns[b])}
    flows = {(source, reader) for reader, found in enumerate(reads) for _, source in found if source >= 0}
    past = _closure(sessions | flows, count)
    if any((a, a) in past for a in range(count)):
        return False
    visible = {
        "read-committed": lambda t2, t3, at: t2 in {source for _, source in reads[t3][:at]},
        "read-atomic": lambda t2, t3, at: (t2, t3) in sessions or t2 in {source for _, source in reads[t3]},
        "causal": lambda t2, t3, at: (t2, t3) in past,
    }[level]
    needed = set(past)
    for t3, found in enumerate(reads):
        for at, (key, t1) in enumerate(found):
            for t2 in range(count):
                if t2 != t1 and key in wrote[t2] and visible(t2, t3, at) and t2 != t3:
                    if t1 < 0:
                        return False
                    needed.add((t2, t1))
    closed = _closure(needed | _list_order(txns), count)
    return not any((a, a) in closed for a in range(count))


def _sources(txns: list[Txn], strict: bool) -> list[list[tuple[str, int]]] | None:
    """By transaction its reads of others, as (key, writer); -1 is the initial state. None if a read is impossible by itself.

    `strict`: all reads of a key in a transaction before it writes it agree.
    """
    final: dict[tuple[str, Any], int] = {}
    for number, txn in enumerate(txns):
        last = {key: value for kind, key, value in txn.ops if kind != "r"}
        final.update({(key, value): number for key, value in last.items()})
    found: list[list[tuple[str, int]]] = []
    for number, txn in enumerate(txns):
        mine: list[tuple[str, int]] = []
        own: dict[str, list[Any]] = {}
        seen: dict[str, Any] = {}
        for kind, key, value in txn.ops:
            if kind != "r":
                own.setdefault(key, []).append(value)
                continue
            if txn.outcome != "ok":
                continue
            listed = isinstance(value, list)
            top = (value[-1] if value else None) if listed else value
            if key in own:
                if top != own[key][-1] or (listed and strict and key in seen and value != [*seen[key], *own[key]]):
                    return None
                if listed and value[-len(own[key]) :] != own[key]:
                    return None
                continue
            if strict and key in seen and seen[key] != value:
                return None
            seen[key] = value
            source = -1 if top is None else final.get((key, top))
            if source is None or source == number:
                return None
            mine.append((key, source))
        found.append(mine)
    return found


def _list_order(txns: list[Txn]) -> set[tuple[int, int]]:
    """The order that lists show."""
    writer = {
        (key, value): number for number, txn in enumerate(txns) for kind, key, value in txn.ops if kind == "append"
    }
    pairs = set()
    longest: dict[str, list[Any]] = {}
    for txn in txns:
        for kind, key, value in txn.ops:
            if (
                kind == "r"
                and txn.outcome == "ok"
                and isinstance(value, list)
                and len(value) > len(longest.get(key, []))
            ):
                longest[key] = value
    for key, items in longest.items():
        rest = [value for (other, value) in writer if other == key and value not in items]
        order = [writer[key, item] for item in items if (key, item) in writer]
        pairs |= {(a, b) for a, b in pairwise(order) if a != b}
        pairs |= {(order[-1], writer[key, value]) for value in rest if order and writer[key, value] != order[-1]}
    return pairs


def _closure(pairs: set[tuple[int, int]], count: int) -> set[tuple[int, int]]:
    closed = set(pairs)
    for middle, a, b in product(range(count), repeat=3):
        if (a, middle) in closed and (middle, b) in closed:
            closed.add((a, b))
    return closed


def sequential_keys(txns: Sequence[Txn]) -> bool:
    """Each key by itself: some order of what was done to it, after every process's own, with transactions whole."""
    keys = {key for txn in txns for _, key, _ in txn.ops}
    for key in keys:
        mine = [
            Txn(txn.process, txn.begin, txn.end, [op for op in txn.ops if op[1] == key], txn.outcome)
            for txn in txns
            if any(op[1] == key for op in txn.ops)
        ]
        if not serializable(mine, "strong-session-serializable"):
            return False
    return True


def session_guarantee(txns: Sequence[Txn], guarantee: str) -> bool:
    """Single reads and writes of registers: some order of each key's values in which every read keeps the guarantee.

    Of one process, its own writes to a key are in order where its own writes are at issue.
    """
    txns = [txn for txn in txns if txn.outcome != "fail"]
    values = {key: [None] for _, key, _ in (op for txn in txns for op in txn.ops)}
    for txn in txns:
        for kind, key, value in txn.ops:
            if kind == "w":
                values[key].append(value)
    orders = [
        [{value: place for place, value in enumerate((None, *rest))} for rest in permutations(found[1:])]
        for found in values.values()
    ]
    return all(
        any(_kept(txns, key, rank, guarantee) for rank in found) for key, found in zip(values, orders, strict=True)
    )


def _kept(txns: Sequence[Txn], key: str, rank: dict[Any, int], guarantee: str) -> bool:
    if guarantee == "PRAM":
        return all(_kept(txns, key, rank, one) for one in ("read-your-writes", "monotonic-reads", "monotonic-writes"))
    sessions: dict[int, list[Txn]] = {}
    for txn in sorted(txns, key=lambda txn: txn.begin):
        sessions.setdefault(txn.process, []).append(txn)
    writer = {(op[1], op[2]): txn for txn in txns for op in txn.ops if op[0] == "w"}
    if guarantee in ("read-your-writes", "monotonic-writes"):
        for mine in sessions.values():
            observed = [
                rank[op[2]]
                for txn in mine
                for op in txn.ops
                if op[0] == "w" and op[1] == key and (txn.outcome == "ok" or _seen(txns, key, op[2]))
            ]
            if observed != sorted(observed):
                return False
    for mine in sessions.values():
        floor = 0
        for place, txn in enumerate(mine):
            ((kind, at, value),) = txn.ops
            if kind == "w" and at == key and guarantee == "read-your-writes":
                floor = max(floor, rank[value])
            if kind != "r" or txn.outcome != "ok":
                continue
            if at == key:
                if guarantee in ("monotonic-writes", "writes-follow-reads"):
                    floor = max([0, *_implied(mine[:place], key, rank, guarantee, sessions, writer, txn.process)])
                if rank[value] < floor:
                    return False
                if guarantee == "monotonic-reads":
                    floor = rank[value]
    return True


def _seen(txns: Sequence[Txn], key: str, value: Any) -> bool:
    return any(
        op[0] == "r" and op[1] == key and op[2] == value and txn.outcome == "ok" for txn in txns for op in txn.ops
    )


def _implied(
    past: Sequence[Txn],
    key: str,
    rank: dict[Any, int],
    guarantee: str,
    sessions: dict[int, list[Txn]],
    writer: dict[Any, Txn],
    process: int,
) -> Iterator[int]:
    """Ranks that a reader must not fall below, by what it read before from other processes."""
    for txn in past:
        ((kind, at, value),) = txn.ops
        source = writer.get((at, value)) if kind == "r" and txn.outcome == "ok" else None
        if source is None or source.process == process:
            continue
        for earlier in sessions[source.process]:
            ((what, on, wrote),) = earlier.ops
            if earlier.begin >= source.begin or on != key:
                continue
            if guarantee == "monotonic-writes" and what == "w":
                yield rank[wrote]
            if guarantee == "writes-follow-reads" and what == "r" and earlier.outcome == "ok":
                yield rank[wrote]
