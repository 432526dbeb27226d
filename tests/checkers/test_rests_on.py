"""The table `rests_on` on random records with violations: an anomaly that it calls certain without some evidence is one of the whole record too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tribulation.checkers import Budget, CheckResult, RunRecord, Verdict, checker
from tribulation.checkers.soundness.evidence import EVERY, RESTS_ON, RestsOn
from tribulation.histories import History, HistoryError

from .golden import cases
from .transactions import stories

SEEDS = 8
CUTS = 3

Damage = Callable[[Random, RunRecord], Iterator[RunRecord]]


def without_end(random: Random, record: RunRecord) -> Iterator[RunRecord]:
    """The history as it was at some moments."""
    events = list(record.history.events)
    for _ in range(CUTS):
        yield replace(record, history=History(events[: random.randrange(len(events) + 1)]))


def without_traces(random: Random, record: RunRecord) -> Iterator[RunRecord]:
    """A node's trace is missing, or its end."""
    for _ in range(CUTS if record.traces else 0):
        node = random.choice(sorted(record.traces))
        lines = record.traces[node]
        left = {**record.traces, node: lines[: random.randrange(len(lines) + 1)]}
        yield replace(record, traces={name: some for name, some in left.items() if some or random.random() < 0.5})


def without_faults(random: Random, record: RunRecord) -> Iterator[RunRecord]:
    """Faults are missing, or their heals."""
    for _ in range(CUTS if record.faults else 0):
        kept = random.randrange(len(record.faults) + 1)
        cut = [replace(fault, heal_ns=None, healed_ns=None) for fault in record.faults[kept : kept + 1]]
        yield replace(record, faults=[*record.faults[:kept], *(cut if random.random() < 0.5 else [])])


DAMAGES: dict[str, Damage] = {"history": without_end, "trace": without_traces, "ledger": without_faults}


def records_of(case: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, RunRecord]]:
    """(checker, record) of a case of the golden answers."""
    found: list[tuple[str, RunRecord]] = []

    def of_checkers(record: RunRecord, *names: str) -> str:
        found.extend((name, record) for name in names)
        return ""

    def judge(name: str, txns: Any, options: dict[str, Any], *_: Any) -> CheckResult:
        found.append(
            (name, RunRecord(history=txns if isinstance(txns, History) else stories.history(txns), options=options))
        )
        return CheckResult(name, Verdict.UNKNOWN)

    monkeypatch.setattr(cases, "of_checkers", of_checkers)
    monkeypatch.setattr(cases, "judge", judge)
    for seed in range(SEEDS):
        cases.CASES[case].answer(seed)
    return found


def anomalies(name: str, record: RunRecord) -> Sequence[str]:
    one = checker(name)
    try:
        return [anomaly.kind for anomaly in one.check(record, Budget()).anomalies] if one.applies(record) else []
    except HistoryError:
        return []


CASES = [
    name
    for name, case in cases.CASES.items()
    if case.file in ("objects", "structures", "transactions", "workloads", "traced")
]


@pytest.mark.parametrize("case", CASES)
def test_what_stands_without_some_evidence_stands_with_it(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(case)
    for name, record in records_of(case, monkeypatch):
        rests = RESTS_ON[name]
        for part in rests.certain:
            for damaged in DAMAGES[part](random, record):
                standing = [kind for kind in anomalies(name, damaged) if rests.stands(kind, part)]
                if standing:
                    whole = checker(name).check(record, Budget())
                    assert whole.verdict is Verdict.INVALID, (name, part, standing, whole.reason)


PAGE = Path(__file__).resolve().parents[2] / "docs" / "concepts" / "verdicts.md"
PARTS = ("history", "trace", "ledger")


def test_the_page_on_verdicts_has_the_same_table() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("| checkers | read |")) + 2
    reported = {}
    for line in lines[first:]:
        names, reads, *certain = (cell.strip() for cell in line.strip("|").split("|"))
        for name in names.split(", "):
            reported[name.strip("`")] = (reads, *certain)
    assert reported == {name: _cells(rests) for name, rests in RESTS_ON.items()}


def _cells(rests: RestsOn) -> tuple[str, ...]:
    reads = ", ".join(part for part in PARTS if part in rests.reads)
    return (reads, *(_certain(rests, part) for part in PARTS))


def _certain(rests: RestsOn, part: str) -> str:
    if part not in rests.reads:
        return "–"
    kinds = rests.certain.get(part, frozenset())
    return (
        "every kind but those above" if EVERY in kinds else ", ".join(f"`{kind}`" for kind in sorted(kinds)) or "none"
    )
