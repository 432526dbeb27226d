"""Registers: unique values (read, write, cas), few values (cas over 0..4), and many keys."""

from __future__ import annotations

import numpy as np

from tribulation.histories.model.columns import ABSENT, NONE_ID, Int32, Int64, Lists

from .draft import Draft, absent, numbers
from .schedule import Bools, Schedule

READ, WRITE, CAS = 0, 1, 2
NAMES = ("read", "write", "cas")


def unique_register(chance: np.random.Generator, plan: Schedule, keys: int, cas: float) -> Draft:
    """Every written value is new. A cas names the value that it finds, so that it succeeds."""
    count = len(plan)
    f = chance.choice(np.array([READ, WRITE, CAS], np.uint8), count, p=[0.5, 0.5 - cas, cas])
    key = chance.integers(0, keys, count, dtype=np.int32)
    value = np.arange(1, count + 1, dtype=np.int32)
    before = latest(key, (f != READ) & plan.effect)
    found = np.where(before == ABSENT, NONE_ID, value[before]).astype(np.int32)
    swaps = np.flatnonzero(f == CAS)
    pairs = absent(count)
    pairs[swaps] = np.arange(len(swaps), dtype=np.int32)
    scalar = np.where(f == READ, NONE_ID, np.where(f == CAS, ABSENT, value)).astype(np.int32)
    return Draft(
        f=f,
        f_names=NAMES,
        argument=scalar,
        result=np.where(f == READ, found, scalar).astype(np.int32),
        values=numbers(count),
        key=key,
        keys=[f"k{number}" for number in range(keys)],
        argument_list=pairs,
        result_list=pairs,
        lists=Lists(
            np.arange(len(swaps) + 1, dtype=np.int64) * 2, np.column_stack([found[swaps], value[swaps]]).ravel()
        ),
    )


def few_valued_register(chance: np.random.Generator, plan: Schedule, few: int, names: int) -> Draft:
    """One register over 0..`few` - 1, with the first `names` of its operations: cas names any two values, so most see another one and fail."""
    count = len(plan)
    f = chance.choice(np.array([READ, WRITE, CAS][:names], np.uint8), count)
    # Ids: 0 is None, number n has id n + 1.
    expected, new = chance.integers(1, few + 1, (2, count), dtype=np.int32)
    found, missed = _play(f, expected, new, plan.effect)
    swaps = np.flatnonzero(f == CAS)
    pairs = absent(count)
    pairs[swaps] = np.arange(len(swaps), dtype=np.int32)
    scalar = np.where(f == READ, NONE_ID, np.where(f == CAS, ABSENT, new)).astype(np.int32)
    return Draft(
        f=f,
        f_names=NAMES,
        argument=scalar,
        result=np.where(f == READ, found, scalar).astype(np.int32),
        values=[None, *range(few)],
        argument_list=pairs,
        result_list=pairs,
        lists=Lists(
            np.arange(len(swaps) + 1, dtype=np.int64) * 2, np.column_stack([expected[swaps], new[swaps]]).ravel()
        ),
        mismatch=missed,
    )


def _play(f: np.ndarray, expected: Int32, new: Int32, effect: Bools) -> tuple[Int32, Bools]:
    """Return the value that each operation found, and whether it is a cas that missed."""
    state = NONE_ID
    found: list[int] = []
    missed: list[bool] = []
    for kind, old, value, happens in zip(f.tolist(), expected.tolist(), new.tolist(), effect.tolist(), strict=True):
        found.append(state)
        misses = kind == CAS and happens and state != old
        missed.append(misses)
        if happens and kind != READ and not misses:
            state = value
    return np.array(found, np.int32), np.array(missed)


def latest(group: Int32, writes: Bools) -> Int64:
    """Return for each entry the place of the last write of its group before it, `ABSENT` without one."""
    order = np.argsort(group, kind="stable")
    place = np.where(writes[order], np.arange(len(order)), -1)
    last = np.concatenate([[-1], np.maximum.accumulate(place)[:-1]]) if len(order) else place
    grouped = group[order]
    # A write of the group before is none of this one.
    start = np.searchsorted(grouped, grouped)
    latest = np.full(len(order), ABSENT, np.int64)
    latest[order] = np.where(last >= start, order[np.maximum(last, 0)], ABSENT)
    return latest
