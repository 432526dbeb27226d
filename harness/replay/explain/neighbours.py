"""Neighbours of a failing plan, smallest change first: a fault a little earlier or later, shorter, removed; a flaw removed.

The first that passes is the nearest passing plan: the failure depends on the difference between the two plans.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice
from typing import Any

from tribulation.checkers import Verdict

from ...failures.allowance import Allowance, SpentError
from ...failures.signature import Signature
from ...failures.trial import attempt
from ...nemesis.faults.fault import Intent
from ...run.plan.plan import Plan
from ...run.simulated import Simulated
from ...user_files.quantities import format_ns

MILLISECOND = 1_000_000
SHIFTS_NS = (MILLISECOND, 10 * MILLISECOND, 100 * MILLISECOND, 1000 * MILLISECOND)


@dataclass(frozen=True, slots=True)
class Change:
    """`what` describes the difference from the failing plan."""

    what: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The nearest plan that passes, and its run; `tried` plans were run, of which `failing` failed alike. `cut`: the time ended before the others."""

    change: Change | None
    done: Simulated | None
    tried: int
    failing: int
    cut: bool = False


def changes(plan: Plan, until_ns: int | None) -> Iterator[Change]:
    """Changes of the plan. Faults that begin after `until_ns`, when the failure had been seen, are left alone."""
    faults = [intent for intent in plan.intents if until_ns is None or intent.at_ns <= until_ns]
    # The latest fault before the failure is the likeliest to matter.
    faults.sort(key=lambda intent: -intent.at_ns)
    for shift_ns in SHIFTS_NS:
        for intent in faults:
            for by_ns in (shift_ns, -shift_ns):
                if intent.at_ns + by_ns >= 0:
                    when = "later" if by_ns > 0 else "earlier"
                    moved = replace(intent, at_ns=intent.at_ns + by_ns)
                    yield Change(f"{intent.id} {format_ns(shift_ns)} {when}", _with(plan, intent, moved))
    for intent in faults:
        if intent.for_ns is not None and intent.for_ns > 1:
            half = replace(intent, for_ns=intent.for_ns // 2)
            yield Change(
                f"{intent.id} for {format_ns(intent.for_ns // 2)} instead of {format_ns(intent.for_ns)}",
                _with(plan, intent, half),
            )
    for intent in faults:
        yield Change(f"without {intent.id}", _with(plan, intent, None))
    yield from _without_each_flaw(plan)


def _with(plan: Plan, intent: Intent, changed: Intent | None) -> Plan:
    intents = [changed if one is intent else one for one in plan.intents]
    return replace(plan, intents=[one for one in intents if one is not None])


def _without_each_flaw(plan: Plan) -> Iterator[Change]:
    system: dict[str, Any] = dict(plan.options["system"])
    flaws: Sequence[str] = system.get("flaws", ())
    for flaw in flaws:
        kept = {**system, "flaws": [one for one in flaws if one != flaw]}
        yield Change(f"without the flaw {flaw}", replace(plan, options={**plan.options, "system": kept}))


class Fate(Enum):
    """The result of a plan. `OTHERWISE`: the same checker objects to something else. `UNKNOWN`: it did not end, or its checker did not decide."""

    ALIKE = "fails alike"
    OTHERWISE = "fails otherwise"
    PASSES = "passes"
    UNKNOWN = "unknown"


_FATES = {Verdict.VALID: Fate.PASSES, Verdict.INVALID: Fate.OTHERWISE, Verdict.UNKNOWN: Fate.UNKNOWN}


def fate(plan: Plan, wanted: Signature) -> tuple[Simulated | None, Fate]:
    """Run the plan, and the checker that found the failure."""
    tried = attempt(plan, wanted)
    if tried.alike(wanted) is not None:
        return tried.done, Fate.ALIKE
    if tried.done is None:
        return None, Fate.UNKNOWN
    result = tried.results.get(wanted.checker)
    return tried.done, Fate.PASSES if result is None else _FATES[result.verdict]


def nearest_passing(
    plan: Plan, wanted: Signature, until_ns: int | None, most: int, allowance: Allowance | None = None
) -> Neighbour:
    """Try at most `most` changes, in order, and stop at the first that passes, or when the allowance is spent."""
    allowance = allowance or Allowance()
    tried = failed = 0
    for change in islice(changes(plan, until_ns), most):
        try:
            with allowance.one_run():
                done, became = fate(change.plan, wanted)
        except SpentError:
            return Neighbour(None, None, tried, failed, cut=True)
        tried += 1
        if became is Fate.PASSES:
            return Neighbour(change, done, tried, failed)
        failed += became is Fate.ALIKE
    return Neighbour(None, None, tried, failed)
