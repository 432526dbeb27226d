"""The smallest plan that shows a flaw: actions and knobs are left out until each of the rest is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...failures.ddmin import ddmin
from ...simulator.soak.plan import Action, SoakPlan
from ...simulator.soak.run import SoakResult, run_plan
from ...simulator.soak.sorts import KNOBS, sorts_of, without
from .trials import Trial

Part = int | str
"""An action by its number, or a knob or `ambush` by its name."""


@dataclass(frozen=True, slots=True)
class Smallest:
    """1-minimal: without any one of `parts` it passes, or fails with another signature. `actions` is how many there were at first."""

    plan: SoakPlan
    actions: int
    kept: tuple[Part, ...]
    parts: tuple[str, ...]
    sorts: tuple[str, ...]
    command: str
    sentence: str


def smallest(trial: Trial) -> Smallest:
    """Reduce a failing trial. Knobs go first: with random message loss, a plan seldom fails the same way after an action is dropped."""
    plan = trial.plan()
    result = run_plan(plan)
    assert result.failure is not None, trial
    kind, end_ns = result.failure[0], result.simulated_ns
    # What had not begun when it failed is not part of it: a plan without it is the same run.
    begun = [action for action in plan.actions if action.at_ns <= end_ns]
    knobs: list[Part] = [sort for sort in KNOBS if sort in sorts_of(plan)]
    parts: list[Part] = [*(["ambush"] if plan.ambushes else []), *(action.number for action in begun), *knobs]
    best = {"result": result}

    def fails(kept: Sequence[Part]) -> bool:
        again = run_plan(reduced(plan, kept))
        failed = again.failure is not None and again.failure[0] == kind
        if failed:
            best["result"] = again
        return failed

    minimum = ddmin(parts, fails)
    least = best["result"] if minimum.tests and len(minimum.items) < len(parts) else run_plan(reduced(plan, parts))
    return _told(least, len(plan.actions), minimum.items)


def reduced(plan: SoakPlan, kept: Sequence[Part]) -> SoakPlan:
    """The plan with only these of its parts."""
    left = plan.only(tuple(part for part in kept if isinstance(part, int)))
    if "ambush" not in kept:
        left = replace(left, ambushes=())
    for knob in KNOBS:
        if knob not in kept:
            left = without(left, knob)
    return left


def _told(result: SoakResult, actions: int, kept: tuple[Part, ...]) -> Smallest:
    plan = result.plan
    knobs = tuple(sort for sort in sorts_of(plan) if sort in KNOBS)
    ambushes = tuple(f"{ambush.kind} upon {ambush.event}" for ambush in plan.ambushes)
    bridge = ("bridge that stays",) if plan.bridged is not None else ()
    assert result.failure is not None
    parts = (*(_spoken(action) for action in plan.actions), *ambushes, *bridge, *knobs)
    return Smallest(plan, actions, kept, parts, sorts_of(plan), result.command, result.failure[1])


def _spoken(action: Action) -> str:
    return f"{action.kind} {action.target.lstrip('$')}"
