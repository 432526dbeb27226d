"""Trials of the zoo: one seed of the soak with one flaw, without it, or without one sort of fault; many of them over processes.

The soak (`tribulation.harness.simulator.soak`) draws the plan, checks Raft's promises line by line and stops at the first broken one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

from ...simulator.soak.aims import aimed_plan
from ...simulator.soak.plan import SoakPlan
from ...simulator.soak.run import run_plan
from ...simulator.soak.sorts import without


@dataclass(frozen=True, slots=True)
class Trial:
    """`correct`: the plan drawn for the flaw, with its settings, on nodes that have no flaw."""

    seed: int
    flaw: str
    aim: str | None = None
    correct: bool = False
    without: tuple[str, ...] = ()

    def plan(self) -> SoakPlan:
        plan = aimed_plan(self.seed, (self.flaw,), self.aim)
        if self.correct:
            plan = replace(plan, config={**plan.config, "flaws": []})
        for sort in self.without:
            plan = without(plan, sort)
        return plan


@dataclass(frozen=True, slots=True)
class Outcome:
    """`checker` and `kind` of the first failure, or None twice; `sentence` describes it."""

    trial: Trial
    checker: str | None
    kind: str | None
    sentence: str = ""

    @property
    def failed(self) -> bool:
        return self.kind is not None


def attempt(trial: Trial) -> Outcome:
    result = run_plan(trial.plan())
    kind, sentence = result.failure or (None, "")
    return Outcome(trial, result.checker, kind, sentence)


def attempts(trials: Iterable[Trial], jobs: int = 1) -> Generator[Outcome, None, None]:
    """Outcomes in the order of the trials. Only a few are under way, so a caller that stops early wastes little."""
    if jobs == 1:
        yield from map(attempt, trials)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        under_way: deque[Future[Outcome]] = deque()
        for trial in trials:
            under_way.append(pool.submit(attempt, trial))
            if len(under_way) >= 4 * jobs:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
