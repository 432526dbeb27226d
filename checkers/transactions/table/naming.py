"""Naming of transactions, keys and values for people: T and the history index of the invocation, values as people write JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...base.findings import KEEP_PER_KIND, Findings
from ...base.wording import show
from .table import READ, WRITE, Table

_MOST_ELEMENTS = 8


def name(table: Table, txn: int) -> str:
    return f"T{table.index(txn)}"


def key_text(table: Table, key: int) -> str:
    found = table.key_name(key)
    return "the register" if found is None else show(found)


def list_text(items: Sequence[Any]) -> str:
    """Return a list as `[1 2 3]`; of a long list only both ends."""
    shown = [show(item) for item in items]
    if len(shown) > _MOST_ELEMENTS:
        shown = [*shown[:2], "…", *shown[-4:]]
    return "[" + " ".join(shown) + "]"


def elements(table: Table, mop: int) -> list[Any]:
    """Return the list that a read returned."""
    row = int(table.list[mop])
    return [] if row < 0 else [table.columns.values[item] for item in table.columns.lists.row(row)]


def read_text(table: Table, mop: int, lists: bool) -> str:
    """Return what a read returned, as `x=[1 2]` or `x=5`."""
    value = list_text(elements(table, mop)) if lists else show(table.value_name(int(table.value[mop])))
    return f"{key_text(table, int(table.key[mop]))}={value}"


def mops_of(table: Table, txn: int, lists: bool) -> list[list[Any]]:
    """Return the micro-operations of a transaction as a history writes them."""
    found: list[list[Any]] = []
    for mop in range(int(table.offsets[txn]), int(table.offsets[txn + 1])):
        kind, key = int(table.kind[mop]), table.key_name(int(table.key[mop]))
        if kind == READ:
            value = elements(table, mop) if lists else table.value_name(int(table.value[mop]))
            found.append(["r", key, value])
        else:
            found.append(["w" if kind == WRITE else "append", key, table.value_name(int(table.value[mop]))])
    return found


def describe_txn(table: Table, txn: int, lists: bool) -> dict[str, Any]:
    row = int(table.row[txn])
    process = int(table.process[txn])
    names = table.columns.processes
    complete = int(table.columns.complete[row])
    return {
        "txn": name(table, txn),
        "process": names[process] if process < len(names) else process,
        "index": [table.index(txn), complete if complete < 1 << 62 else None],
        "outcome": ("ok", "fail", "info")[int(table.status[txn])],
        "ops": mops_of(table, txn, lists),
    }


class Report:
    """Findings about transactions. Callers `add` at most `KEEP` of a kind, worded, and correct the count with `total`."""

    __slots__ = ("findings", "lists", "table")

    def __init__(self, table: Table, lists: bool) -> None:
        self.table = table
        self.lists = lists
        self.findings = Findings()

    def add(self, kind: str, txns: Iterable[int], explanation: str, **details: Any) -> None:
        involved = sorted({int(txn) for txn in txns if txn >= 0})
        self.findings.add(
            kind,
            explanation,
            ops=[self.table.index(txn) for txn in involved],
            details={"transactions": [describe_txn(self.table, txn, self.lists) for txn in involved], **details},
        )

    def total(self, kind: str, count: int) -> None:
        """Correct the count of a kind of which only some were reported."""
        if count:
            self.findings.counts[kind] = max(count, self.findings.counts.get(kind, 0))


KEEP = KEEP_PER_KIND
