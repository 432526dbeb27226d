"""Sorts of fault: the class of an action or a parameter, and a plan without one sort.

Leaving out a sort removes from an action only its part: `kill-power` without `kill` is `power`. The rest of the plan stays as it was drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ..options import SECOND, SimOptions
from .plan import Action, SoakPlan

SORT_OF: Mapping[str, str] = {
    "cut": "cut",
    "isolate": "cut",
    "clog": "clog",
    "reject": "reject",
    "kill": "kill",
    "power": "power",
    "blackout": "power",
    "pause": "pause",
    "clock": "clock",
    "fsync": "fsync",
    "stall": "stall",
    "rot": "rot",
    "wipe": "wipe",
    "transfer": "transfer",
    "voters": "voters",
}
"""Kinds of action that are of one sort."""

COMPOSED: Mapping[str, tuple[str, str]] = {
    "kill-power": ("kill", "power"),
    "clock-cut": ("clock", "isolate"),
    "transfer-cut": ("transfer", "isolate"),
}
"""Kinds of action that are two at once, by the kinds that they are."""

KNOBS: Mapping[str, Callable[[SimOptions], SimOptions]] = {
    "loss": lambda options: replace(options, loss_ppm=0),
    "duplicate": lambda options: replace(options, duplicate_ppm=0),
    "reorder": lambda options: replace(options, reorder_ppm=0),
    "drift": lambda options: replace(options, drift_max_ppm=0),
}
"""Sorts that are active all the time, and the parameters without them."""

SORTS = (*dict.fromkeys(SORT_OF.values()), *KNOBS)


def sorts_of(plan: SoakPlan) -> tuple[str, ...]:
    """Every sort of which the plan has any, in the order of `SORTS`."""
    kinds = [action.kind for action in plan.actions] + [ambush.kind for ambush in plan.ambushes]
    found = {SORT_OF[part] for kind in kinds for part in COMPOSED.get(kind, (kind,))}
    found |= {name for name, off in KNOBS.items() if off(plan.options) != plan.options}
    if plan.bridged is not None:
        found.add("cut")
    return tuple(sort for sort in SORTS if sort in found)


def without(plan: SoakPlan, sort: str) -> SoakPlan:
    """The plan without that sort."""
    plan = replace(plan, without=(*plan.without, sort))
    if sort in KNOBS:
        return replace(plan, options=KNOBS[sort](plan.options))
    return replace(
        plan,
        actions=tuple(left for action in plan.actions if (left := _lessened(action, sort)) is not None),
        ambushes=tuple(ambush for ambush in plan.ambushes if SORT_OF[ambush.kind] != sort),
        bridged=None if sort == "cut" else plan.bridged,
    )


def _lessened(action: Action, sort: str) -> Action | None:
    parts = COMPOSED.get(action.kind)
    if parts is None:
        return None if SORT_OF[action.kind] == sort else action
    left = [part for part in parts if SORT_OF[part] != sort]
    if len(left) == len(parts):
        return action
    detail = -60 * SECOND if left == ["clock"] else action.detail if left == ["transfer"] else None
    return replace(action, kind=left[0], detail=detail)
