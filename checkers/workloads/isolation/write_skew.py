"""Checker `write-skew`: two transactions each missed the write of the other, on different objects.

T1 read a version of x that T2 replaced, T2 a version of y that T1 replaced: neither can have been first, although each by itself is right. The pairs
follow from the order of versions that `tribulation.checkers.transactions` recovers; a pair on one and the same object is a lost update, and only
counted. It also judges Adya's form with predicates: an `insert` of `[key, [a, b]]` adds a row only if the key has none, so two that ended ok are a write skew.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from tribulation.histories import Operation, Type, canonical
from tribulation.histories.model.columns import APPEND, WRITE, Int64

from ...base.conclusion import all_of, conclude, sentence
from ...base.findings import Findings
from ...base.result import Budget, CheckResult, RunRecord
from ...base.selection import Bool, names, of
from ...base.wording import describe, indices, show
from ...transactions.table.lattice import forbids
from ...transactions.table.lists import list_reads, list_versions
from ...transactions.table.naming import describe_txn, key_text, name
from ...transactions.table.registers import register_versions
from ...transactions.table.source import CONSISTENCY, UnknownLevel, level_of
from ...transactions.table.table import TRANSACTIONS, Table, are_transactions, kinds_written, transactions
from ...transactions.table.versions import Versions

INSERT = "insert"
_FORBIDDEN = "G2-item"
_MOST_EDGES = 20_000_000


class WriteSkewChecker:
    name = "write-skew"
    operations = frozenset({INSERT, *TRANSACTIONS})

    def applies(self, record: RunRecord) -> bool:
        return INSERT in names(record) or _lists(record) is not None

    def in_auto(self, record: RunRecord) -> bool:
        """Return whether there are inserts. In transactions, `rw-register` and `list-append` find it among all other cycles."""
        return INSERT in names(record)

    def judged(self, record: RunRecord) -> Bool:
        inserts = of(record.history.columns, INSERT)
        return inserts if _lists(record) is None else inserts | are_transactions(record.history.columns)

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        findings = Findings()
        doubts: list[str] = []
        stats: dict[str, Any] = {}
        if INSERT in names(record):
            stats |= _inserts(record.history.operations(), findings, doubts)
        lists = _lists(record)
        if lists is not None:
            _transactions(record, lists, findings, doubts, stats)
        return conclude(self.name, findings, stats, all_of(doubts))


def _lists(record: RunRecord) -> bool | None:
    """Return whether transactions append to lists (True) or write registers (False); None when they do neither, or both."""
    return {frozenset({APPEND}): True, frozenset({WRITE}): False}.get(frozenset(kinds_written(record.history.columns)))


def _inserts(ops: list[Operation], findings: Findings, doubts: list[str]) -> dict[str, Any]:
    first: dict[tuple[str | None, Hashable], Operation] = {}
    inserts = [op for op in ops if op.f == INSERT]
    done = 0
    for op in inserts:
        if op.type is not Type.OK:
            continue
        done += 1
        key = op.key if op.key is not None else (op.argument or [None])[0]
        before = first.setdefault((op.workload, canonical(key)), op)
        if before is not op:
            text = f"both inserts at key {show(key)} were done, although each was to be made only if the other was not there: {describe(before)}; {describe(op)}"
            findings.add("write-skew", sentence(text), ops=indices([before, op]), details={"key": key})
    if not done:
        doubts.append(f"none of {len(inserts)} inserts ended ok")
    return {"inserts": len(inserts), "inserted": done}


def _transactions(record: RunRecord, lists: bool, findings: Findings, doubts: list[str], stats: dict[str, Any]) -> None:
    table = transactions(record.history.columns)
    try:
        level = level_of(record, table)
    except UnknownLevel as error:
        doubts.append(f"option {CONSISTENCY}: {error}")
        return
    versions = list_versions(list_reads(table)) if lists else register_versions(table)
    edges = _overlooked(versions)
    if edges is None:
        doubts.append(f"more than {_MOST_EDGES} pairs of a read and a write that overtook it")
        return
    skews, lost = _mutual(table, *edges)
    stats |= {"transactions": len(table), "overlooked": len(edges[0]), "write_skews": len(skews), "lost_updates": lost}
    if not len(edges[0]):
        doubts.append("no transaction read a version that another one replaced: nothing to compare")
    if forbids(level, _FORBIDDEN):
        for pair in skews:
            _skew(table, lists, pair, findings)
    elif skews:
        stats["allowed_by"] = level


def _overlooked(versions: Versions) -> tuple[Int64, Int64, Int64] | None:
    """Return the anti-dependencies: reader, writer of a directly following version, and key. The versions are ordered by values alone. None when there
    are too many.
    """
    known = np.flatnonzero(versions.writer[versions.pair_after] >= 0)
    order = known[np.argsort(versions.pair_before[known], kind="stable")]
    before, after = versions.pair_before[order], versions.pair_after[order]
    standing = versions.read_standing
    low = np.searchsorted(before, standing, "left")
    size = np.searchsorted(before, standing, "right") - low
    if int(size.sum()) > _MOST_EDGES:
        return None
    shift = np.repeat(low - (np.cumsum(size) - size), size)
    at = shift + np.arange(int(size.sum()), dtype=np.int64)
    reader = np.repeat(versions.read_txn.astype(np.int64), size)
    writer = versions.writer[after[at]].astype(np.int64)
    other = reader != writer
    return reader[other], writer[other], versions.key[after[at]].astype(np.int64)[other]


Skew = tuple[int, int, int, int]
"""Two transactions, the key whose write by the second the first missed, and the reverse."""


def _mutual(table: Table, reader: Int64, writer: Int64, key: Int64) -> tuple[list[Skew], int]:
    """Return pairs that missed each other's writes on two keys; and how many did so on one."""
    size = len(table)
    there, back = reader * size + writer, writer * size + reader
    mutual = np.flatnonzero(np.isin(there, back))
    keys: dict[tuple[int, int], list[int]] = {}
    for at in mutual:
        keys.setdefault((int(reader[at]), int(writer[at])), []).append(int(key[at]))
    skews: list[Skew] = []
    lost = 0
    for (one, other), overlooked in keys.items():
        if one < other:
            pairs = [(a, b) for a in overlooked for b in keys[other, one] if a != b]
            if pairs:
                skews.append((one, other, *min(pairs)))
            else:
                lost += 1
    return skews, lost


def _skew(table: Table, lists: bool, pair: Skew, findings: Findings) -> None:
    if not findings.wants("write-skew"):
        findings.count("write-skew")
        return
    one, other, key, back = pair
    text = (
        f"{name(table, one)} read {key_text(table, key)} as it was before {name(table, other)} wrote it, and {name(table, other)} read "
        f"{key_text(table, back)} as it was before {name(table, one)} wrote it: neither can have been first"
    )
    apart = _overlap_ms(table, one, other)
    if apart is not None:
        text += (
            f". They were under way together for {apart:g} ms" if apart >= 0 else f". {-apart:g} ms lay between them"
        )
    details: Mapping[str, Any] = {
        "transactions": [describe_txn(table, txn, lists) for txn in (one, other)],
        "keys": [table.key_name(key), table.key_name(back)],
        "overlap_ms": apart,
    }
    findings.add("write-skew", sentence(text), ops=(table.index(one), table.index(other)), details=details)


def _overlap_ms(table: Table, one: int, other: int) -> float | None:
    """Return how long both were open; negative when they were not."""
    if not table.clock:
        return None
    columns, rows = table.columns, table.row[[one, other]]
    return round(int(columns.complete_ns[rows].min() - columns.invoke_ns[rows].max()) / 1e6, 3)
