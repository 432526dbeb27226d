"""Writers of sessions of committed transactions on integer registers: AWDIT's text and IsoVista's. Neither has times, or any outcome but commit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..files.replacing import replacing
from ..model.columns import ABSENT, OK, Columns
from ..model.errors import HistoryError
from ..model.history import History
from ..model.rows import argument, result

Micro = tuple[str, int, int]


def write_awdit(path: str | Path, history: History) -> None:
    """Write one `w k v` or `r k v` per line, `-----` between transactions, `=====` between sessions."""
    columns, place = _committed(history)
    order = np.argsort(columns.process, kind="stable")
    with replacing(path) as file:
        before = ABSENT
        for row in order.tolist():
            session = int(columns.process[row])
            if before != ABSENT:
                file.write(b"-----\n" if session == before else b"=====\n")
            before = session
            lines = [f"{kind} {key} {value}\n" for kind, key, value in _transaction(columns, row, place)]
            file.write("".join(lines).encode())


def write_isovista(path: str | Path, history: History) -> None:
    """Write one `r(key,value,session,transaction)` per line, sessions as they alternate."""
    columns, place = _committed(history)
    named = all(isinstance(name, int) for name in columns.processes)
    with replacing(path) as file:
        for row in range(len(columns)):
            number = int(columns.process[row])
            session = columns.processes[number] if named else number
            found = _transaction(columns, row, place)
            lines = [f"{kind}({key},{value},{session},{row})\n" for kind, key, value in found]
            file.write("".join(lines).encode())


def _committed(history: History) -> tuple[Columns, str]:
    """Return the columns, all of whose operations certainly happened, and the place for errors."""
    columns = history.columns
    place = f"{history.source}: " if history.source else ""
    if len(columns) and (columns.type != OK).any():
        row = int(np.flatnonzero(columns.type != OK)[0])
        raise HistoryError(
            f"{place}the operation of index {columns.invoke[row]} is not certainly committed",
            "the format knows only committed transactions; convert to edn, elle-json or jsonl",
        )
    return columns, place


def _transaction(columns: Columns, row: int, place: str) -> list[Micro]:
    found = [_micro(op) for op in _operations(columns, row)]
    if not found or None in found:
        raise HistoryError(
            f"{place}the operation of index {columns.invoke[row]} is not a transaction of reads and writes of integers",
            "the format has nothing else, not even a read of a value that was never written; convert to edn, elle-json or jsonl",
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
