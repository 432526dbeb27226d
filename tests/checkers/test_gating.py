"""Missing evidence: it takes a "valid" away, makes no anomaly, and cancels none that does not need it."""

from __future__ import annotations

import sys
from typing import ClassVar

import pytest

from tribulation.checkers import Anomaly, Budget, CheckResult, Gap, RunRecord, Verdict, check, registry
from tribulation.checkers.soundness.evidence import RESTS_ON
from tribulation.histories import parse

CUT = Gap("history", "history.jsonl", "ends after 2 of 4 lines", tail=True)
CHANGED = Gap("history", "history.jsonl", "is not what the run wrote", changed=True)
NO_TRACE = Gap("trace", "trace/n2.jsonl", "is missing", tail=True)
NO_LEDGER = Gap("ledger", "ledger.jsonl", "is missing")
NO_LOG = Gap("log", "logs/n1/node.log", "is missing")
NO_INPUT = Gap("input", "inputs/n1/0", "is missing")


class Scripted:
    """Answers as it is reported to."""

    name = "scripted"
    reads = frozenset({"history", "trace"})
    answer: ClassVar[CheckResult]
    applicable: ClassVar[bool] = True

    def applies(self, record: RunRecord) -> bool:
        return self.applicable

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        return self.answer


class Saying(Scripted):
    """Says which anomaly stands: a stale read without the end of the history, nothing without traces."""

    name = "scripted"

    def stands_without(self, anomaly: Anomaly, part: str) -> bool:
        return part == "history" and anomaly.kind == "stale-read"


STALE, LOST = Anomaly("stale-read", (1,), "stale"), Anomaly("lost-write", (2,), "lost")


def judged(
    monkeypatch: pytest.MonkeyPatch,
    cls: type[Scripted],
    answer: CheckResult,
    *gaps: Gap,
    applicable: bool = True,
    asked: bool = True,
) -> CheckResult | None:
    monkeypatch.setattr(cls, "answer", answer, raising=False)
    monkeypatch.setattr(cls, "applicable", applicable)
    monkeypatch.setattr(registry, "CHECKERS", {"scripted": ("scripted", cls.__name__)})
    monkeypatch.setattr("tribulation.checkers.run_all.CHECKERS", registry.CHECKERS)
    monkeypatch.setitem(sys.modules, "tribulation.checkers.scripted", sys.modules[__name__])
    record = RunRecord(parse("p0 w1 p1 r1"), gaps=gaps, is_run=True)
    return check(record, ["scripted"] if asked else "auto").get("scripted")


def valid() -> CheckResult:
    return CheckResult("scripted", Verdict.VALID)


def invalid(*anomalies: Anomaly) -> CheckResult:
    return CheckResult("scripted", Verdict.INVALID, anomalies)


@pytest.mark.parametrize("gap", [CUT, CHANGED, NO_TRACE])
def test_nothing_found_where_evidence_is_missing_is_unknown_and_names_it(monkeypatch, gap):
    result = judged(monkeypatch, Scripted, valid(), gap)
    assert (result.verdict, result.reason) == (
        Verdict.UNKNOWN,
        f"nothing was found, but evidence is missing: {gap.name}: {gap.why}",
    )


@pytest.mark.parametrize("gap", [NO_LEDGER, NO_LOG, NO_INPUT])
def test_a_gap_where_the_checker_does_not_look_changes_nothing(monkeypatch, gap):
    assert judged(monkeypatch, Scripted, valid(), gap) == valid()
    assert judged(monkeypatch, Scripted, invalid(STALE), gap) == invalid(STALE)


def test_an_anomaly_of_a_complete_history_stands_without_traces(monkeypatch):
    assert judged(monkeypatch, Scripted, invalid(STALE), NO_TRACE) == invalid(STALE)


@pytest.mark.parametrize("gap", [CUT, CHANGED])
def test_without_a_word_of_the_checker_no_anomaly_of_an_incomplete_history_stands(monkeypatch, gap):
    result = judged(monkeypatch, Scripted, invalid(STALE, LOST), gap)
    assert (result.verdict, result.anomalies) == (Verdict.UNKNOWN, ())
    assert result.reason == (
        f"what was found (stale-read, lost-write) may be explained by missing evidence: history.jsonl: {gap.why}"
    )


def test_an_anomaly_that_no_later_operation_can_explain_stands_when_only_the_end_is_missing(monkeypatch):
    result = judged(monkeypatch, Saying, invalid(STALE, LOST), CUT)
    assert (result.verdict, result.anomalies) == (Verdict.INVALID, (STALE,))
    assert result.reason == "1 more may be explained by missing evidence: history.jsonl: ends after 2 of 4 lines"
    assert judged(monkeypatch, Saying, invalid(LOST), CUT).verdict is Verdict.UNKNOWN
    assert judged(monkeypatch, Saying, invalid(STALE), CHANGED).verdict is Verdict.UNKNOWN
    assert judged(monkeypatch, Saying, invalid(STALE), CUT, NO_TRACE).verdict is Verdict.UNKNOWN


def test_a_checker_that_would_apply_but_for_missing_evidence_does_not_vanish_from_auto(monkeypatch):
    assert judged(monkeypatch, Scripted, valid(), applicable=False, asked=False) is None
    assert judged(monkeypatch, Scripted, valid(), CUT, applicable=False, asked=False) is None
    result = judged(monkeypatch, Scripted, valid(), NO_TRACE, applicable=False, asked=False)
    assert (result.verdict, result.reason) == (
        Verdict.UNKNOWN,
        "evidence that it needs is missing: trace/n2.jsonl: is missing",
    )


def test_many_gaps_are_named_in_part(monkeypatch):
    gaps = [Gap("trace", f"trace/n{i}.jsonl", "is missing") for i in range(5)]
    result = judged(monkeypatch, Scripted, valid(), *gaps)
    assert result.reason.endswith("trace/n2.jsonl: is missing; and 2 more")


def test_nothing_stands_that_rests_on_lines_that_were_changed(monkeypatch):
    changed = Gap("trace", "trace/n2.jsonl", "is not what the run wrote", changed=True)
    assert judged(monkeypatch, Scripted, invalid(STALE), changed).verdict is Verdict.UNKNOWN
    ledger = Gap("ledger", "ledger.jsonl", "is not what the run wrote", changed=True)
    assert judged(monkeypatch, Scripted, invalid(STALE), ledger).verdict is Verdict.INVALID, "it reads no ledger"


def test_every_checker_says_what_it_rests_on():
    assert set(RESTS_ON) == set(registry.CHECKERS)
    parts = {part for rests in RESTS_ON.values() for part in (*rests.reads, *rests.certain)}
    assert parts == {"history", "trace", "ledger"}
    assert all(set(rests.certain) <= rests.reads for rests in RESTS_ON.values())


SHAPES = ["p0 w1 p1 r_", "p0 w1 p0 w2 p1 r1 p1 r2", "p0 w1 p1 r1 p1 r_ p0 w3"]


@pytest.mark.parametrize("text", SHAPES)
def test_a_violation_in_the_beginning_is_one_of_the_whole(text):
    """What the table claims of linearizability, by the checker itself: once invalid, every longer beginning is invalid."""
    events = list(parse(text).events)
    verdicts = [check(events[:end], ["linearizable"])["linearizable"].verdict for end in range(2, len(events) + 1)]
    first = verdicts.index(Verdict.INVALID)
    assert set(verdicts[first:]) == {Verdict.INVALID}
