"""Judges a run's folder: checkers over what was recorded, one verdict, one exit code.

An anomaly outranks everything; then an environment that failed; then doubt, which includes a fault that was observed to do nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from checkers import Budget, CheckResult, RunRecord, Verdict, check, merge
from histories import NEMESIS
from histories.store import RunStore

from .record import RunFacts, load_history_record, load_record, read_facts

EXIT_VALID, EXIT_INVALID, EXIT_USAGE, EXIT_UNKNOWN, EXIT_ENVIRONMENT = 0, 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Judgement:
    """`document` is what `--json` prints and `verdict.json` holds."""

    verdict: Verdict
    exit_code: int
    results: Mapping[str, CheckResult]
    document: Mapping[str, Any]

    def write(self, run_dir: Path) -> None:
        """The verdict of a run belongs into its folder."""
        RunStore.write_json(run_dir / "verdict.json", self.document)


def judge(target: Path, checkers: Sequence[str] | None = None, budget: Budget | None = None) -> Judgement:
    """`target` is a run's folder or a history file. Without `checkers`: those that its campaign asked for. Changes nothing."""
    if target.is_dir():
        record, facts = load_record(target), read_facts(target)
    else:
        record, facts = (
            load_history_record(target),
            RunFacts(target.stem, 0, f"tri check {target}", nodes=(), voters={}),
        )
    results = check(record, checkers or facts.checks, budget or Budget())
    return _judged(record, facts, results, str(target))


def _judged(record: RunRecord, facts: RunFacts, results: Mapping[str, CheckResult], run: str) -> Judgement:
    verdict = merge(result.verdict for result in results.values())
    unverified = [fault.id for fault in record.faults if not fault.verified]
    if verdict is Verdict.VALID and (facts.errors or unverified):
        verdict = Verdict.UNKNOWN
    document = {
        "verdict": verdict.value,
        "expected": verdict.value == facts.expect,
        "run": run,
        "campaign": facts.campaign,
        "seed": facts.seed,
        "command": facts.command,
        "errors": list(facts.errors),
        "unverified": unverified,
        "phases": dict(facts.phases),
        "checkers": {name: _result_json(result) for name, result in results.items()},
        "faults": [asdict(fault) for fault in record.faults],
        "ops": count_outcomes(record),
        "elapsed_s": dict(facts.elapsed_s),
    }
    return Judgement(verdict, exit_code(verdict, facts.errors), results, document)


def exit_code(verdict: Verdict, errors: Sequence[str]) -> int:
    if verdict is Verdict.INVALID:
        return EXIT_INVALID
    if errors:
        return EXIT_ENVIRONMENT
    return EXIT_VALID if verdict is Verdict.VALID else EXIT_UNKNOWN


def count_outcomes(record: RunRecord) -> dict[str, int]:
    counts = {"ok": 0, "fail": 0, "info": 0}
    for event in record.history.events:
        if event.process != NEMESIS and event.type.value in counts:
            counts[event.type.value] += 1
    return counts


def _result_json(result: CheckResult) -> dict[str, Any]:
    return {
        "verdict": result.verdict.value,
        "anomalies": [asdict(anomaly) for anomaly in result.anomalies],
        "stats": dict(result.stats),
        "reason": result.reason,
    }
