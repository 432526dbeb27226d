"""An interrupt of a run, or of the writing of its page, changes nothing about what was found: the exit code is that of the verdict."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.harness.replay.conftest import run_folder, small_run
from tribulation.checkers import Verdict
from tribulation.harness.errors import HostError
from tribulation.harness.run.outcome.run_folder import read_facts
from tribulation.harness.run.outcome.verdict import ENDED_BY_USER, exit_code, judge

__all__ = ["small_run"]

STALE = """
name: stale
hosts: {provider: sim, nodes: 3}
seed: 1
duration: 4s
settle: 500ms
system: {name: reference, flaws: [stale-read-from-deposed-leader]}
workloads:
  - register: {keys: 2, clients: 4, rate: 100/s}
faults:
  - partition: {shape: leader-minority, after: 600ms, for: 1500ms}
"""


@pytest.mark.parametrize(
    ("errors", "verdict", "code"),
    [
        ([ENDED_BY_USER], Verdict.UNKNOWN, 3),
        ([ENDED_BY_USER], Verdict.INVALID, 1),
        ([ENDED_BY_USER, "n1 is unreachable"], Verdict.UNKNOWN, 4),
    ],
)
def test_a_user_is_no_environment(errors: list[str], verdict: Verdict, code: int) -> None:
    assert exit_code(verdict, errors) == code


def test_the_folder_of_a_run_that_a_user_ended_is_unknown(small_run: Path, tmp_path: Path) -> None:
    facts = replace(read_facts(small_run), errors=[ENDED_BY_USER])
    judgement = judge(small_run, facts=facts)
    assert (judgement.verdict, judgement.exit_code) == (Verdict.UNKNOWN, 3)


def test_an_anomaly_outranks_an_interrupt_of_the_report(tmp_path: Path) -> None:
    run = run_folder(STALE, tmp_path)
    judgement = judge(run)
    assert judgement.exit_code == 1
    (run / "verdict.json").unlink()

    def interrupted() -> None:
        raise KeyboardInterrupt

    assert judgement.kept(run, interrupted).exit_code == 1
    assert json.loads((run / "verdict.json").read_text())["verdict"] == "invalid"
    found_nothing = replace(judgement, verdict=Verdict.VALID, exit_code=0)
    with pytest.raises(KeyboardInterrupt):
        found_nothing.kept(run, interrupted)


def test_a_run_whose_folder_vanished_is_an_error_of_the_environment(small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"run's folder .*gone vanished during the run"):
        judge(tmp_path / "gone", facts=read_facts(small_run))
