"""One survey of a run's traces for all checkers that need it: it takes most of their time, and gives the same result each time."""

from __future__ import annotations

from copy import copy

from ..base.budget import Meter
from ..base.findings import Findings
from ..base.result import Budget, RunRecord
from ..base.sharing import keep, known
from ..faults.kinds import losses
from ..traces.traces import read_traces
from .facts import Survey
from .survey import survey

_NAME = "raft survey"


def survey_of(record: RunRecord, budget: Budget, findings: Findings) -> Survey:
    """Return the facts of the record's traces; what the walk proves is added to `findings`, which become those of the survey.

    Raises `TraceError` and `OutOfBudget`, with `findings` as far as the walk came. Only the findings of a survey are ever changed.
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
    mine = copy(facts)
    mine.findings = findings
    return mine
