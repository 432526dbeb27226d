"""Simulated runs in which everything cannot be healed: the world's failure, which must not be held against the system."""

from __future__ import annotations

from pathlib import Path

import pytest

from tribulation.checkers import Budget, Verdict
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.errors import FaultError
from tribulation.harness.nemesis.faults.fault import Observation
from tribulation.harness.run.drive.runner import HEAL_TRIES
from tribulation.harness.run.outcome.verdict import EXIT_ENVIRONMENT, judge_record
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.simulated import simulate
from tribulation.harness.simulator.faults.injector import SimInjector

ROOT = Path(__file__).resolve().parents[3]


def quick_plan():
    campaign = load_campaign(ROOT / "campaigns" / "quickstart.yaml", ["duration=12s", "settle=1s", "seed=3"], "sim")
    return make_plan(campaign, ROOT / "campaigns")


def heal_badly(monkeypatch, failures: int, result) -> list[int]:
    """The first `failures` tries to heal everything end in `result`; returns the list of when they were made."""
    real, tries = SimInjector.begin_heal_all, []

    def begin_heal_all(self, then):
        tries.append(self._cluster.now_ns)
        if len(tries) <= failures:
            self._ground.soon(then, result)
        else:
            real(self, then)

    monkeypatch.setattr(SimInjector, "begin_heal_all", begin_heal_all)
    return tries


CUT = Observation(False, {"unreachable": [["n1", "n2"]], "processes": {"n1": "running", "n2": "running"}})


@pytest.mark.parametrize("result", [FaultError("no leader takes the weights back", "wait"), CUT], ids=["error", "cut"])
def test_a_run_that_stays_unhealed_convicts_nobody(monkeypatch, result):
    plan = quick_plan()
    tries = heal_badly(monkeypatch, 99, result)
    done = simulate(plan)
    assert len(tries) == HEAL_TRIES
    assert "healed" not in done.record.phases and "quiet_end" not in done.record.phases
    assert done.record.final_states == {}
    judgement = judge_record(done.record, done.facts, Budget(), "run")
    assert judgement.verdict is Verdict.UNKNOWN and judgement.exit_code == EXIT_ENVIRONMENT
    assert "not everything was healed" in judgement.document["errors"][0]


def test_a_second_try_that_heals_makes_it_a_run_like_any_other(monkeypatch):
    tries = heal_badly(monkeypatch, 1, FaultError("no leader", "wait"))
    done = simulate(quick_plan())
    assert len(tries) == 2 and done.facts.errors == []
    assert {"healed", "quiet_end"} <= set(done.record.phases)
    assert judge_record(done.record, done.facts, Budget(), "run").verdict is Verdict.VALID
