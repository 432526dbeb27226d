"""Short traces that no protocol wrote: read as tables, in pieces of any size, they give every answer of the same lines read one by one."""

from __future__ import annotations

import pytest

import tribulation.checkers.raft.survey as survey_module
from tribulation.checkers import check

from .scribbled_traces import scribbled
from .test_trace_tables import tabled

CHECKERS = ["raft-safety", "quorum", "split-brain"]
WINDOWS = (9, 1 << 16)


@pytest.mark.parametrize("first", range(0, 240, 20))
def test_the_answers_to_lines_in_any_order(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey_module, "_SHORT", 1)
    for seed in range(first, first + 20):
        monkeypatch.setattr(survey_module, "_WINDOW", WINDOWS[seed % 2])
        record = scribbled(seed)
        found = check(record, CHECKERS)
        assert not any("failed" in (result.reason or "") for result in found.values()), seed
        assert check(tabled(record), CHECKERS) == found, seed
