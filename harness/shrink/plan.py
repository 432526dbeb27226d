"""Shrinks a failing plan: `shrink_plan` leaves out and simplifies until nothing more can go, with the same failure.

shrunk = shrink_plan(plan, Signature("linearizable", "stale-read"), Allowance(runs=1000, time_s=60))
shrunk.best.plan       # fails with the same checker and kind of anomaly
shrunk.one_minimal     # leave out any one of its faults or operations, and it does not

A step is accepted only when the same signature is found again: a smaller plan with another signature is another failure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..failures.allowance import Allowance, SpentError
from ..failures.signature import Signature
from ..run.plan.plan import Plan
from ..run.simulated import without_flaws
from . import edits
from .focus import MS, Clue, focused
from .sizes import Size, size_of
from .steps import EVERY, FEWER, Reached, State, Tell, give_back_quiet, round_times
from .trial import Attempts, Failure, Trials, plan_id

Steps = Sequence[Callable[[State], None]]

IN_SIMULATOR: Sequence[Steps] = (EVERY, (give_back_quiet, round_times), FEWER)
REPEATS = 3
SEEDS = 10


@dataclass(frozen=True, slots=True)
class Stability:
    """How much the failure depends on exactly this plan: (failed alike, tried).

    `repeats` are runs of the plan itself and must all agree to the last digest. `neighbours` have one time moved by a millisecond. `seeds` are other seeds,
    which draw other delays and other first leaders. `without_flaws` is the same plan for a correct node; None where no flaw was planted.
    """

    repeats: tuple[int, int]
    neighbours: tuple[int, int]
    seeds: tuple[int, int]
    without_flaws: bool | None


@dataclass(frozen=True, slots=True)
class Shrunk:
    """`one_minimal`: without any single fault or operation it did not fail alike. `steps` are the way there."""

    signature: Signature
    before: Size
    after: Size
    best: Failure
    one_minimal: bool
    runs: int
    spent_s: float
    steps: Sequence[Reached]


def shrink_plan(
    plan: Plan,
    wanted: Signature,
    allowance: Allowance,
    tell: Tell = lambda phase, detail: None,
    before: Size | None = None,
    clue: Clue | None = None,
) -> Shrunk | None:
    """Shrink `plan`. None when it does not fail as wanted. `clue` from a run says where to look first, so that the whole need not be run again.

    `before` is the size of the whole, where the caller knows it better than the first failing plan shows.
    """
    return shrink_by(Trials(wanted, allowance), plan, tell, before, clue)


def shrink_by(
    trials: Attempts,
    plan: Plan,
    tell: Tell = lambda phase, detail: None,
    before: Size | None = None,
    clue: Clue | None = None,
    steps: Steps | None = None,
) -> Shrunk | None:
    """As `shrink_plan`, with these `attempts` and these `steps` only."""
    wanted, allowance = trials.wanted, trials.allowance
    tell("reproduce", str(wanted))
    first = _first(plan, trials, clue)
    if first is None:
        return None
    before = before or size_of(plan, first.clue.issued)
    state = State(first, trials, tell, plan.timing.quiet_ns)
    one_minimal = reduce(state, [steps] if steps is not None else IN_SIMULATOR)
    best = state.best
    after = size_of(best.plan, best.clue.issued)
    return Shrunk(wanted, before, after, best, one_minimal, allowance.spent_runs, allowance.spent_s, state.reached)


def _first(plan: Plan, trials: Attempts, clue: Clue | None) -> Failure | None:
    """The failure from which shrinking starts."""
    try:
        for smaller in focused(plan, clue) if clue is not None and clue.issued else ():
            if (first := trials.attempt(smaller)) is not None:
                return first
        return trials.attempt(plan)
    except SpentError:
        return None


def reduce(state: State, rounds: Sequence[Steps]) -> bool:
    """Repeat all steps of each round until they change nothing. False when the allowance was spent before, or the user ended it."""
    try:
        for steps in rounds:
            _rounds(state, steps)
    except (SpentError, KeyboardInterrupt):
        return False
    return True


def _rounds(state: State, steps: Steps) -> None:
    while True:
        before = plan_id(state.plan)
        for step in steps:
            state.step = step.__name__.replace("_", " ")
            step(state)
        if plan_id(state.plan) == before:
            return


def stability(best: Failure, trials: Trials, tell: Tell = lambda phase, detail: None) -> Stability:
    """Try the plan again, its neighbours, other seeds, and a correct node. Costs nothing of the allowance: a shrunk plan runs quickly."""
    plan = best.plan
    tell("stability", "the same plan again, and its neighbours")
    again = [trials.run(plan) for _ in range(REPEATS)]
    repeats = sum(failure is not None and failure.digest == best.digest for failure in again)
    neighbours = [trials.run(other) for by_ns in (-MS, MS) for other in edits.nudged(plan, by_ns)]
    seeds = [trials.run(replace(plan, seed=plan.seed + by)) for by in range(1, SEEDS + 1)]
    flaws = plan.options["system"]["flaws"]
    return Stability(
        repeats=(repeats, REPEATS),
        neighbours=(len([failure for failure in neighbours if failure]), len(neighbours)),
        seeds=(len([failure for failure in seeds if failure]), SEEDS),
        without_flaws=trials.run(without_flaws(plan)) is not None if flaws else None,
    )
