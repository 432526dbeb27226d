"""End of a load, and the time for which a fault is held. A run shows little if its faults met no operation, or if a workload changed nothing.

Pure. The bounds are in the plan (`plan.Pace`), so that a plan alone determines a simulated run; the times that applied are in history and ledger.
"""

from __future__ import annotations

from collections import Counter

from tribulation.checkers.soundness.exercised import FEW_TRIES, looks_only
from tribulation.histories.model.operation import FOUND_NOTHING, MISMATCH

from ...nemesis.faults.fault import Intent
from ...systems.base import Op, Outcome
from ...workloads.base import CHANGES, NEITHER
from .plan import Pace, Plan

SECOND_NS = 1_000_000_000
HOLD_MOST_NS = 15 * SECOND_NS
LOAD_MORE_LEAST_NS, LOAD_MORE_MOST_NS = 5 * SECOND_NS, 30 * SECOND_NS
RAN = FOUND_NOTHING | {MISMATCH}
"""Errors of a `fail` that was executed and observed something."""
HOLD_LEAST_NS = 2 * SECOND_NS
"""A short fault may be held for this long, a longer one for twice its time."""
MEETING_NS = SECOND_NS // 2
"""How long a held fault stays after the first operation that it meets, or its own time if that is shorter."""

RESTARTS = frozenset({"kill", "power-loss"})


def pace_of(load_ns: int) -> Pace:
    """The pace of a load of this length: up to half longer, within bounds."""
    return Pace(HOLD_MOST_NS, min(max(load_ns // 2, LOAD_MORE_LEAST_NS), LOAD_MORE_MOST_NS))


def holds(intent: Intent) -> bool:
    """Return whether a fault may be held: not a short restart that a search drew, whose effect is the restart itself, soon after which elections and
    reads come.
    """
    short = intent.for_ns is not None and intent.for_ns < MEETING_NS
    return not (intent.drawn and short and intent.kind in RESTARTS)


def held_for_ns(for_ns: int, most_ns: int) -> int:
    """Return how much longer than its time a fault may last until an operation meets it."""
    return min(max(2 * for_ns, HOLD_LEAST_NS), most_ns)


class Unacknowledged:
    """The workloads that showed too little yet: none of their changes took place, or one of their kinds was tried often and never succeeded. In a plan
    without a pace there are none. It uses the criterion of the checker `vacuity`."""

    def __init__(self, plan: Plan) -> None:
        acting = (slot.workload for slot in plan.slots if not plan.workloads[slot.workload].spec.reactive)
        names = () if plan.pace is None else dict.fromkeys(acting)
        self._tried: dict[str, Counter[str]] = {name: Counter() for name in names}
        self._took_place: dict[str, set[str]] = {name: set() for name in names}
        self._operations = {name: plan.workloads[name].operations for name in names}

    def completed(self, op: Op, outcome: Outcome) -> None:
        if op.workload in self._tried:
            self._tried[op.workload][op.f] += 1
            if outcome.type == "ok" or (outcome.type == "fail" and outcome.error in RAN):
                self._took_place[op.workload].add(op.f)

    @property
    def workloads(self) -> list[str]:
        return [name for name in self._tried if self._shows_too_little(name)]

    def _shows_too_little(self, name: str) -> bool:
        took_place = self._took_place[name]
        often = (f for f, count in self._tried[name].items() if count >= FEW_TRIES)
        return not any(self._changes(name, f) for f in took_place) or any(f not in took_place for f in often)

    def _changes(self, name: str, f: str) -> bool:
        """Return whether an operation changes the state, as the workload declares. For one that it does not declare (one of a pinned plan): as the name says."""
        effect = self._operations[name].get(f)
        return not looks_only(f) if effect is None else effect in (CHANGES, NEITHER)
