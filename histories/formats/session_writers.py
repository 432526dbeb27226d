"""Writes sessions of committed transactions on integer registers: AWDIT's text and IsoVista's. Neither knows time, or any outcome but commit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..columns import ABSENT, OK, Columns
from ..errors import HistoryError
from ..history import History
from ..replacing import replacing
from ..rows import argument, result

Micro = tuple[str, int, int]


def write_awdit(path: str | Path, history: History) -> None:
    """`w k v` or `r k v` a line, `-----` between transactions, `=====` between sessions."""
    with replacing(path) as file:
        for number, (_, transactions) in enumerate(_sessions(history)):
            file.write(b"=====\n" if number else b"")
            for place, transaction in enumerate(transactions):
                file.write(b"-----\n" if place else b"")
                file.write("".join(f"{kind} {key} {value}\n" for kind, key, value in transaction).encode())


def write_isovista(path: str | Path, history: History) -> None:
    """`r(key,value,session,transaction)` a line."""
    with replacing(path) as file:
        number = 0
        for session, transactions in _sessions(history):
            for transaction in transactions:
                lines = [f"{kind}({key},{value},{session},{number})\n" for kind, key, value in transaction]
                file.write("".join(lines).encode())
                number += 1


def _sessions(history: History) -> Iterator[tuple[int, list[list[Micro]]]]:
    """(number of the session, its transactions in order), sessions in order of first use."""
    columns = history.columns
    place = f"{history.source}: " if history.source else ""
    if len(columns) and (columns.type != OK).any():
        row = int(np.flatnonzero(columns.type != OK)[0])
        raise HistoryError(
            f"{place}the operation of index {columns.invoke[row]} did not commit for certain",
            "the format knows only committed transactions; convert to edn, elle-json or jsonl",
        )
    order = np.argsort(columns.process, kind="stable")
    cuts = np.flatnonzero(np.diff(columns.process[order])) + 1
    for number, rows in enumerate(np.split(order, cuts)):
        if len(rows):
            yield number, [_transaction(columns, row, place) for row in rows.tolist()]


def _transaction(columns: Columns, row: int, place: str) -> list[Micro]:
    found = [_micro(op) for op in _operations(columns, row)]
    if not found or None in found:
        raise HistoryError(
            f"{place}the operation of index {columns.invoke[row]} is no transaction of reads and writes of integers",
            "the format knows nothing else, not even a read of what nobody wrote; convert to edn, elle-json or jsonl",
        )
    return [micro for micro in found if micro is not None]


def _operations(columns: Columns, row: int) -> list[Any]:
    """Micro-operations of a transaction; a read or write of a key is a transaction of one."""
    f = columns.f_names[columns.f[row]]
    if columns.argument_txn[row] != ABSENT or columns.result_txn[row] != ABSENT:
        found = result(columns, row)
        return found if isinstance(found, list) else argument(columns, row)
    key = None if columns.key[row] == ABSENT else columns.keys[columns.key[row]]
    return [[f[0], key, result(columns, row) if f == "read" else argument(columns, row)]]


def _micro(op: Any) -> Micro | None:
    kind, key, value = op
    integers = all(isinstance(part, int) and not isinstance(part, bool) for part in (key, value))
    return (kind, key, value) if kind in ("r", "w") and integers else None
