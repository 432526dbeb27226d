"""A judgement as test cases: one for each checker, and one for the evidence that all of them rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tribulation.checkers import Anomaly, CheckResult, Verdict

from ...run.outcome.verdict import Judgement

EVIDENCE = "evidence"
SHOWN_ANOMALIES = 20

Outcome = Literal["passed", "failed", "unknown", "error"]


@dataclass(frozen=True, slots=True)
class Case:
    """`message` is one sentence, `text` everything that is known; `kind` is a word for the cause."""

    name: str
    outcome: Outcome
    kind: str = ""
    message: str = ""
    text: str = ""


def cases_of(judgement: Judgement) -> list[Case]:
    """Return a case for each checker, and one for the evidence. If the verdict is not valid, at least one of them has not passed."""
    checked = [_of_checker(name, result) for name, result in judgement.results.items()]
    undecided = judgement.verdict is not Verdict.VALID and all(case.outcome == "passed" for case in checked)
    return [*checked, _of_evidence(judgement, undecided)]


def _of_checker(name: str, result: CheckResult) -> Case:
    match result.verdict:
        case Verdict.VALID:
            return Case(name, "passed")
        case Verdict.INVALID:
            first = result.anomalies[0] if result.anomalies else Anomaly("anomaly", (), result.reason or "")
            return Case(name, "failed", first.kind, first.explanation, _described(result.anomalies))
        case _:
            reason = result.reason or "the checker could not decide"
            return Case(name, "unknown", "unknown", reason, reason)


def _described(anomalies: Sequence[Anomaly]) -> str:
    lines = [
        f"{one.kind}: {one.explanation}" + (f" (operations {', '.join(map(str, one.ops))})" if one.ops else "")
        for one in anomalies[:SHOWN_ANOMALIES]
    ]
    more = len(anomalies) - SHOWN_ANOMALIES
    return "\n".join([*lines, *([f"and {more} more anomalies"] if more > 0 else [])])


def _of_evidence(judgement: Judgement, undecided: bool) -> Case:
    document = judgement.document
    doubts = list(document["doubts"])
    if failed := [*document["bugs"], *document["errors"]]:
        kind = "bug" if document["bugs"] else "environment"
        return Case(EVIDENCE, "error", kind, failed[0], "\n".join([*failed, *doubts]))
    if not doubts and undecided:
        doubts = ["no checker examined anything"]
    return Case(EVIDENCE, "unknown", "unknown", doubts[0], "\n".join(doubts)) if doubts else Case(EVIDENCE, "passed")
