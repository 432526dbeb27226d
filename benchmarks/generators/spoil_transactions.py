"""Violations of transactions: a read in the middle of a history returns what it cannot have returned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tribulation.histories.model.columns import FAIL, OK, READ, Columns

from .changes import TRIES, Plant, middle, more_lists, precedes, with_new_value


def in_transactions(change: Callable[[Columns, int, int], Columns | None]) -> Plant:
    """`change` gets ok transactions and a place of a read in each, until it finds one that fits."""

    def into(columns: Columns, chance: np.random.Generator) -> Columns | None:
        txns = columns.txns
        assert txns is not None
        for row in middle(columns, chance, "txn"):
            number = int(columns.result_txn[row])
            for at in range(int(txns.offsets[number]), int(txns.offsets[number + 1])):
                found = change(columns, row, at) if txns.kind[at] == READ else None
                if found is not None:
                    return found
        return None

    return into


def _writers(columns: Columns, row: int, key: int, kind: int) -> list[tuple[int, int]]:
    """(row, value) of writes of the key by transactions of that outcome, not far before."""
    txns = columns.txns
    assert txns is not None
    found = []
    for other in range(max(0, row - TRIES), row):
        if columns.type[other] == kind:
            number = int(columns.argument_txn[other])
            part = slice(int(txns.offsets[number]), int(txns.offsets[number + 1]))
            hits = (txns.key[part] == key) & (txns.kind[part] != READ)
            found += [(other, int(value)) for value in txns.value[part][hits]]
    return found


def stale_list(columns: Columns, row: int, at: int) -> Columns | None:
    """A read of a list lacks an element whose transaction had completed."""
    items = _list_at(columns, at)
    done = {value for other, value in _writers(columns, row, _key_at(columns, at), OK) if precedes(columns, other, row)}
    return _with_micro_list(columns, at, items[:-1]) if len(items) and int(items[-1]) in done else None


def aborted_element(columns: Columns, row: int, at: int) -> Columns | None:
    """A read of a list has the element of a failed transaction."""
    failed = _writers(columns, row, _key_at(columns, at), FAIL)
    return _with_micro_list(columns, at, np.append(_list_at(columns, at), failed[-1][1])) if failed else None


def repeated_element(columns: Columns, row: int, at: int) -> Columns | None:
    """A read of a list has an element twice."""
    items = _list_at(columns, at)
    return _with_micro_list(columns, at, np.append(items, items[0])) if len(items) else None


def stale_register(columns: Columns, row: int, at: int) -> Columns | None:
    """A read of a register returns what had been overwritten by a completed transaction."""
    done = [found for found in _writers(columns, row, _key_at(columns, at), OK) if precedes(columns, found[0], row)]
    if not done:
        return None
    last = done[-1][0]
    older = [value for other, value in done if precedes(columns, other, last)]
    return _with_micro_value(columns, at, older[-1]) if older else None


def aborted_register(columns: Columns, row: int, at: int) -> Columns | None:
    """A read of a register returns what a failed transaction wrote."""
    failed = _writers(columns, row, _key_at(columns, at), FAIL)
    return _with_micro_value(columns, at, failed[-1][1]) if failed else None


def thin_air_register(columns: Columns, row: int, at: int) -> Columns | None:
    """A read of a register returns a value that no transaction wrote."""
    changed, value = with_new_value(columns)
    return _with_micro_value(changed, at, value)


def _key_at(columns: Columns, at: int) -> int:
    assert columns.txns is not None
    return int(columns.txns.key[at])


def _list_at(columns: Columns, at: int) -> Any:
    assert columns.txns is not None
    return columns.lists.row(int(columns.txns.list[at]))


def _with_micro_list(columns: Columns, at: int, items: Any) -> Columns:
    changed, number = more_lists(columns, items)
    assert columns.txns is not None
    rows = columns.txns.list.copy()
    rows[at] = number
    return replace(changed, txns=replace(columns.txns, list=rows))


def _with_micro_value(columns: Columns, at: int, value: int) -> Columns:
    assert columns.txns is not None
    values = columns.txns.value.copy()
    values[at] = value
    return replace(columns, txns=replace(columns.txns, value=values))
