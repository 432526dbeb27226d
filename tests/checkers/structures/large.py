"""Large valid histories as columns: operations take effect at 1, 2, 3 …, and begin and end a random while before and after that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np

from tribulation.histories.model.columns import ABSENT, FAIL, INFO, NONE_ID, OK, OPEN, Columns, Lists

Answer = Callable[[int, bool], tuple[str, Any, Any]]
"""(number of the operation, whether it takes effect) → f, argument, result; called in the order of effects."""

_TYPE = np.uint8


def columns(answer: Answer, operations: int, clients: int = 20, seed: int = 1, info: float = 0.01) -> Columns:
    """Lists as arguments or results become rows of `lists`; a client whose operation ends in info goes on under another name."""
    chance = np.random.default_rng(seed)
    lost = chance.random(operations) < info
    happens = ~lost | (chance.random(operations) < 0.5)
    calls = [answer(i, bool(happens[i])) for i in range(operations)]
    effect = np.arange(operations, dtype=np.float64)
    times = np.concatenate(
        [effect - chance.random(operations) * clients / 2, effect + chance.random(operations) * clients / 2]
    )
    position = np.empty(2 * operations, np.int64)
    position[np.argsort(times)] = np.arange(2 * operations)
    start, end = position[:operations], position[operations:]
    process = np.arange(operations) % clients
    for client in range(clients):
        process[client::clients] += clients * np.cumsum(np.append(0, lost[client::clients]))[:-1]
    ids: dict[Any, int] = {(type(None), None): NONE_ID}
    names: dict[str, int] = {}
    offsets, items = [0], []

    def cell(value: Any) -> tuple[int, int]:
        if not isinstance(value, list):
            return ids.setdefault((type(value), value), len(ids)), ABSENT
        items.extend(ids.setdefault((int, item), len(ids)) for item in value)
        offsets.append(len(items))
        return ABSENT, len(offsets) - 2

    f = np.array([names.setdefault(call[0], len(names)) for call in calls], np.uint8)
    argument = np.array([cell(call[1]) for call in calls], np.int32).reshape(-1, 2)
    result = np.array(
        [cell(None if gone else call[2]) for call, gone in zip(calls, lost, strict=True)], np.int32
    ).reshape(-1, 2)
    order = np.argsort(start)
    nothing = np.full(operations, ABSENT, np.int32)
    zeros = np.zeros(operations, np.uint8)
    return Columns(
        process=process.astype(np.int32)[order],
        type=np.where(lost, INFO, OK).astype(_TYPE)[order],
        f=f[order],
        key=nothing,
        invoke=start[order],
        complete=np.where(lost, OPEN, end)[order],
        invoke_ns=start[order] * 1000,
        complete_ns=np.where(lost, ABSENT, end * 1000)[order],
        argument=argument[order, 0],
        result=result[order, 0],
        argument_list=argument[order, 1],
        result_list=result[order, 1],
        argument_txn=nothing,
        result_txn=nothing,
        mismatch=np.zeros(operations, np.bool_),
        level=zeros,
        workload=zeros,
        f_names=tuple(names),
        processes=range(int(process.max(initial=0)) + 1),
        values=[value for _, value in ids],
        lists=Lists(np.array(offsets, np.int64), np.array(items, np.int32)),
    )


def container(
    put: str, take: str, pick: Callable[[list[Any]], Any], add: Callable[[list[Any], Any], None], seed: int = 1
) -> Answer:
    """A queue, stack or priority queue that stays of moderate size: more puts while small, more takes while large."""
    random = Random(seed)
    items: list[Any] = []

    def answer(number: int, happens: bool) -> tuple[str, Any, Any]:
        if random.random() < (0.7 if len(items) < 50 else 0.4):
            if happens:
                add(items, number + 1)
            return put, number + 1, number + 1
        value = pick(items) if items and happens else None
        return take, None, value

    return answer


def swapped_answers(history: Columns, f: str, near: float, apart: int = 400) -> Columns:
    """Planted: two operations called `f`, near that fraction of the history and `apart` such operations apart, get each other's answers."""
    rows = np.flatnonzero(
        (history.f == list(history.f_names).index(f)) & (history.type == OK) & (history.result > NONE_ID)
    )
    one = int(rows[int(len(rows) * near)])
    other = int(rows[int(len(rows) * near) + apart])
    result = history.result.copy()
    result[[one, other]] = result[[other, one]]
    return replace(history, result=result)


def refused(history: Columns, row: int) -> Columns:
    """Planted: the operation in `row` is said to have failed."""
    kind = history.type.copy()
    kind[row] = FAIL
    return replace(history, type=kind)
