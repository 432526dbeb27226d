"""Checker `list-append`: transactions that append unique elements to lists and read whole lists, at any isolation level.

The longest read of a key is the order of its versions, so the dependency graph is known. The verdict is exact for serializability and above, and for
snapshot isolation: a history is valid iff no anomaly was found that its level forbids (transactions of unknown outcome that were never seen count as
harmless). Linear in what was read, except for sorting.
"""

from __future__ import annotations

from ..base.result import Budget, CheckResult, RunRecord, Verdict
from ..base.selection import Bool
from .graph.graph_check import Inputs, judge
from .list_anomalies import list_anomalies
from .register_anomalies import lost_updates
from .table.lists import list_reads, list_versions
from .table.naming import Report
from .table.source import UnknownLevel, level_of, weak_level_of
from .table.table import APPEND, TRANSACTIONS, are_transactions, kinds_written, transactions
from .table.versions import Versions
from .weak.weak_levels import weak_anomalies


class ListAppendChecker:
    name = "list-append"
    operations = TRANSACTIONS

    def applies(self, record: RunRecord) -> bool:
        return kinds_written(record.history.columns) == {APPEND}

    def judged(self, record: RunRecord) -> Bool:
        return are_transactions(record.history.columns)

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        if kinds_written(record.history.columns) != {APPEND}:
            return CheckResult(
                self.name,
                Verdict.UNKNOWN,
                reason="the history has no transactions that consist only of reads and appends",
            )
        table = transactions(record.history.columns)
        try:
            level = level_of(record, table)
        except UnknownLevel as error:
            return CheckResult(self.name, Verdict.UNKNOWN, reason=str(error))
        reads = list_reads(table)

        def anomalies(versions: Versions, report: Report) -> None:
            list_anomalies(reads, report)
            lost_updates(versions, report)
            weak_anomalies(versions, report, weak_level_of(record, level))

        return judge(Inputs(self.name, table, list_versions(reads), True, level), anomalies, budget)
