"""Transactions on lists (append) and registers (write) under many short-lived keys, strictly serializable."""

from __future__ import annotations

import numpy as np

from tribulation.histories.model.columns import ABSENT, APPEND, NONE_ID, READ, WRITE, Int32, Lists, Txns

from .draft import NO_LISTS, Draft, absent, numbers
from .registers import latest
from .schedule import Bools, Schedule

LONGEST = 5


def transactions(chance: np.random.Generator, plan: Schedule, keys: int, writes_per_key: int, lists: bool) -> Draft:
    """1 to 5 micro-operations each, half of them reads. `keys` are in use at a time; after so many writes a key is never used again."""
    count = len(plan)
    size = chance.integers(1, LONGEST + 1, count)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(size)])
    micro = int(offsets[-1])
    owner = np.repeat(np.arange(count, dtype=np.int64), size)
    writes = chance.random(micro) < 0.5
    # Keys live in generations, all of the same length.
    generation = np.arange(micro, dtype=np.int64) // (2 * keys * writes_per_key)
    key = (generation * keys + chance.integers(0, keys, micro)).astype(np.int32)
    value = np.where(writes, np.arange(1, micro + 1), NONE_ID).astype(np.int32)
    happened = writes & plan.effect[owner]
    if lists:
        result_value, result_list, table = _lists(key, value, writes, happened)
    else:
        seen = latest(key, happened)
        result_value = np.where(seen == ABSENT, NONE_ID, value[np.maximum(seen, 0)]).astype(np.int32)
        result_list, table = absent(micro), NO_LISTS
    kind = np.where(writes, np.uint8(APPEND if lists else WRITE), np.uint8(READ))
    unknown = np.where(writes, value, ABSENT).astype(np.int32)
    return Draft(
        f=np.zeros(count, np.uint8),
        f_names=("txn",),
        argument=absent(count),
        result=absent(count),
        values=numbers(micro),
        keys=range(int(key.max(initial=-1)) + 1),
        argument_txn=np.arange(count, dtype=np.int32),
        result_txn=np.arange(count, 2 * count, dtype=np.int32),
        lists=table,
        txns=Txns(
            offsets=np.concatenate([offsets, offsets[1:] + micro]),
            kind=np.concatenate([kind, kind]),
            key=np.concatenate([key, key]),
            value=np.concatenate([unknown, np.where(writes, value, result_value).astype(np.int32)]),
            list=np.concatenate([absent(micro), result_list]),
        ),
    )


def _lists(key: Int32, value: Int32, writes: Bools, happened: Bools) -> tuple[Int32, Int32, Lists]:
    """Rows for what each read returned: the elements appended to its key before, its own transaction's among them."""
    micro = len(key)
    order = np.argsort(key, kind="stable")
    grouped, done = key[order], happened[order]
    total = np.cumsum(done)
    start = np.searchsorted(grouped, grouped)
    base = np.concatenate([[0], total])[start]
    length = np.empty(micro, np.int64)
    length[order] = total - base
    first = np.empty(micro, np.int64)
    first[order] = base
    elements = value[order][done]
    reads = np.flatnonzero(~writes)
    sizes = length[reads]
    ends = np.cumsum(sizes)
    rows = np.concatenate([np.zeros(1, np.int64), ends])
    within = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(rows[:-1], sizes)
    items = elements[np.repeat(first[reads], sizes) + within]
    result_list = absent(micro)
    result_list[reads] = np.arange(len(reads), dtype=np.int32)
    return absent(micro), result_list, Lists(rows, items)


def few_valued_transactions(chance: np.random.Generator, plan: Schedule, keys: int, values: int) -> Draft:
    """1 to 5 micro-operations each, half of them reads, on `keys` registers that hold 0..`values` - 1 again and again. Each is written before it is read."""
    count = len(plan)
    size = chance.integers(1, LONGEST + 1, count)
    size[0] = keys
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(size)])
    micro = int(offsets[-1])
    owner = np.repeat(np.arange(count, dtype=np.int64), size)
    writes = chance.random(micro) < 0.5
    key = chance.integers(0, keys, micro, dtype=np.int32)
    writes[:keys], key[:keys] = True, np.arange(keys)
    value = np.where(writes, chance.integers(1, values + 1, micro), NONE_ID).astype(np.int32)
    seen = latest(key, writes & plan.effect[owner])
    found = np.where(seen == ABSENT, NONE_ID, value[np.maximum(seen, 0)])
    kind = np.where(writes, np.uint8(WRITE), np.uint8(READ))
    return Draft(
        f=np.zeros(count, np.uint8),
        f_names=("txn",),
        argument=absent(count),
        result=absent(count),
        values=[None, *range(values)],
        keys=range(keys),
        argument_txn=np.arange(count, dtype=np.int32),
        result_txn=np.arange(count, 2 * count, dtype=np.int32),
        txns=Txns(
            offsets=np.concatenate([offsets, offsets[1:] + micro]),
            kind=np.concatenate([kind, kind]),
            key=np.concatenate([key, key]),
            value=np.concatenate([np.where(writes, value, ABSENT), np.where(writes, value, found)]).astype(np.int32),
            list=np.concatenate([absent(micro), absent(micro)]),
        ),
    )
