"""When a load may end, and how long a fault is held: a run whose faults met no operation, or of which a workload changed nothing, shows little.

Pure. The bounds stand in the plan (`plan.Pace`), so that a plan alone determines a simulated run; the times that applied are in history and ledger.
"""

from __future__ import annotations

from checkers.exercised import looks_only

from ..systems.base import Op, Outcome
from .plan import Pace, Plan

SECOND_NS = 1_000_000_000
HOLD_MOST_NS = 15 * SECOND_NS
LOAD_MORE_LEAST_NS, LOAD_MORE_MOST_NS = 5 * SECOND_NS, 30 * SECOND_NS
HOLD_LEAST_NS = 2 * SECOND_NS
"""A short fault may be held for so long, a longer one for twice its time."""
MEETING_NS = SECOND_NS // 2
"""How long a fault that was held stays from the first operation that it meets, or its own time if that is shorter."""


def pace_of(load_ns: int) -> Pace:
    """What a campaign's load allows: half of it longer, within bounds."""
    return Pace(HOLD_MOST_NS, min(max(load_ns // 2, LOAD_MORE_LEAST_NS), LOAD_MORE_MOST_NS))


def held_for_ns(for_ns: int, most_ns: int) -> int:
    """How much longer than its time a fault may last until an operation meets it."""
    return min(max(2 * for_ns, HOLD_LEAST_NS), most_ns)


class Unacknowledged:
    """The workloads of which no change was acknowledged yet. Those of a plan without a pace are none."""

    def __init__(self, plan: Plan) -> None:
        self.workloads = set() if plan.pace is None else {slot.workload for slot in plan.slots}

    def completed(self, op: Op, outcome: Outcome) -> None:
        if self.workloads and outcome.type == "ok" and not looks_only(op.f):
            self.workloads.discard(op.workload)
