"""Checkers `causal`, `read-atomic`, `read-committed`: three levels that can be decided fast, decided exactly (AWDIT, PLDI 2025).

They need unique written values per key, and know no clock: sessions are the processes. They take transactions of registers or of lists, and
registers' plain reads and writes as transactions of one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from tribulation.histories.model.columns import ABSENT

from ..base.result import Budget, CheckResult, RunRecord, Verdict
from ..base.selection import Bool, judges, of
from .graph.graph_check import Inputs, doubts
from .list_anomalies import list_anomalies
from .register_anomalies import register_anomalies
from .table.lattice import level_named
from .table.lists import list_reads, list_versions
from .table.naming import Report
from .table.registers import register_versions
from .table.source import CONSISTENCY
from .table.table import (
    APPEND,
    OK,
    READS,
    REGISTERS,
    TRANSACTIONS,
    Table,
    are_transactions,
    kinds_written,
    registers,
    transactions,
)
from .table.versions import Versions
from .weak.weak_levels import Level, level_anomalies, weak_anomalies


@dataclass(frozen=True, slots=True)
class Counted:
    """`kinds` of anomaly that make the verdict at `level`; `stats` of the history."""

    level: str
    kinds: Collection[str]
    stats: Mapping[str, Any]


class SessionsChecker:
    """Base of the checkers of the table of transactions. A subclass names the kinds of anomaly that count, and finds its own ones."""

    name: str
    operations = TRANSACTIONS | REGISTERS

    def find(self, record: RunRecord, table: Table, versions: Versions, report: Report) -> Counted:
        """Add this checker's own anomalies to `report`; return the kinds that make its verdict, and what it states of the history."""
        raise NotImplementedError

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        table = table_of(record)
        if table is None:
            return CheckResult(
                self.name,
                Verdict.UNKNOWN,
                reason="the history has no transactions of a single kind, and no plain reads and writes",
            )
        versions, report = read_versions(table)
        counted = self.find(record, table, versions, report)
        found = report.findings
        stats: dict[str, Any] = {
            "transactions": len(table),
            "ok": int((table.status == OK).sum()),
            **counted.stats,
            "anomalies": {kind: count for kind, count in sorted(found.counts.items()) if kind in counted.kinds},
        }
        kept = tuple(anomaly for anomaly in found.kept if anomaly.kind in counted.kinds)
        reasons = doubts(Inputs(self.name, table, versions, report.lists, counted.level), False)
        if kept:
            return CheckResult(self.name, Verdict.INVALID, kept, stats)
        if reasons:
            return CheckResult(self.name, Verdict.UNKNOWN, (), stats, "; ".join(reasons))
        return CheckResult(self.name, Verdict.VALID, (), stats)

    def applies(self, record: RunRecord) -> bool:
        return table_of(record) is not None

    def judged(self, record: RunRecord) -> Bool:
        """Return which rows `table_of` takes: all transactions; else the operations of objects that have only those of registers, without reads of
        lists.
        """
        columns = record.history.columns
        if kinds_written(columns):
            return are_transactions(columns)
        lists = of(columns, *READS) & (columns.result == ABSENT) & (columns.result_list != ABSENT)
        mine: Bool = judges(*REGISTERS, whole=True).rows(columns) & ~lists
        return mine


class _IsolationChecker(SessionsChecker):
    level: Level

    def in_auto(self, record: RunRecord) -> bool:
        """Return whether its level was requested. Otherwise `list-append` or `rw-register` finds more."""
        asked = record.options.get(CONSISTENCY)
        return asked is not None and level_named(str(asked)) == self.level.value

    def find(self, record: RunRecord, table: Table, versions: Versions, report: Report) -> Counted:
        stats = {"micro_operations": len(table.txn), **weak_anomalies(versions, report, self.level.value)}
        return Counted(self.level.value, frozenset(level_anomalies(self.level)), stats)


def table_of(record: RunRecord) -> Table | None:
    """Return the transactions, or else the register operations as transactions; None if there is neither."""
    columns = record.history.columns
    kinds = kinds_written(columns)
    if len(kinds) == 1:
        return transactions(columns)
    if kinds:
        return None
    table = registers(columns)
    return table if len(table) else None


def read_versions(table: Table) -> tuple[Versions, Report]:
    """Return the versions, and a report of the anomalies that single reads show."""
    lists = bool((table.kind == APPEND).any())
    report = Report(table, lists)
    if lists:
        reads = list_reads(table)
        list_anomalies(reads, report)
        return list_versions(reads), report
    versions = register_versions(table)
    register_anomalies(versions, report)
    return versions, report


class CausalChecker(_IsolationChecker):
    name = "causal"
    level = Level.CAUSAL


class ReadAtomicChecker(_IsolationChecker):
    name = "read-atomic"
    level = Level.READ_ATOMIC


class ReadCommittedChecker(_IsolationChecker):
    name = "read-committed"
    level = Level.READ_COMMITTED


__all__ = ["CausalChecker", "ReadAtomicChecker", "ReadCommittedChecker"]
