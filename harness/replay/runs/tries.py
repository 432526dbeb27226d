"""Tier C: the recorded operations and faults in the simulator, over many seeds, to find the recorded failure.

Nothing is exact here. A seed stands for one choice of message delays. The result is a rate: the share of seeds that fail in the same way,
by the same checker and kind of anomaly. Where the recorded traces show the first leader, only seeds with that first leader are tried, because the recorded
faults were aimed at nodes of that cluster.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Any

from tribulation.checkers.base.result import RunRecord

from ...failures.allowance import Allowance, SpentError
from ...failures.pool import LocalWorkers, in_order
from ...failures.signature import Signature
from ...failures.trial import attempt
from ...progress import Notify, silent
from ...run.drive.virtual import ELECTION_NS
from ...run.plan.plan import Plan
from ...run.simulated import cluster_of
from ...simulator.faults.injector import SimInjector
from ..compare.distance import Distance, Outcomes, distance, outcomes, slots_of
from .pinning import PinnedPlan

TIER = "tier C"
MARGIN_NS = 2_000_000_000
"""Load after the moment at which the failure was recorded: in other runs it may come a little later."""

SEEDS_A_TRY = 20
"""The most seeds that are simulated for each try, if the first leader is known."""


@dataclass(frozen=True, slots=True)
class Task:
    """`plan` is a plan as JSON; the recorded outcomes are those of its load."""

    plan: Mapping[str, Any]
    wanted: Signature
    recorded: Outcomes


@dataclass(frozen=True, slots=True)
class Try:
    """The result of one seed. `distance` is None when it could not be simulated to its end."""

    seed: int
    alike: bool
    distance: Distance | None


@dataclass(frozen=True, slots=True)
class Tries:
    """`tried` seeds of `wanted`, `looked_at` including those that elected another first leader than the recorded one (`leader`, if known)."""

    wanted: Signature
    tried: int
    looked_at: int
    leader: str | None
    alike: tuple[int, ...]
    nearest: Try | None
    nearest_alike: Try | None

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": TIER,
            "signature": {"checker": self.wanted.checker, "kind": self.wanted.kind},
            "tried": self.tried,
            "looked_at": self.looked_at,
            "first_leader": self.leader,
            "alike": list(self.alike),
            "nearest": _try_json(self.nearest),
            "nearest_alike": _try_json(self.nearest_alike),
        }


def _try_json(one: Try | None) -> dict[str, Any] | None:
    if one is None:
        return None
    edits = None if one.distance is None else [one.distance.edits, one.distance.operations]
    return {"seed": one.seed, "alike": one.alike, "distance": edits}


def search(
    pinned: PinnedPlan,
    wanted: Signature,
    recorded: RunRecord,
    seen_ns: int | None,
    tries: int,
    jobs: int = 1,
    time_s: float | None = None,
    notify: Notify = silent,
) -> Tries:
    """Try `tries` seeds, or as many as `time_s` allows. `seen_ns` is when the recorded failure had been seen."""
    short = cut_short(pinned.plan, seen_ns)
    goal = outcomes(recorded, pinned.slots, short.timing.load_ns)
    leader = first_leader(recorded)
    looked_at = 0

    def tasks() -> Iterator[Task]:
        nonlocal looked_at
        given = 0
        while given < tries and looked_at < tries * SEEDS_A_TRY:
            seeded = replace(short, seed=short.seed + looked_at)
            looked_at += 1
            if leader is None or elected(seeded) == leader:
                given += 1
                yield Task(seeded.to_json(), wanted, goal)

    done: list[Try] = []
    with suppress(SpentError), closing(_run(tasks(), jobs)) as running:
        for result in Allowance(time_s=time_s).each(running):
            done.append(result)
            notify(TIER, f"{sum(one.alike for one in done)} of {len(done)} seeds fail in the same way")
    return Tries(
        wanted,
        len(done),
        looked_at,
        leader,
        tuple(one.seed for one in done if one.alike),
        _nearest(done),
        _nearest([one for one in done if one.alike]),
    )


def _run(tasks: Iterator[Task], jobs: int) -> Generator[Try]:
    if jobs == 1:
        yield from map(try_seed, tasks)
        return
    with LocalWorkers(jobs) as workers:
        yield from in_order(workers, try_seed, tasks, 2 * jobs, lambda task: Try(task.plan["seed"], False, None))


def try_seed(task: Task) -> Try:
    """Carry out one plan and compare. Never raises for an effect of the plan."""
    plan = Plan.from_json(task.plan)
    tried = attempt(plan, task.wanted)
    alike = tried.alike(task.wanted) is not None
    if tried.done is None:
        return Try(plan.seed, alike, None)
    record = tried.done.record
    return Try(plan.seed, alike, distance(task.recorded, outcomes(record, slots_of(plan, record), plan.timing.load_ns)))


def _nearest(done: list[Try]) -> Try | None:
    known = [(one.distance.edits, one.seed, one) for one in done if one.distance is not None]
    return min(known)[2] if known else None


def cut_short(plan: Plan, seen_ns: int | None) -> Plan:
    """The plan, shortened to some time after the failure was seen, because the rest only costs time."""
    if seen_ns is None or plan.pinned is None or seen_ns + MARGIN_NS >= plan.timing.load_ns:
        return plan
    until_ns = seen_ns + MARGIN_NS
    return replace(
        plan,
        timing=replace(plan.timing, load_ns=until_ns),
        pinned=[pinned for pinned in plan.pinned if pinned.at_ns < until_ns],
        intents=[intent for intent in plan.intents if intent.at_ns < until_ns],
    )


def first_leader(record: RunRecord) -> str | None:
    """The node that was elected first, according to the traces."""
    elected_in = {
        line["term"]: line["node"] for lines in record.traces.values() for line in lines if line["event"] == "leader"
    }
    return elected_in[min(elected_in)] if elected_in else None


def elected(plan: Plan) -> str | None:
    """The node that leads in the simulator when the load begins."""
    cluster = cluster_of(plan)
    cluster.start_all()
    injector = SimInjector(cluster)
    cluster.run_while(lambda: injector.situation().leader is None, ELECTION_NS)
    return injector.situation().leader
