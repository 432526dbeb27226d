"""Trials: what a plan leads to as a small value that goes from process to process; whatever is raised is a failure with a name."""

from __future__ import annotations

import pickle
import threading
from dataclasses import replace

import pytest

from tribulation.checkers import CheckResult, Verdict
from tribulation.harness.failures import trial as trials
from tribulation.harness.failures.signature import Signature
from tribulation.harness.failures.trial import FAILED, attempt, broken_checkers
from tribulation.harness.run.plan.plan import Plan
from tribulation.harness.run.simulated import simulate
from tribulation.harness.search.swarm import swarm_orders
from tribulation.harness.search.trial import Task, Trial, lost_trial, run_trial
from tribulation.harness.simulator.coverage.promises import Promises
from tribulation.harness.simulator.errors import SafetyViolation

from .campaigns import campaign

CORRECT = campaign()
FLAWED = campaign("ack-before-majority")


def same(first: Trial, second: Trial) -> bool:
    """But for the time they took."""
    return replace(first, simulate_s=0.0, check_s=0.0) == replace(second, simulate_s=0.0, check_s=0.0)


def test_a_trial_of_a_correct_node():
    trial = run_trial(Task(CORRECT, 1, swarm=False))
    assert (trial.verdict, trial.signatures, trial.doubts) == ("valid", (), ())
    assert trial.operations > 50 and trial.core_events > 500 and trial.simulated_ns > 3_000_000_000
    assert trial.simulate_s > 0 and trial.check_s > 0 and len(trial.states) > 5
    assert trial.sometimes["leader-deposed-by-silence"] > 0 and trial.sometimes["snapshot-installed"] == 0
    assert trial.digest == simulate(Plan.from_json(trial.plan)).digest


def test_a_trial_is_a_function_of_its_task_and_can_be_sent():
    task = pickle.loads(pickle.dumps(Task(FLAWED, 3, swarm=False)))
    trial = run_trial(task)
    assert trial.failed and len(trial.explanations) == len(trial.signatures)
    assert same(trial, run_trial(task))
    assert len(pickle.dumps(trial)) < 40_000 and pickle.loads(pickle.dumps(trial)) == trial


def test_a_flaw_is_reported_by_signature():
    trial = run_trial(Task(FLAWED, 3, swarm=False))
    assert trial.verdict == "invalid"
    assert {signature.checker for signature in trial.signatures} & {"linearizable", "quorum", "split-brain"}


def test_a_mutant_says_so():
    parent = run_trial(Task(CORRECT, 1)).plan
    trial = run_trial(Task(CORRECT, 2, parents=(parent,)))
    assert trial.mutant and trial.seed == 2 and trial.plan != parent


def test_a_crash_of_the_node_is_a_failure_by_place(monkeypatch: pytest.MonkeyPatch):
    def broken(core) -> None:
        assert core is None, "no core at all"

    monkeypatch.setattr("tribulation.node.core.core.Core.check", broken)
    trial = run_trial(Task(campaign(), 1, swarm=False))
    assert trial.verdict == "crashed" and trial.failed and trial.digest == ""
    (signature,) = trial.signatures
    assert (signature.checker, signature.kind) == ("node", "AssertionError in test_trial.broken")
    assert "no core at all" in trial.explanations[0] and "assert core is None" in trial.explanations[0]


def test_a_crash_of_the_simulator_is_a_failure_too(monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise ZeroDivisionError("no way")

    monkeypatch.setattr("tribulation.harness.simulator.network.network.Network.cut", broken)
    (signature,) = run_trial(Task(CORRECT, 1, swarm=False)).signatures
    assert signature == Signature("simulator", "ZeroDivisionError in test_trial.broken", "crash")


def test_a_checker_that_raises_is_a_failure():
    results = {
        "set": CheckResult("set", Verdict.UNKNOWN, reason=f"{FAILED}KeyError: 3 (set_checker.py:7)"),
        "quorum": CheckResult("quorum", Verdict.UNKNOWN, reason="no traces"),
    }
    assert list(broken_checkers(results)) == [Signature("set", "KeyError in the checker", "crash")]


def broken_promise(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def see(self: Promises, line: dict[str, object]) -> None:
        if line["event"] == "leader":
            raise SafetyViolation(f"{kind}: n1 leads")

    monkeypatch.setattr(Promises, "see", see)


def test_a_broken_promise_that_no_checker_objects_to_is_a_failure(monkeypatch: pytest.MonkeyPatch):
    broken_promise("two-leaders", monkeypatch)
    trial = run_trial(Task(CORRECT, 1, swarm=False))
    wanted = Signature("promises", "two-leaders", "traces")
    assert (trial.verdict, trial.signatures, trial.explanations) == ("invalid", (wanted,), ("two-leaders: n1 leads",))
    assert attempt(Plan.from_json(trial.plan), wanted).alike(wanted) == wanted


def test_no_promise_binds_a_node_whose_disk_lost_what_was_synced(monkeypatch: pytest.MonkeyPatch):
    broken_promise("two-leaders", monkeypatch)
    damaged = campaign(faults=[{"disk": {"target": "follower", "effect": "bit-rot", "after": "1s", "for": "500ms"}}])
    assert "promises" not in {signature.checker for signature in run_trial(Task(damaged, 1, swarm=False)).signatures}


def test_a_trial_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch):
    def forever(*_: object, **__: object) -> None:
        while True:
            pass

    monkeypatch.setattr(trials, "simulate", forever)
    trial = run_trial(Task(CORRECT, 1, trial_s=0.05))
    assert (trial.verdict, trial.doubts, trial.failed) == ("unknown", ("no end within 0.05 s",), False)


def test_a_thread_can_do_a_trial_though_no_signal_reaches_it():
    found: list[Trial] = []
    thread = threading.Thread(target=lambda: found.append(run_trial(Task(CORRECT, 1, swarm=False))))
    thread.start()
    thread.join(60)
    assert found[0].verdict == "valid"


def test_a_worker_that_died_leaves_a_failure_with_the_plan():
    trial = lost_trial(Task(CORRECT, 5))
    assert trial.signatures == (Signature("worker", "died", "crash"),) and Plan.from_json(trial.plan).seed == 5


def test_a_search_over_orders_of_steps_changes_the_world_and_nothing_else_of_the_plan():
    plain, ordered = Task(CORRECT, 5).plan(), Task(CORRECT, 5, orders=True).plan()
    changed = {name: value for name, value in ordered.world.items() if plain.world.get(name) != value}
    assert set(changed) == {"overtake_ns", "overtake_change_every"} and ordered.world.keys() >= plain.world.keys()
    assert replace(ordered, world=plain.world) == plain
    assert len({tuple(swarm_orders(seed).values()) for seed in range(60)}) == 9
