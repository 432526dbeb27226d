"""One trial: a plan is carried out in the simulator and judged, and a small value says what came of it.

    trial = run_trial(Task(campaign, seed=7))
    trial.signatures          # () when nothing is wrong

A trial is what workers send back, so it holds no history, no traces and no cluster. Whatever goes wrong is in it: an exception of the node, the
simulator or a checker is a failure with a signature of its own.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tribulation.checkers import Budget, CheckResult, Verdict

from ..campaign.model import Campaign
from ..failures.bounded_run import LateError, at_most
from ..failures.signature import Signature, signatures
from ..run.outcome.verdict import Judgement, judge_record
from ..run.plan.plan import Plan
from ..run.simulated import Simulated, simulate
from ..simulator.cluster.cluster import SimCluster
from ..simulator.coverage.sometimes import Sometimes
from ..simulator.errors import SimulationError
from .draw import searched_plan
from .mutate import mutated
from .states import States

TRIAL_S = 300.0
"""CPU time that one trial may take; a trial takes a second or less, so one that is still running is stuck."""

UNIMPORTANT = frozenset({"vacuity", "availability"})
"""Checkers whose doubts say that one run showed little; a search has many, and shows what none of them reached."""


FAILED = "the checker failed: "


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker is asked to do: the campaign's plan for `seed`, or a mutant of `parents`, drawn by `seed`.

    `parents` are plans as JSON: none for a fresh plan, one to be changed, two to be spliced.
    """

    campaign: Campaign
    seed: int
    swarm: bool = True
    directory: Path = Path()
    parents: Sequence[Mapping[str, Any]] = ()
    trial_s: float = TRIAL_S

    def plan(self) -> Plan:
        if not self.parents:
            return searched_plan(self.campaign, self.seed, self.swarm, self.directory)
        return mutated([Plan.from_json(parent) for parent in self.parents], self.seed)


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a task. `verdict` is `valid`, `invalid`, `unknown` or `crashed`; `told` explains each of `signatures`; `doubts` say why it is unknown.

    `states` are abstract states reached (`states`), `sometimes` how often each interesting moment came; times named `_s` are CPU time.
    `digest` is empty when the run did not end.
    """

    seed: int
    mutant: bool
    plan: Mapping[str, Any]
    verdict: str
    signatures: tuple[Signature, ...] = ()
    told: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    digest: str = ""
    core_events: int = 0
    operations: int = 0
    simulated_ns: int = 0
    simulate_s: float = 0.0
    check_s: float = 0.0
    states: frozenset[int] = frozenset()
    sometimes: Mapping[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return bool(self.signatures)


def lost_trial(task: Task) -> Trial:
    """The result of a trial that killed its worker twice."""
    told = "the worker process died while it carried this plan out, and again when it did so alone (out of memory? a crash of compiled code?)"
    plan = task.plan().to_json()
    return Trial(task.seed, bool(task.parents), plan, "crashed", (Signature("worker", "died", "crash"),), (told,))


def run_trial(task: Task) -> Trial:
    """Carry out a trial. Never raises for an effect of the plan."""
    plan = task.plan()
    blank = Trial(task.seed, bool(task.parents), plan.to_json(), "crashed")
    try:
        with at_most(cpu_s=task.trial_s):
            return _run(plan, blank, task.campaign.checker_timeout / 1e9)
    except LateError:
        return replace(blank, verdict="unknown", doubts=(f"no end within {task.trial_s:g} s",))


def _run(plan: Plan, blank: Trial, check_s: float) -> Trial:
    states, moments = States(), Sometimes()

    def watch(cluster: SimCluster) -> None:
        states.attach(cluster)
        moments.attach(cluster)

    began_s = time.thread_time()
    try:
        done = simulate(plan, watch=watch)
        simulated_s = time.thread_time()
        judgement = judge_record(done.record, done.facts, Budget(time_s=check_s, cpu=True), f"seed {plan.seed}")
    except Exception as error:
        lost_s = time.thread_time() - began_s
        told = (explain_crash(error),)
        return replace(
            blank,
            signatures=(crash_signature(error),),
            told=told,
            simulate_s=lost_s,
            states=frozenset(states.reached),
            sometimes=dict(moments.counts),
        )
    return replace(
        blank,
        **_judged(done, judgement),
        simulate_s=simulated_s - began_s,
        check_s=time.thread_time() - simulated_s,
        states=frozenset(states.reached),
        sometimes=dict(moments.counts),
    )


def _judged(done: Simulated, judgement: Judgement) -> dict[str, Any]:
    results = judgement.results
    found = {
        signature: _explanation(signature, results) for signature in signatures(results, done.record.history)
    } | broken_checkers(results)
    doubts = [
        f"{name}: {result.reason or 'undecided'}"
        for name, result in results.items()
        if result.verdict is Verdict.UNKNOWN and name not in UNIMPORTANT
    ]
    doubts += [f"environment: {error}" for error in done.facts.errors]
    return {
        "verdict": "invalid" if found else "unknown" if doubts else "valid",
        "signatures": tuple(found),
        "told": tuple(found.values()),
        "doubts": tuple(doubts),
        "digest": done.digest,
        "core_events": done.core_events,
        "operations": len(done.issued),
        "simulated_ns": done.cluster.now_ns,
    }


def _explanation(signature: Signature, results: Mapping[str, CheckResult]) -> str:
    anomalies = results[signature.checker].anomalies
    return next(anomaly.explanation for anomaly in anomalies if anomaly.kind == signature.kind)


def broken_checkers(results: Mapping[str, CheckResult]) -> dict[Signature, str]:
    """Checkers that raised (`checkers.check` reports them as unknown): a bug of ours, which must not be hidden among doubts."""
    reasons = {name: result.reason or "" for name, result in results.items()}
    return {
        Signature(name, reason.removeprefix(FAILED).partition(":")[0] + " in the checker", "crash"): reason
        for name, reason in reasons.items()
        if reason.startswith(FAILED)
    }


def crash_signature(error: BaseException) -> Signature:
    """A crash as a signature: the part, the exception and the place, such as `node/AssertionError in invariants._check_roles`. Crashes at one place are one failure."""
    root = _root(error)
    frames = traceback.extract_tb(root.__traceback__)
    place = f" in {Path(frames[-1].filename).stem}.{frames[-1].name}" if frames else ""
    who = "node" if isinstance(error, SimulationError) and error.__cause__ is not None else "simulator"
    return Signature(who, type(root).__name__ + place, "crash")


def explain_crash(error: BaseException) -> str:
    """The error's message, and the line that raised it."""
    frames = traceback.extract_tb(_root(error).__traceback__)
    line = f" ({frames[-1].line})" if frames and frames[-1].line else ""
    return f"{getattr(error, 'message', str(error))}{line}"


def _root(error: BaseException) -> BaseException:
    """What was raised first."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
