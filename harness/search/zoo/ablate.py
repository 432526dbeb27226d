"""The need for each sort of fault: a flaw's hits with a sort of fault and without it, over the same seeds."""

from __future__ import annotations

from ...simulator.soak.plan import SoakPlan
from ...simulator.soak.run import run_plan
from ...simulator.soak.sorts import SORTS, without
from .hunt import AFTER_FIRST, Caught, Tell
from .minimal import reduced
from .state import MULTIPLE, Ablated
from .trials import Trial, attempts

AT_MOST = 3
"""At most so many sorts of one smallest plan are tried, until the flaw is found to need one."""

FAMILIES = (("duplicate", "reorder"), ("cut", "kill", "power", "pause"))
"""Sorts that stand for each other: late messages, and causes of leader changes. Where none is needed by itself, they are left out together."""


def ablations(caught: Caught, known: dict[str, Ablated], jobs: int, tell: Tell) -> list[Ablated]:
    """Of the sorts in the flaw's smallest plan, one after another. `known` are those of before, by sort."""
    done: list[Ablated] = []
    for sort in in_question(caught):
        before = known.get(sort)
        done.append(before if before and _covers(before, caught) else ablate(caught, sort, jobs, tell))
        if done[-1].needed:
            break
    return done


def in_question(caught: Caught) -> list[str]:
    """The rarest sorts first: a sort that only a few flaws need says most. Then the families of those in the plan, joined by +."""
    singles = sorted(caught.needs, key=lambda sort: -RARITY.index(sort))[:AT_MOST]
    return singles + ["+".join(family) for family in FAMILIES if set(family) & set(caught.needs)]


RARITY = ("pause", "kill", "cut", *(sort for sort in SORTS if sort not in ("pause", "kill", "cut")))
"""Any sort that deposes a leader stands for the others that do."""


def _covers(before: Ablated, caught: Caught) -> bool:
    """Whether it covered as many seeds as there are now, or ended early for a reason that still holds."""
    first, last = _seeds(caught)
    within = sum(first <= seed < last for seed in caught.tally.hits)
    return before.seeds >= last - first or MULTIPLE * before.hits_without > within


def _seeds(caught: Caught) -> tuple[int, int]:
    """The seeds after the first hit, which is not part of the sample; at most `AFTER_FIRST`."""
    first = caught.tally.hits[0] + 1
    return first, min(caught.tally.tried, first + AFTER_FIRST)


def ablate(caught: Caught, sort: str, jobs: int, tell: Tell) -> Ablated:
    """Hunt over the seeds after the first hit; stop when hits are too many for a need."""
    tally = caught.tally
    first, last = _seeds(caught)
    within = sum(first <= seed < last for seed in tally.hits)
    hits, tried = 0, 0
    trials = (Trial(seed, caught.name, tally.aim, without=tuple(sort.split("+"))) for seed in range(first, last))
    outcomes = attempts(trials, jobs)
    for outcome in outcomes:
        tried += 1
        hits += outcome.failed
        tell(f"{caught.name} without {sort}: {hits} hits in {tried} seeds")
        if MULTIPLE * hits > within:
            break
    outcomes.close()
    within = sum(first <= seed < first + tried for seed in tally.hits)
    return Ablated(caught.name, sort, tally.aim, tried, within, hits, _alone_passes(caught, sort))


def _alone_passes(caught: Caught, sort: str) -> bool:
    """Whether the smallest plan passes when it lacks the sort."""
    plan = again(caught)
    for single in sort.split("+"):
        plan = without(plan, single)
    return run_plan(plan).failure is None


def again(caught: Caught) -> SoakPlan:
    """The smallest plan, from the first seed and what was kept of it."""
    plan = Trial(caught.tally.hits[0], caught.name, caught.tally.aim).plan()
    return reduced(plan, caught.kept)
