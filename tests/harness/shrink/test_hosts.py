"""Plans are shrunk where a run may fail or not: here a simulator that lets most runs pass stands for hosts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tribulation.checkers import Budget, CheckResult, Verdict
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.errors import HostError
from tribulation.harness.failures.allowance import Allowance, SpentError
from tribulation.harness.failures.signature import Signature
from tribulation.harness.run.interrupts import Interrupted
from tribulation.harness.run.outcome.verdict import Judgement, judge_record
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.plan.plan import Plan
from tribulation.harness.run.simulated import simulate
from tribulation.harness.shrink.hosts import HostTrials
from tribulation.harness.shrink.plan import shrink_by
from tribulation.harness.shrink.steps import ON_HOSTS

WANTED = Signature("linearizable", "stale-read")
CAMPAIGN = """
name: small
hosts: {provider: sim, nodes: 3}
system: {flaws: [stale-read-from-deposed-leader]}
seed: 3
duration: 3s
settle: 500ms
workloads:
  - register: {keys: 2, clients: 4, rate: 80/s}
faults:
  - partition: {shape: leader-minority, after: 1s, for: 1500ms}
  - kill: {target: follower, after: 300ms, for: 200ms}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = tmp_path / "small.yaml"
    path.write_text(CAMPAIGN, encoding="utf-8")
    return make_plan(load_campaign(path), tmp_path)


class Flaky:
    """Every third run of a plan is the simulator's; in the others nothing is found."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, plan: Plan) -> Judgement:
        self.runs += 1
        done = simulate(plan)
        judgement = judge_record(done.record, done.facts, Budget(), f"runs/small/{self.runs}")
        if self.runs % 3:
            nothing = {"linearizable": CheckResult("linearizable", Verdict.VALID)}
            return replace(judgement, results=nothing)
        return judgement


def test_a_plan_that_fails_sometimes_is_shrunk_and_its_rate_is_reported(plan: Plan) -> None:
    run = Flaky()
    trials = HostTrials(WANTED, Allowance(runs=500), run, repeat=3)
    shrunk = shrink_by(trials, plan, steps=ON_HOSTS)
    assert shrunk is not None and shrunk.one_minimal
    assert [intent.kind for intent in shrunk.best.plan.intents] == ["cut"]
    assert shrunk.after.operations <= 4 < shrunk.before.operations
    assert (shrunk.best.hits, shrunk.best.tries) == (1, shrunk.best.tries) and shrunk.best.tries <= 3
    assert trials.last is not None and trials.last.parent == Path("runs/small")
    assert trials.rate(shrunk.best.plan) == (1, 3)
    assert shrunk.runs == run.runs - 3


def test_without_a_hit_in_all_its_runs_a_plan_does_not_fail(plan: Plan) -> None:
    assert shrink_by(HostTrials(WANTED, Allowance(), Flaky(), repeat=2), plan, steps=ON_HOSTS) is None


def test_the_allowance_counts_runs_not_plans(plan: Plan) -> None:
    trials = HostTrials(WANTED, Allowance(runs=2), Flaky(), repeat=3)
    with pytest.raises(SpentError):
        trials.attempt(plan)


def test_a_run_that_the_environment_ended_is_reported_and_is_no_hit(plan: Plan) -> None:
    def fails(plan: Plan) -> Judgement:
        raise HostError("n3 is gone")

    listed: list[str] = []
    assert HostTrials(WANTED, Allowance(), fails, 2, listed.append).attempt(plan) is None
    assert len(listed) == 2 and "n3 is gone" in listed[0]


def test_an_interrupt_ends_it(plan: Plan) -> None:
    def interrupted(plan: Plan) -> Judgement:
        raise Interrupted("interrupted")

    with pytest.raises(Interrupted):
        HostTrials(WANTED, Allowance(), interrupted, 2).attempt(plan)
