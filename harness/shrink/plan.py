"""Shrinking of a failing plan: `shrink_plan` leaves out and simplifies until nothing more can go, with the same failure.

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
from ..progress import Notify, silent
from ..run.plan.plan import Plan
from ..run.simulated import without_flaws
from . import edits
from .focus import MS, Clue, focused
from .sizes import Size, size_of
from .steps import EVERY, FEWER, Reached, State, give_back_quiet, round_times
from .trial import Attempts, Failure, Trials, plan_id

Steps = Sequence[Callable[[State], None]]

IN_SIMULATOR: Sequence[Steps] = (EVERY, (give_back_quiet, round_times), FEWER)
SHARE = 0.75
"""Share of the allowance for leaving out; the rest is for trying the result again."""

REPEATS = 3
SEEDS = 10


@dataclass(frozen=True, slots=True)
class Stability:
    """Dependence of the failure on exactly this plan: (failed alike, tried).

    `repeats` are runs of the plan itself and must all agree to the last digest. `neighbours` have one time moved by a millisecond. `seeds` are other
    seeds, which draw other delays and other first leaders. `without_flaws` is the same plan for a correct node; None where no flaw was planted. What
    the allowance did not reach was not tried: 0 of 0, and None.
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
    notify: Notify = silent,
    before: Size | None = None,
    clue: Clue | None = None,
) -> Shrunk | None:
    """Shrink `plan`. None when it did not fail as wanted before the allowance was spent. `clue` from a run says where to look first, so that the whole need
    not be run again.

    Once the plan has failed again it may spend `SHARE` of the allowance, so that some is left for `stability`. `before` is the size of the whole,
    where the caller knows it better than the first failing plan shows.
    """
    return shrink_by(Trials(wanted, allowance), plan, notify, before, clue, share=SHARE)


def shrink_by(
    trials: Attempts,
    plan: Plan,
    notify: Notify = silent,
    before: Size | None = None,
    clue: Clue | None = None,
    steps: Steps | None = None,
    share: float = 1.0,
) -> Shrunk | None:
    """Shrink a plan as `shrink_plan` does, with these `trials`, only these `steps`, and this share of the allowance once the plan has failed again."""
    wanted, allowance = trials.wanted, trials.allowance
    notify("reproduce", str(wanted))
    first = _first(plan, trials, clue)
    if first is None:
        return None
    before = before or size_of(plan, first.clue.issued)
    state = State(first, trials, notify, plan.timing.quiet_ns, before)
    allowance.share = share
    one_minimal = reduce(state, [steps] if steps is not None else IN_SIMULATOR)
    allowance.share = 1.0
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


def stability(best: Failure, trials: Trials, notify: Notify = silent) -> Stability:
    """Try the plan again, a correct node, other seeds, and its neighbours, as far as the allowance reaches."""
    plan = best.plan
    flaws = plan.options["system"].get("flaws", ())
    correct = [without_flaws(plan)] if flaws else []
    seeds = [replace(plan, seed=plan.seed + by) for by in range(1, SEEDS + 1)]
    near = [other for by_ns in (-MS, MS) for other in edits.nudged(plan, by_ns)]
    groups: dict[str, list[Plan]] = {"repeats": [plan] * REPEATS, "correct": correct, "seeds": seeds, "near": near}
    found: dict[str, list[Failure | None]] = {name: [] for name in groups}
    try:
        for name, plans in groups.items():
            for number, other in enumerate(plans):
                notify("stability", f"{name} {number + 1} of {len(plans)} · {trials.allowance}")
                found[name].append(trials.again(other))
    except SpentError:
        pass
    alike = [failure is not None and failure.digest == best.digest for failure in found["repeats"]]
    return Stability(
        repeats=(sum(alike), len(alike)),
        neighbours=_share(found["near"]),
        seeds=_share(found["seeds"]),
        without_flaws=found["correct"][0] is not None if found["correct"] else None,
    )


def _share(found: Sequence[Failure | None]) -> tuple[int, int]:
    return sum(failure is not None for failure in found), len(found)
