"""Queues, stacks, priority queues, sets, counters and locks."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

import numpy as np

from tribulation.histories.model.columns import ABSENT, NONE_ID, Int32

from .draft import Draft, absent, numbers, prefix_lists
from .schedule import Bools, Schedule

PUT, TAKE = 0, 1
ADD, READ = 0, 1
REMOVE, CONTAINS = 1, 2
MOST_READ = 20_000_000
"""Elements in all reads of a set together."""


def fifo(chance: np.random.Generator, plan: Schedule) -> Draft:
    """First in, first out; a dequeue that finds nothing returns None."""
    return _container(chance, plan, ("enqueue", "dequeue"), _first)


def few_valued_fifo(chance: np.random.Generator, plan: Schedule, few: int) -> Draft:
    """A `fifo` of only so many values, each put in again and again."""
    draft = fifo(chance, plan)
    draft.argument, draft.result = (
        np.where(ids > NONE_ID, 1 + ids % few, ids).astype(np.int32) for ids in (draft.argument, draft.result)
    )
    draft.values = numbers(few)
    return draft


def stack(chance: np.random.Generator, plan: Schedule) -> Draft:
    """Last in, first out."""
    return _container(chance, plan, ("push", "pop"), _last)


def priority(chance: np.random.Generator, plan: Schedule) -> Draft:
    """The smallest first; elements come in no order."""
    return _container(chance, plan, ("insert", "delete-min"), _smallest, shuffled=True)


def greatest_first(chance: np.random.Generator, plan: Schedule) -> Draft:
    """The greatest first; elements come in no order."""
    return _container(chance, plan, ("insert", "poll"), _greatest, shuffled=True)


def growing(chance: np.random.Generator, plan: Schedule, put: str) -> Draft:
    """A set or a list of elements put in once each; whole reads are rare enough that they return at most `MOST_READ` elements together."""
    count = len(plan)
    reads = min(count // 4, max(4, 2 * MOST_READ // max(1, count)))
    f = np.full(count, ADD, np.uint8)
    f[chance.choice(count, reads, replace=False)] = READ
    value = np.where(f == ADD, np.arange(1, count + 1), NONE_ID).astype(np.int32)
    happened = (f == ADD) & plan.effect
    size = np.cumsum(happened)[f == READ]
    rows = absent(count)
    rows[f == READ] = np.arange(reads, dtype=np.int32)
    lists = prefix_lists(size, value[happened])
    return Draft(
        f,
        (put, "read"),
        value,
        np.where(f == ADD, value, ABSENT).astype(np.int32),
        numbers(count),
        result_list=rows,
        lists=lists,
    )


def element_set(chance: np.random.Generator, plan: Schedule) -> Draft:
    """Draft a history of a set. Each element is added once and removed at most once; reads of an element come at any time."""
    count = len(plan)
    f = chance.choice(np.array([ADD, REMOVE, CONTAINS], np.uint8), count)
    values: list[Any] = [*numbers(count), False, True]
    argument, result = np.empty((2, count), np.int32)
    inside: set[int] = set()
    left: list[int] = []
    for place, (kind, happens, drawn) in enumerate(
        zip(f.tolist(), plan.effect.tolist(), chance.integers(0, 1 << 30, count).tolist(), strict=True)
    ):
        if kind == REMOVE and not left:
            kind = CONTAINS
        if kind == ADD:
            element = answer = place + 1
            left.append(element)
            if happens:
                inside.add(element)
        else:
            element = left.pop(drawn % len(left)) if kind == REMOVE else drawn % (place + 1) + 1
            answer = count + 1 + (element in inside)
            if kind == REMOVE and happens:
                inside.discard(element)
        f[place], argument[place], result[place] = kind, element, answer
    return Draft(f, ("add", "remove", "contains"), argument, result, values)


def counter(chance: np.random.Generator, plan: Schedule) -> Draft:
    """Draft a history of a counter: adds of 1, and reads of the sum."""
    count = len(plan)
    f = chance.integers(0, 2, count, dtype=np.uint8)
    total = np.cumsum((f == ADD) & plan.effect).astype(np.int32)
    values: list[Any] = [None, *range(int(total[-1]) + 2)] if count else [None]
    one = np.where(f == ADD, 2, NONE_ID).astype(np.int32)
    return Draft(f, ("add", "read"), one, np.where(f == READ, total + 1, one).astype(np.int32), values)


def mutex(plan: Schedule) -> Draft:
    """Acquire and release in turn, each pair by one client: see `turns`."""
    f = (np.arange(len(plan)) % 2).astype(np.uint8)
    none = np.zeros(len(plan), np.int32)
    return Draft(f, ("acquire", "release"), none, none, [None])


def fenced_mutex(plan: Schedule) -> Draft:
    """Like `mutex`; each acquire is given a greater token, which the release names."""
    f = (np.arange(len(plan)) % 2).astype(np.uint8)
    token = (np.arange(len(plan)) // 2 + 1).astype(np.int32)
    return Draft(
        f, ("acquire", "release"), np.where(f == 0, NONE_ID, token).astype(np.int32), token, numbers(len(plan))
    )


def turns(chance: np.random.Generator, count: int, clients: int) -> Int32:
    """Clients of a lock: each operation of even number and the next one by the same."""
    return np.repeat(chance.integers(0, clients, (count + 1) // 2, dtype=np.int32), 2)[:count]


def _container(
    chance: np.random.Generator, plan: Schedule, names: tuple[str, str], play: Any, shuffled: bool = False
) -> Draft:
    count = len(plan)
    f = chance.integers(0, 2, count, dtype=np.uint8)
    value = np.arange(1, count + 1, dtype=np.int32)
    if shuffled:
        value = chance.permutation(value)
    value[f == TAKE] = NONE_ID
    taken = play(f, value, plan.effect)
    return Draft(f, names, value, np.where(f == TAKE, taken, value).astype(np.int32), numbers(count))


def _first(f: np.ndarray, value: Int32, effect: Bools) -> Int32:
    put, take = (f == PUT) & effect, (f == TAKE) & effect
    # A take fails exactly as often as takes ever ran ahead of puts.
    ahead = np.maximum(np.maximum.accumulate(np.cumsum(take) - np.cumsum(put)), 0)
    succeeded = take & (np.diff(ahead, prepend=0) == 0)
    taken = np.zeros(len(f), np.int32)
    taken[succeeded] = value[put][: int(succeeded.sum())]
    return taken


def _last(f: np.ndarray, value: Int32, effect: Bools) -> Int32:
    held: list[int] = []
    taken = []
    for kind, number, happens in zip(f.tolist(), value.tolist(), effect.tolist(), strict=True):
        if kind == TAKE:
            taken.append((held.pop() if held else NONE_ID) if happens else NONE_ID)
            continue
        taken.append(NONE_ID)
        if happens:
            held.append(number)
    return np.array(taken, np.int32)


def _smallest(f: np.ndarray, value: Int32, effect: Bools) -> Int32:
    held: list[int] = []
    taken = []
    for kind, number, happens in zip(f.tolist(), value.tolist(), effect.tolist(), strict=True):
        if kind == TAKE:
            taken.append((heappop(held) if held else NONE_ID) if happens else NONE_ID)
            continue
        taken.append(NONE_ID)
        if happens:
            heappush(held, number)
    return np.array(taken, np.int32)


def _greatest(f: np.ndarray, value: Int32, effect: Bools) -> Int32:
    return -_smallest(f, -value, effect)
