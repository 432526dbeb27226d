"""Failing plans are made small in the simulator, and what is left still fails, and no longer does without any of its parts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.errors import CampaignError
from tribulation.harness.failures import trial as trials_module
from tribulation.harness.failures.allowance import Allowance, SpentError
from tribulation.harness.failures.signature import Signature
from tribulation.harness.failures.trial import CRASH, crash_signature
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.plan.plan import Plan
from tribulation.harness.run.simulated import Simulated, simulate, without_flaws
from tribulation.harness.shrink import edits
from tribulation.harness.shrink.plan import shrink_by, shrink_plan, stability
from tribulation.harness.shrink.trial import Failure, Trials

STALE = Signature("linearizable", "stale-read")
CAMPAIGN = """
name: stale
hosts: {provider: sim, nodes: 5}
system: {flaws: [stale-read-from-deposed-leader]}
seed: 3
duration: 6s
settle: 500ms
workloads:
  - register: {keys: 2, clients: 5, rate: 60/s}
  - set: {clients: 1, rate: 5/s}
faults:
  - kill: {target: follower, every: 1s, for: 200ms}
  - partition: {shape: leader-minority, after: 2500ms, for: 1500ms}
  - clock: {target: one, offset: 1s, every: 2s, for: 500ms}
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    path = tmp_path_factory.mktemp("campaign") / "stale.yaml"
    path.write_text(CAMPAIGN, encoding="utf-8")
    return make_plan(load_campaign(path), path.parent)


def test_a_stale_read_needs_one_cut_two_clients_and_three_nodes(plan: Plan) -> None:
    allowance = Allowance(runs=1000)
    listed: list[str] = []
    shrunk = shrink_plan(plan, STALE, allowance, lambda phase, detail: listed.append(phase))
    assert shrunk is not None and shrunk.one_minimal
    small = shrunk.best.plan
    assert len(plan.intents) > 5
    assert [intent.kind for intent in small.intents] == ["cut"]
    assert len(edits.operations(small)) <= 3
    assert len(small.nodes) == 3 and len(small.slots) == 2 and list(small.workloads) == ["register"]
    assert shrunk.after.seconds < 1 < shrunk.before.seconds == 6
    assert small.timing.quiet_ns == plan.timing.quiet_ns
    assert shrunk.after.keys == 1
    assert shrunk.runs == allowance.spent_runs
    assert listed[0] == "reproduce" and "few faults" in listed

    trials = Trials(STALE, Allowance())
    for kept in _without_one(small.intents):
        assert trials.run(edits.with_faults(small, kept)) is None
    for kept in _without_one(edits.operations(small)):
        assert trials.run(edits.with_operations(small, kept)) is None
    assert trials.run(without_flaws(small)) is None

    stable = stability(shrunk.best, trials)
    assert stable.repeats == (3, 3)
    assert stable.without_flaws is False
    assert 0 <= stable.neighbours[0] <= stable.neighbours[1] == 2 * (1 + len(edits.operations(small)))


def test_a_spent_allowance_leaves_the_best_so_far(plan: Plan) -> None:
    """A quarter of it is left for trying the result again, and no phase takes more."""
    allowance = Allowance(runs=8)
    shrunk = shrink_plan(plan, STALE, allowance)
    assert shrunk is not None and not shrunk.one_minimal
    assert shrunk.runs == 6
    stable = stability(shrunk.best, Trials(STALE, allowance))
    assert (stable.repeats, stable.neighbours, stable.seeds, stable.without_flaws) == ((2, 2), (0, 0), (0, 0), None)
    assert allowance.spent_runs == 8
    assert Trials(STALE, Allowance()).run(shrunk.best.plan) is not None


class Impatient(Trials):
    """Its user presses Ctrl-C after some tries."""

    def attempt(self, plan: Plan) -> Failure | None:
        if self.allowance.spent_runs == 6:
            raise KeyboardInterrupt
        return super().attempt(plan)


@pytest.mark.parametrize("limit", ["time_s", "cpu_s"])
def test_a_run_that_does_not_end_is_cut_short_when_the_allowance_is_spent(
    plan: Plan, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(tried: Plan, **_: object) -> Simulated:
        while True:
            pass

    monkeypatch.setattr(trials_module, "simulate", endless)
    allowance = Allowance(**{limit: 0.2})
    with pytest.raises(SpentError):
        Trials(STALE, allowance).attempt(plan)
    assert not allowance.left and allowance.spent_runs == 1
    assert shrink_plan(plan, STALE, Allowance(**{limit: 0.2})) is None


def test_who_interrupts_has_the_best_so_far(plan: Plan) -> None:
    shrunk = shrink_by(Impatient(STALE, Allowance()), plan)
    assert shrunk is not None and not shrunk.one_minimal and shrunk.runs == 6
    assert Trials(STALE, Allowance()).run(shrunk.best.plan) is not None


def test_a_plan_that_does_not_fail_is_not_shrunk(plan: Plan) -> None:
    assert shrink_plan(replace(without_flaws(plan)), STALE, Allowance(runs=10)) is None


def test_a_clue_saves_running_the_whole(plan: Plan) -> None:
    """The first tries are a second of the plan: with the witness alone, and with what its keys saw."""
    first = Trials(STALE, Allowance()).run(plan)
    assert first is not None and first.clue.at_ns is not None and first.clue.witness
    shrunk = shrink_plan(plan, STALE, Allowance(runs=2), clue=first.clue)
    assert shrunk is not None
    assert shrunk.best.plan.timing.load_ns < 2_500_000_000
    assert shrunk.best.clue.witness and len(shrunk.best.clue.issued) < len(first.clue.issued) // 2


def test_a_plan_is_tried_once(plan: Plan) -> None:
    trials = Trials(STALE, Allowance(runs=1))
    short = edits.without_ending(edits.until(plan, 1_000_000_000), reads=False)
    assert trials.attempt(short) is None and trials.attempt(short) is None
    assert trials.allowance.spent_runs == 1


def test_a_plan_that_cannot_be_simulated_fails_otherwise(plan: Plan) -> None:
    odd = [replace(plan.intents[0], kind="nothing-known", at_ns=0)]
    assert Trials(STALE, Allowance()).run(edits.with_faults(edits.until(plan, 10_000_000), odd)) is None


def test_a_run_that_ends_in_an_exception_is_shrunk_to_what_raises_it(plan: Plan) -> None:
    odd = replace(plan.intents[0], id="odd", kind="nothing-known", at_ns=2_000_000_000)
    broken = edits.with_faults(plan, [*plan.intents, odd])
    with pytest.raises(CampaignError) as raised:
        simulate(broken)
    shrunk = shrink_plan(broken, crash_signature(raised.value), Allowance(runs=300))
    assert shrunk is not None and shrunk.one_minimal
    assert [intent.kind for intent in shrunk.best.plan.intents] == ["nothing-known"]
    assert shrunk.best.plan.timing.load_ns < plan.timing.load_ns


def test_a_run_at_which_a_checker_raises_is_tried_like_any_other(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(*_: object) -> None:
        raise KeyError("no such row")

    monkeypatch.setattr("tribulation.checkers.sets.checker.SetChecker.check", raises)
    wanted = Signature("set", "KeyError in the checker", CRASH)
    failure = Trials(wanted, Allowance()).run(without_flaws(plan))
    assert failure is not None and failure.signature == wanted


def _without_one(items: object) -> list[list[object]]:
    all_items = list(items)  # type: ignore[call-overload]
    return [all_items[:at] + all_items[at + 1 :] for at in range(len(all_items))]
