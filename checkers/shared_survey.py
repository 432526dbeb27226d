"""One survey of a run's traces for all checkers that ask: it takes most of their time, and finds the same each time."""

from __future__ import annotations

from dataclasses import replace

from .budget import Meter
from .fault_kinds import losses
from .findings import Findings
from .raft_facts import Survey
from .raft_survey import survey
from .result import Budget, RunRecord
from .sharing import keep, known
from .traces import read_traces

_NAME = "raft survey"


def survey_of(record: RunRecord, budget: Budget, findings: Findings) -> Survey:
    """The facts of the record's traces; what the walk proves is added to `findings`, which become those of the survey.

    Raises `TraceError` and `OutOfBudget`, with `findings` as far as the walk came. Of a survey nothing but its findings is ever changed.
    """
    facts: Survey | None = known(record, _NAME)
    if facts is None:
        proven = Findings()
        try:
            facts = survey(read_traces(record), proven, Meter.of(budget), losses(record.faults))
        finally:
            findings.extend(proven)
        keep(record, _NAME, facts)
    else:
        findings.extend(facts.findings)
    return replace(facts, findings=findings)
