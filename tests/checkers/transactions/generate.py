"""Generates histories of transactions as columns: valid by construction (each transaction takes effect at one instant while it is open), then
perhaps spoiled. A million transactions take seconds, since nothing is looped over.

    spec = Spec(transactions=1_000_000, clients=20)
    columns = list_append(spec)
    columns = rw_register(spec)
    columns = stale_read(columns)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tribulation.histories.model.columns import ABSENT, APPEND, INFO, OK, OPEN, READ, WRITE, Columns, Lists, Txns

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Spec:
    """Transactions of 1 to `most` micro-operations on `keys` keys at a time; after some `per_key` operations on each, new keys come into use.

    `rmw` is the part of register writes that read their key first. `info` is the part of transactions whose outcome stays unknown; the client goes on
    as a new process.
    """

    transactions: int = 1000
    clients: int = 20
    keys: int = 100
    per_key: int = 64
    most: int = 5
    reads: float = 0.5
    rmw: float = 0.0
    info: float = 0.0
    seed: int = 7


def list_append(spec: Spec) -> Columns:
    chance = np.random.default_rng(spec.seed)
    txn, key, append = _mops(spec, chance)
    rank = _rank(key, append)
    length = np.where(append, 0, rank)
    reads = ~append
    ends = np.cumsum(length[reads])
    items = (np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - length[reads], length[reads]) + 1).astype(
        np.int32
    )
    lists = Lists(np.concatenate([[0], ends]).astype(np.int64), items)
    row = np.where(reads, np.cumsum(reads) - 1, ABSENT).astype(np.int32)
    value = np.where(append, rank + 1, ABSENT).astype(np.int32)
    txns = Txns(_offsets(txn, spec.transactions), np.where(append, APPEND, READ).astype(np.uint8), key, value, row)
    return _columns(spec, chance, txns, lists)


def rw_register(spec: Spec) -> Columns:
    chance = np.random.default_rng(spec.seed)
    txn, key, write = _mops(spec, chance)
    if spec.rmw:
        txn, key, write = _with_reads_first(spec, chance, txn, key, write)
    rank = _rank(key, write)
    value = np.where(write, rank + 1, rank).astype(
        np.int32
    )  # the latest of 1 .. rank, or None (id 0) when there is none
    none = np.full(len(txn), ABSENT, np.int32)
    txns = Txns(_offsets(txn, spec.transactions), np.where(write, WRITE, READ).astype(np.uint8), key, value, none)
    return _columns(spec, chance, txns, Lists(np.zeros(1, np.int64), np.zeros(0, np.int32)))


def stale_read(columns: Columns, where: float = 0.5) -> Columns:
    """The history with one read, in a transaction of its own key's late life, made to show what was there long before."""
    txns = columns.txns
    assert txns is not None
    start = int(len(columns) * where)
    for row in range(start, len(columns)):
        mops = range(int(txns.offsets[row]), int(txns.offsets[row + 1]))
        if len(mops) != 1 or txns.kind[mops[0]] != READ or columns.type[row] != OK:
            continue
        mop = mops[0]
        if txns.list[mop] != ABSENT:
            listed = int(txns.list[mop])
            if columns.lists.offsets[listed + 1] - columns.lists.offsets[listed] >= 20:
                return _shortened(columns, listed, 10)
        elif txns.value[mop] >= 20:
            value = txns.value.copy()
            value[mop] -= 10
            return replace(columns, txns=replace(txns, value=value))
    raise ValueError("no read late enough to be made stale; use more operations per key")


def aborted_read(columns: Columns, where: float = 0.5) -> Columns:
    """The history in which one transaction whose write was read is said to have failed."""
    txns = columns.txns
    assert txns is not None
    for row in range(int(len(columns) * where), len(columns)):
        mops = slice(int(txns.offsets[row]), int(txns.offsets[row + 1]))
        if (txns.kind[mops] != READ).any() and columns.type[row] == OK:
            kind = columns.type.copy()
            kind[row] = 1
            return replace(columns, type=kind)
    raise ValueError("no transaction writes")


def _shortened(columns: Columns, row: int, by: int) -> Columns:
    offsets = columns.lists.offsets.copy()
    cut = slice(int(offsets[row + 1]) - by, int(offsets[row + 1]))
    items = np.delete(columns.lists.items, cut)
    offsets[row + 1 :] -= by
    return replace(columns, lists=Lists(offsets, items))


def _mops(
    spec: Spec, chance: np.random.Generator
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    size = chance.integers(1, spec.most + 1, spec.transactions)
    txn = np.repeat(np.arange(spec.transactions, dtype=np.int32), size)
    count = len(txn)
    era = np.arange(count) // (spec.keys * spec.per_key)
    key = (era * spec.keys + chance.integers(0, spec.keys, count)).astype(np.int32)
    return txn, key, chance.random(count) >= spec.reads


def _with_reads_first(
    spec: Spec,
    chance: np.random.Generator,
    txn: npt.NDArray[np.int32],
    key: npt.NDArray[np.int32],
    write: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    doubled = write & (chance.random(len(write)) < spec.rmw)
    times = 1 + doubled.astype(np.int64)
    again = np.repeat(np.arange(len(txn)), times)
    is_write = write[again].copy()
    first = np.concatenate([[0], np.cumsum(times)[:-1]])
    is_write[first[doubled]] = False
    return txn[again], key[again], is_write


def _rank(key: npt.NDArray[np.int32], counted: npt.NDArray[np.bool_]) -> Int64:
    """For each micro-operation, how many counted ones of its key come before it."""
    order = np.argsort(key, kind="stable")
    total = np.cumsum(counted[order]) - counted[order]
    begins = np.concatenate([[True], key[order][1:] != key[order][:-1]])
    base = np.maximum.accumulate(np.where(begins, total, 0))
    rank = np.empty(len(key), np.int64)
    rank[order] = total - base
    return rank


def _offsets(txn: npt.NDArray[np.int32], count: int) -> Int64:
    return np.concatenate([[0], np.cumsum(np.bincount(txn, minlength=count))]).astype(np.int64)


def _columns(spec: Spec, chance: np.random.Generator, txns: Txns, lists: Lists) -> Columns:
    """Transactions take effect in order of their number; each is open from some time before to some time after."""
    count = spec.transactions
    client = chance.integers(0, spec.clients, count)
    order = np.lexsort((np.arange(count), client))
    at = np.arange(count)[order].astype(float) + 0.5
    same = np.concatenate([[False], client[order][1:] == client[order][:-1]])
    before = np.where(same, np.concatenate([[0.0], at[:-1]]), at - spec.clients)
    begin = before + (0.3 + 0.6 * chance.random(count)) * (at - before)
    follows = np.concatenate([same[1:], [False]])
    bound = np.where(follows, np.concatenate([begin[1:], [0.0]]), at + spec.clients)
    end = at + (0.1 + 0.8 * chance.random(count)) * (bound - at)
    unknown = chance.random(count) < spec.info
    process = client[order] + spec.clients * (np.cumsum(unknown) - unknown)
    events = np.concatenate([begin, end])
    position = np.empty(2 * count, np.int64)
    position[np.argsort(events, kind="stable")] = np.arange(2 * count)
    invoke, complete = np.empty(count, np.int64), np.empty(count, np.int64)
    kind, processes = np.empty(count, np.uint8), np.empty(count, np.int64)
    invoke[order], complete[order] = position[:count], position[count:]
    kind[order], processes[order] = np.where(unknown, INFO, OK), process
    _, processes = np.unique(processes, return_inverse=True)
    return _assemble(txns, lists, invoke, complete, kind, processes)


def _assemble(
    txns: Txns, lists: Lists, invoke: Int64, complete: Int64, kind: npt.NDArray[np.uint8], process: Int64
) -> Columns:
    """Rows by invocation; the table of transactions stays in the order in which they took effect."""
    rows = np.argsort(invoke)
    count = len(rows)
    absent = np.full(count, ABSENT, np.int32)
    zeros = np.zeros(count, np.uint8)
    known = kind[rows] == OK
    of = rows.astype(np.int32)
    return Columns(
        process=process[rows].astype(np.int32),
        type=kind[rows],
        f=zeros,
        key=absent,
        invoke=invoke[rows],
        complete=np.where(known, complete[rows], OPEN),
        invoke_ns=invoke[rows] * 1000,
        complete_ns=complete[rows] * 1000,
        argument=absent,
        result=absent,
        argument_list=absent,
        result_list=absent,
        argument_txn=of,
        result_txn=np.where(known, of, ABSENT).astype(np.int32),
        mismatch=np.zeros(count, bool),
        level=zeros,
        workload=zeros,
        f_names=("txn",),
        processes=range(int(process.max()) + 1),
        keys=range(int(txns.key.max()) + 1),
        values=(None, *range(1, int(max(txns.value.max(), lists.items.max(initial=0))) + 1)),
        lists=lists,
        txns=txns,
    )
