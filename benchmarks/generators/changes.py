"""Places in a history that fit a violation, and changes of one operation's answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tribulation.histories.model.columns import OK, Columns, Int64, Lists

Plant = Callable[[Columns, np.random.Generator], Columns | None]
"""Changes a valid history into one that is not, by chance; None where there is no place for that."""

TRIES = 2000
"""So many operations are tried, and so far back is looked for others."""


def code(columns: Columns, name: str) -> int:
    return list(columns.f_names).index(name)


def middle(columns: Columns, chance: np.random.Generator, name: str) -> Iterator[int]:
    """Rows of ok operations of that name, from a random place in the middle on."""
    rows = np.flatnonzero((columns.f == code(columns, name)) & (columns.type == OK))
    start = int(len(rows) * chance.uniform(0.3, 0.7))
    yield from np.roll(rows, -start)[:TRIES].tolist()


def before(columns: Columns, row: int, name: str) -> Int64:
    """Rows of ok operations of that name on the same key that completed before this one began, in order of invocation."""
    near = slice(max(0, row - TRIES), row)
    same = (columns.key[near] == columns.key[row]) & (columns.f[near] == code(columns, name))
    return (
        np.flatnonzero(same & (columns.type[near] == OK) & (columns.complete[near] < columns.invoke[row])) + near.start
    )


def with_result(columns: Columns, row: int, value: int) -> Columns:
    result = columns.result.copy()
    result[row] = value
    return replace(columns, result=result)


def with_new_value(columns: Columns) -> tuple[Columns, int]:
    """A value that no operation wrote."""
    return replace(columns, values=[*columns.values, -1]), len(columns.values)


def with_list(columns: Columns, row: int, items: Any) -> Columns:
    changed, number = more_lists(columns, items)
    rows = columns.result_list.copy()
    rows[row] = number
    return replace(changed, result_list=rows)


def more_lists(columns: Columns, items: Any) -> tuple[Columns, int]:
    lists = columns.lists
    grown = Lists(
        np.append(lists.offsets, lists.offsets[-1] + len(items)),
        np.concatenate([lists.items, np.asarray(items, np.int32)]),
    )
    return replace(columns, lists=grown), len(lists.offsets) - 1


def precedes(columns: Columns, one: int, other: int) -> bool:
    return bool(columns.complete[one] < columns.invoke[other])
