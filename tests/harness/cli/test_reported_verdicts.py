"""A verdict that cannot be printed is one all the same: an anomaly keeps its exit code."""

from __future__ import annotations

import pytest

from tribulation.checkers import RunRecord, Verdict
from tribulation.harness.cli.outcome import print_outcome
from tribulation.harness.run.outcome.run_folder import RunFacts
from tribulation.harness.run.outcome.verdict import Judgement
from tribulation.histories import History


@pytest.mark.parametrize(
    ("verdict", "exit_code", "code"), [(Verdict.INVALID, 1, 1), (Verdict.VALID, 0, 70), (Verdict.UNKNOWN, 4, 70)]
)
@pytest.mark.parametrize("as_json", [True, False])
def test_what_cannot_be_printed(
    verdict: Verdict, exit_code: int, code: int, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    document = {"verdict": verdict.value, ("no", "key"): 1}
    facts = RunFacts("c", 1, "tri", nodes=(), voters={})
    judgement = Judgement(verdict, exit_code, {}, document, RunRecord(History(())), facts)  # type: ignore[arg-type]
    assert print_outcome(judgement, as_json) == code
    assert f"the verdict is {verdict.value}" in capsys.readouterr().err
