"""Checker `rw-register`: transactions that read and write registers, every written value unique per key, at any isolation level.

A read names the write that it read from; the order of versions is known as far as values, processes and real time give it (`registers`,
`zone_order`). So every anomaly found is one. But a violation of serializability proper, NP-complete without the order, may be missed where the order
is unknown. Where every write follows a read of its key in its own transaction, the order is complete and the verdict exact.
"""

from __future__ import annotations

from dataclasses import replace

from ..base.budget import Meter
from ..base.result import Budget, CheckResult, RunRecord, Verdict
from ..base.selection import Bool
from .exact import SEARCHED, order_is_whole, search_order
from .graph.graph_check import Inputs, judge, needs
from .register_anomalies import cyclic_versions, lost_updates, register_anomalies
from .table.lattice import implied_levels
from .table.naming import Report
from .table.registers import register_versions
from .table.source import UnknownLevel, level_of, weak_level_of
from .table.table import TRANSACTIONS, WRITE, are_transactions, kinds_written, transactions
from .table.versions import Versions
from .weak.inference import with_atomicity, with_causality
from .weak.weak_levels import weak_anomalies


class RwRegisterChecker:
    name = "rw-register"
    operations = TRANSACTIONS

    def applies(self, record: RunRecord) -> bool:
        return kinds_written(record.history.columns) == {WRITE}

    def judged(self, record: RunRecord) -> Bool:
        return are_transactions(record.history.columns)

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        if kinds_written(record.history.columns) != {WRITE}:
            return CheckResult(
                self.name,
                Verdict.UNKNOWN,
                reason="the history has no transactions that consist only of reads and writes",
            )
        table = transactions(record.history.columns)
        try:
            level = level_of(record, table)
        except UnknownLevel as error:
            return CheckResult(self.name, Verdict.UNKNOWN, reason=str(error))

        def anomalies(versions: Versions, report: Report) -> None:
            register_anomalies(versions, report)
            lost_updates(versions, report)
            cyclic_versions(versions, report)
            weak_anomalies(versions, report, weak_level_of(record, level))

        versions = register_versions(table)
        found = judge(Inputs(self.name, table, _inferred(versions, level), False, level), anomalies, budget)
        if found.verdict is Verdict.VALID and record.options.get("exact") and not order_is_whole(table):
            return _exactly(found, record, level, budget)
        return found


def _exactly(found: CheckResult, record: RunRecord, level: str, budget: Budget) -> CheckResult:
    """Search for an order of the transactions: that no anomaly was found proves nothing where the order of versions is not known."""
    if level not in SEARCHED:
        return replace(
            found,
            verdict=Verdict.UNKNOWN,
            reason=f"the order of some versions is not known, and there is no search for {level}",
        )
    searched = search_order(record.history, level, Meter.of(budget))
    anomalies = () if searched.anomaly is None else (replace(searched.anomaly, kind=f"not-{level}"),)
    return replace(found, verdict=searched.verdict, anomalies=anomalies, reason=searched.reason)


def _inferred(versions: Versions, level: str) -> Versions:
    """Return versions with the orders that the level allows to infer. Where real time counts, it gives more than sessions do, in `zone_order`."""
    sessions, realtime = needs(level)
    if not implied_levels(level).isdisjoint(("read-atomic", "strong-session-serializable")):
        versions = with_atomicity(versions)
    return with_causality(versions) if sessions and not (realtime and versions.table.clock) else versions
