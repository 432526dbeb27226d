"""Checker `unique-ids`: no identifier was issued twice. Operations `generate`, whose result is the identifier."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from tribulation.histories import Operation, Type, canonical

from ...base.conclusion import conclude, sentence
from ...base.findings import Findings
from ...base.result import Budget, CheckResult, RunRecord
from ...base.selection import judges, names
from ...base.wording import describe, indices, ms_between, show

GENERATE = "generate"


class UniqueIdsChecker:
    name = "unique-ids"
    operations = judges(GENERATE)

    def applies(self, record: RunRecord) -> bool:
        return GENERATE in names(record)

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        findings = Findings()
        tried = [op for op in record.history.operations() if op.f == GENERATE]
        given: dict[tuple[str | None, Hashable], Operation] = {}
        acknowledged = 0
        for op in sorted(tried, key=lambda op: op.complete_index or 0):
            if op.type is not Type.OK:
                continue
            acknowledged += 1
            if op.result is None:
                text = f"{describe(op)} ended ok without an identifier"
                findings.add("no-identifier", sentence(text), ops=indices([op]))
                continue
            first = given.setdefault((op.workload, canonical(op.result)), op)
            if first is not op:
                _duplicate(first, op, findings)
        stats: dict[str, Any] = {"attempted": len(tried), "acknowledged": acknowledged, "distinct": len(given)}
        doubt = None if acknowledged else f"none of {len(tried)} attempts to generate an identifier ended ok"
        return conclude(self.name, findings, stats, doubt)


def _duplicate(first: Operation, second: Operation, findings: Findings) -> None:
    later_ms = ms_between(first, second)
    when = (
        f"{later_ms:g} ms after the first had returned"
        if later_ms is not None and later_ms >= 0
        else "while the first was under way"
    )
    text = f"identifier {show(first.result)} was given out twice: {describe(first)}; {describe(second)}, {when}"
    findings.add(
        "duplicate-identifier",
        sentence(text),
        ops=indices([first, second]),
        details={"identifier": first.result, "later_ms": later_ms},
    )
