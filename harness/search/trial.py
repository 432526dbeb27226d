"""One trial of a search: its outcome (`failures.trial`) as a small value.

    trial = run_trial(Task(campaign, seed=7))
    trial.signatures          # () when nothing is wrong

A trial is what workers send back, so it holds no history, no traces and no cluster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tribulation.checkers import CheckResult, Fault, RunRecord, Verdict

from ..campaign.model import Campaign
from ..failures.bounded_run import LateError, at_most
from ..failures.signature import Signature
from ..failures.trial import CRASH, attempt
from ..run.outcome.doubts import doubts_of
from ..run.plan.plan import Plan
from ..run.simulated import Simulated
from ..simulator.cluster.cluster import SimCluster
from ..simulator.coverage.sometimes import Sometimes
from .draw import keeps_time, searched_plan
from .mutate import mutated
from .states import States
from .swarm import swarm_orders

TRIAL_S = 300.0
"""CPU time that one trial may take; a trial takes a second or less, so one that is still running is stuck."""

UNIMPORTANT = frozenset({"vacuity", "availability"})
"""Checkers whose doubts say that one run showed little; a search has many, and shows what none of them reached."""

TOOK_EFFECT, MASKED, WITHOUT_EFFECT, REFUSED = FAULT_OUTCOMES = ("took_effect", "masked", "without_effect", "refused")


@dataclass(frozen=True, slots=True)
class Task:
    """Task of a worker: the campaign's plan for `seed`, or a mutant of `parents`, drawn by `seed`.

    `parents` are plans as JSON: none for a fresh plan, one to be changed, two to be spliced.
    """

    campaign: Campaign
    seed: int
    swarm: bool = True
    directory: Path = Path()
    parents: Sequence[Mapping[str, Any]] = ()
    trial_s: float = TRIAL_S
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the system that are as given, whatever is drawn."""
    orders: bool = False
    """Whether the order of steps that could meet is drawn too (`simulator/step_orders.py`)."""

    def plan(self) -> Plan:
        if self.parents:
            plan = mutated([Plan.from_json(parent) for parent in self.parents], self.seed)
        else:
            plan = searched_plan(self.campaign, self.seed, self.swarm, self.directory)
        plan = replace(plan, options={**plan.options, "system": {**plan.options["system"], **self.settings}})
        if not self.orders:
            return plan
        ordered = replace(plan, world={**plan.world, **swarm_orders(self.seed)})
        # A plan that requires recovery within a time, and would be too slow for it, keeps the order of time.
        return ordered if plan.liveness is None or keeps_time(ordered) else plan


@dataclass(frozen=True, slots=True)
class Trial:
    """Outcome of a task. `verdict` is `valid`, `invalid`, `unknown` or `crashed`; `explanations` has one for each of `signatures`; `doubts` say why
    it is unknown.

    `states` are abstract states reached (`states`), `sometimes` how often each interesting moment came; times named `_s` are CPU time. `faults`
    counts them by kind and by outcome (`FAULT_OUTCOMES`). `digest` is empty when the run did not end.
    """

    seed: int
    mutant: bool
    plan: Mapping[str, Any]
    verdict: str
    signatures: tuple[Signature, ...] = ()
    explanations: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    digest: str = ""
    core_events: int = 0
    operations: int = 0
    simulated_ns: int = 0
    simulate_s: float = 0.0
    check_s: float = 0.0
    states: frozenset[int] = frozenset()
    sometimes: Mapping[str, int] = field(default_factory=dict)
    faults: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return bool(self.signatures)


def lost_trial(task: Task) -> Trial:
    """Return the result of a trial that killed its worker twice."""
    explanation = "the worker process died while it ran this plan, and again when it ran only this plan (out of memory? a crash of compiled code?)"
    plan = task.plan().to_json()
    return Trial(task.seed, bool(task.parents), plan, "crashed", (Signature("worker", "died", CRASH),), (explanation,))


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

    tried = attempt(plan, check_s=check_s, watch=watch)
    failures = tried.failures
    return replace(
        blank,
        signatures=tuple(failures),
        explanations=tuple(failures.values()),
        simulate_s=tried.simulate_s,
        check_s=tried.check_s,
        states=frozenset(states.reached),
        sometimes=dict(moments.counts),
        **({} if tried.done is None else _ended(tried.done, tried.results, bool(failures))),
    )


def _ended(done: Simulated, results: Mapping[str, CheckResult], failed: bool) -> dict[str, Any]:
    doubts = [
        f"{name}: {result.reason or 'undecided'}"
        for name, result in results.items()
        if result.verdict is Verdict.UNKNOWN and name not in UNIMPORTANT
    ]
    doubts += [f"environment: {error}" for error in done.facts.errors]
    return {
        "verdict": "invalid" if failed else "unknown" if doubts else "valid",
        "doubts": tuple(doubts),
        "digest": done.digest,
        "core_events": done.core_events,
        "operations": len(done.issued),
        "simulated_ns": done.cluster.now_ns,
        "faults": _fault_outcomes(done.record),
    }


def _fault_outcomes(record: RunRecord) -> dict[tuple[str, str], int]:
    """Count faults by kind and outcome. `refused`: it could not be carried out, or its observation never ended."""
    masked = doubts_of(record).masked

    def outcome(fault: Fault) -> str:
        if fault.verified:
            return TOOK_EFFECT
        if fault.id in masked:
            return MASKED
        return REFUSED if fault.seen_ns is None else WITHOUT_EFFECT

    return dict(Counter((fault.kind, outcome(fault)) for fault in record.faults))
