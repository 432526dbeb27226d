"""The steps that make a failing plan smaller: each tries a few smaller plans, the biggest reduction first.

The order is by cost. Operations make a simulated run slow, so they go first; an idle cluster simulates hundreds of seconds in one.
A step keeps its progress: `state.best` is always a plan that fails in the wanted way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations, islice, pairwise, product

from ..campaign.model import SystemSpec
from ..failures.ddmin import ddmin
from ..progress import Notify
from ..run.plan.build import default_voters
from ..run.plan.plan import Plan
from . import edits
from .focus import MARGIN_NS, MS, SECOND, with_few_operations
from .sizes import Size, size_of
from .trial import Attempts, Failure

GAPS_KEPT_NS = (10 * MS, 100 * MS)
"""What may remain of a gap between two times of a plan. Less than 10 ms would save nothing, and cause races that the plan did not have."""
GRIDS_NS = (100 * MS, 10 * MS, MS)
FRACTIONS = (16, 8, 4, 2)
AFTERWARDS = frozenset({"convergence", "availability", "recovery"})
"""Checkers that judge a cluster after everything is healed: they need the ending."""

MOST_CHOICES = 10
MOST_PLACES = 9
MOST_GAPS = 64

STEPS_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Reached:
    """The size of the plan after a step. `step` is its name, `runs` are those so far."""

    step: str
    runs: int
    size: Size


class State:
    """The best plan so far, and how to try another. `reached` has one entry for each step that made progress.

    `before` and `quiet_ns` are the size and the quiet period of the whole plan; the latter is restored in the end.
    """

    def __init__(
        self, best: Failure, trials: Attempts, notify: Notify, quiet_ns: int, before: Size | None = None
    ) -> None:
        self.best = best
        self.before = before or size_of(best.plan, best.clue.issued)
        self.quiet_ns = quiet_ns
        self.trials = trials
        self.step = ""
        self.reached: list[Reached] = []
        self._notify = notify

    @property
    def plan(self) -> Plan:
        return self.best.plan

    def accept(self, plan: Plan) -> bool:
        """Try it; if it fails alike it becomes the best. A plan that equals the best is no progress."""
        if plan == self.best.plan:
            return False
        failure = self.trials.attempt(plan)
        if failure is not None:
            self.best = failure
            self._note()
        self.progress()
        return failure is not None

    def _note(self) -> None:
        best, runs = self.best, self.trials.allowance.spent_runs
        if self.reached and self.reached[-1].step == self.step:
            self.reached.pop()
        self.reached.append(Reached(self.step, runs, size_of(best.plan, best.clue.issued)))

    def accept_first(self, plans: Iterable[Plan]) -> bool:
        return any(self.accept(plan) for plan in plans)

    def progress(self) -> None:
        """Report the size and the budget; on a terminal also the last steps that made the plan smaller."""
        now = size_of(self.best.plan, self.best.clue.issued)
        figures = ("faults", "operations", "nodes")
        sizes = [f"{getattr(now, name)} of {getattr(self.before, name)} {name}" for name in figures]
        line = " · ".join([*sizes, str(self.trials.allowance)])
        steps = [f"  {one.step:<17} {one.size}, after {one.runs} tries" for one in self.reached[-STEPS_SHOWN:]]
        self._notify(self.step, "\n".join([line, *steps]))


def put_times(state: State) -> None:
    """Replace events that faults waited for by times."""
    state.accept(edits.at_moments(state.plan, state.best.clue.moments))


def cut_time(state: State) -> None:
    """End the load where the violation was seen, and leave out the ending if it is not needed to show it."""
    plan, at_ns = state.plan, state.best.clue.at_ns
    late = at_ns is None or at_ns >= plan.timing.load_ns
    if at_ns is not None and not late:
        short = edits.until(plan, at_ns + MARGIN_NS)
        if state.accept_first(edits.without_ending(short, reads=reads) for reads in (False, True)):
            return
    times = [state.best.clue.issued[at].at_ns for at in state.best.clue.witness]
    if times and state.accept(edits.until(plan, min(max(times) + SECOND, plan.timing.load_ns))):
        return
    for fraction in FRACTIONS:
        short = edits.until(plan, plan.timing.load_ns // fraction)
        if state.accept_first(
            edits.without_ending(short, reads=reads) for reads in ((True,) if late else (False, True))
        ):
            break
    if state.trials.wanted.checker not in AFTERWARDS:
        state.accept(edits.without_ending(state.plan, reads=False))


def give_back_quiet(state: State) -> None:
    """Restore the quiet period: short runs need none, but other checkers rely on it when they judge the rest."""
    timing = replace(state.plan.timing, quiet_ns=state.quiet_ns)
    state.accept(replace(state.plan, timing=timing))


def guess_operations(state: State) -> None:
    """Pin the operations, and first try only those that the violation names."""
    if state.plan.pinned is None:
        state.accept(edits.with_operations(state.plan, state.best.clue.issued))
    if len(edits.operations(state.plan)) > 2 * len(state.best.clue.witness) + 2:
        state.accept_first(with_few_operations(state.plan, state.best.clue))


def few_operations(state: State) -> None:
    base = state.plan
    ddmin(edits.operations(base), lambda kept: state.accept(edits.with_operations(base, kept)))


def plain_operations(state: State) -> None:
    """Replace compare-and-set, which depends on an earlier read, by a write."""
    for at, pinned in enumerate(edits.operations(state.plan)):
        if pinned.op.f == "cas":
            write = replace(pinned, op=replace(pinned.op, f="write", value=pinned.op.value[1]))
            others = edits.operations(state.plan)
            state.accept(edits.with_operations(state.plan, [*others[:at], write, *others[at + 1 :]]))


def few_faults(state: State) -> None:
    """Leave out whole kinds, then single faults."""
    for kind in sorted({intent.kind for intent in state.plan.intents}):
        state.accept(edits.with_faults(state.plan, [i for i in state.plan.intents if i.kind != kind]))
    base = state.plan
    ddmin(base.intents, lambda kept: state.accept(edits.with_faults(base, kept)))


def few_clients(state: State) -> None:
    """Leave out clients without operations, then any that can go, then merge the rest into as few as possible."""
    base = state.plan
    busy = {op.slot for op in edits.operations(base)}
    state.accept(edits.with_slots(base, busy))
    base = state.plan
    ddmin([slot.slot for slot in base.slots], lambda kept: state.accept(edits.with_slots(base, kept)))
    for slot in [slot.slot for slot in state.plan.slots][::-1]:
        state.accept_first(
            edits.in_one_client(state.plan, slot, into.slot)
            for into in state.plan.slots
            if into.slot < slot and into.workload == _workload(state.plan, slot)
        )


def _workload(plan: Plan, slot: int) -> str | None:
    return next((other.workload for other in plan.slots if other.slot == slot), None)


def few_keys(state: State) -> None:
    """Do operations on several keys on one, where no value would be written twice."""
    for workload, key in edits.keys(state.plan)[::-1]:
        others = [other for name, other in edits.keys(state.plan) if name == workload and other != key]
        written = edits.values_written(state.plan, workload, key)
        state.accept_first(
            edits.with_one_key(state.plan, workload, key, other)
            for other in others
            if not written & edits.values_written(state.plan, workload, other)
        )


def few_nodes(state: State) -> None:
    """Use the fewest nodes of 3, 5, …: try all choices of nodes and all places of clients, up to a bound. Then give all voters the same weight."""
    nodes = state.plan.nodes
    for size in range(3, len(nodes), 2):
        choices = (edits.on_nodes(state.plan, kept) for kept in islice(combinations(nodes, size), MOST_CHOICES))
        if state.accept_first(placed for choice in choices for placed in _placed(choice)):
            break
    plan = state.plan
    state.accept(edits.with_voters(plan, default_voters(plan.nodes)))


def _placed(plan: Plan) -> Iterator[Plan]:
    """The plan; if its clients are few, also the plan with them at other nodes: with fewer nodes, the first leader is another draw."""
    yield plan
    if len(plan.nodes) ** len(plan.slots) <= MOST_PLACES:
        yield from (edits.with_places(plan, places) for places in product(plan.nodes, repeat=len(plan.slots)))


def short_times(state: State) -> None:
    """Shorten the time between events: everywhere at once, then gap by gap, the longest first."""
    state.accept_first(edits.with_gaps_at_most(state.plan, most_ns) for most_ns in GAPS_KEPT_NS)
    times = edits.points(state.plan)
    gaps = sorted(((later - at, place) for place, (at, later) in enumerate(pairwise(times))), reverse=True)
    for gap_ns, place in gaps[:MOST_GAPS]:
        now = edits.points(state.plan)
        if len(now) == len(times):
            keeps = (keep_ns for keep_ns in (*GAPS_KEPT_NS, gap_ns // 2) if GAPS_KEPT_NS[0] <= keep_ns < gap_ns)
            state.accept_first(edits.without_gap(state.plan, now[place], now[place + 1], keep_ns) for keep_ns in keeps)


def plain_world(state: State) -> None:
    """Reset simulation parameters and node options to their defaults; use as few flaws as possible, and no phase after the load."""
    state.accept(state.plan.without_liveness())
    base = state.plan
    ddmin(sorted(base.world), lambda kept: state.accept(edits.with_world(base, kept)))
    usual = SystemSpec().model_dump(mode="json")
    for name, value in state.plan.options["system"].items():
        if name in usual and name not in ("name", "file", "options", "flaws") and value != usual[name]:
            state.accept(edits.with_system(state.plan, {name: usual[name]}))
    base = state.plan
    ddmin(
        list(base.options["system"]["flaws"]), lambda kept: state.accept(edits.with_system(base, {"flaws": list(kept)}))
    )


def round_times(state: State) -> None:
    """Round times to the coarsest grid that keeps their order, all together or one by one; faults that outlast the load last to the end."""
    state.accept(edits.lasting(state.plan))
    plan = state.plan
    order = len(edits.points(plan))
    snapped = (edits.snapped(plan, grid_ns) for grid_ns in GRIDS_NS)
    if state.accept_first(smaller for smaller in snapped if len(edits.points(smaller)) == order):
        return
    for at in range(1, min(order, MOST_GAPS)):
        state.accept_first(_with_rounded_point(state.plan, at))


def _with_rounded_point(plan: Plan, at: int) -> Iterator[Plan]:
    """Round the `at`-th time of the plan, between the times before and after it."""
    times = edits.points(plan)
    if at >= len(times):
        return
    after_ns = times[at + 1] if at + 1 < len(times) else None
    for grid_ns in GRIDS_NS:
        if times[at] % grid_ns == 0:
            return
        for round_ns in (times[at] // grid_ns * grid_ns, -(-times[at] // grid_ns) * grid_ns):
            if times[at - 1] < round_ns and (after_ns is None or round_ns < after_ns):
                yield edits.with_point(plan, times[at], round_ns)


LEAVE_OUT = (few_operations, few_faults, plain_operations, few_clients, few_keys, few_nodes, plain_world)
FEWER = (guess_operations, *LEAVE_OUT)
"""Steps that leave something out, when times are final."""
EVERY = (put_times, guess_operations, cut_time, few_operations, few_faults, short_times, *LEAVE_OUT)
ON_HOSTS = (put_times, guess_operations, cut_time, few_faults, few_operations, few_clients, few_nodes)
"""Steps that are worth slow runs; other steps need hundreds of runs."""
