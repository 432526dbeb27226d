"""The onset of a failure: the chance of failing when everything up to a moment is kept, and everything later is drawn again.

At moment k the run is the same up to k and then has other draws (`simulator/salt.py`), twenty times. Where the rate jumps, an event
made the failure likely, or certain. The curve is refined where it is steepest.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from tribulation.checkers.base.result import RunRecord

from ...failures.allowance import Allowance, SpentError
from ...failures.pool import LocalWorkers, in_order
from ...failures.signature import Signature
from ...progress import Notify, silent
from ...run.plan.plan import Plan
from ...run.simulated import Simulated
from ..compare.differences import shown
from .neighbours import Fate, fate

COARSE = 5
"""Number of first moments over the load, including both ends. The start of the cluster comes before them."""

FINEST_NS = 1_000_000
DULL = frozenset({"append", "durable", "commit", "apply", "ack", "read-confirmed", "lease", "digest", "marker"})
"""Trace events that come with every operation or heartbeat and so explain nothing."""

SHOWN = 12


@dataclass(frozen=True, slots=True)
class Point:
    """Point of the run: of `salts` runs that equal the recorded one up to `at_ns` of run time, `fails` failed alike and `otherwise` by another kind
    of anomaly.
    """

    at_ns: int
    fails: int
    salts: int
    otherwise: int = 0

    @property
    def rate(self) -> float:
        return self.fails / self.salts if self.salts else 0.0


@dataclass(frozen=True, slots=True)
class Onset:
    """`points` in order of time; `jump` are the two neighbours with the largest rise of the rate, if chance does not explain it; `events` are those
    between them.
    """

    points: Sequence[Point]
    jump: tuple[Point, Point] | None
    events: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        return {
            "points": [[point.at_ns, point.fails, point.salts, point.otherwise] for point in self.points],
            "jump": None if self.jump is None else [point.at_ns for point in self.jump],
            "events": list(self.events),
        }


@dataclass(frozen=True, slots=True)
class _Task:
    plan: Mapping[str, Any]
    wanted: Signature


def find_onset(
    done: Simulated,
    wanted: Signature,
    seen_ns: int,
    salts: int = 20,
    points: int = 9,
    jobs: int = 1,
    allowance: Allowance | None = None,
    notify: Notify = silent,
) -> Onset:
    """Measure the onset. `done` is the run of the failing plan, which had failed by `seen_ns`. `points` moments are measured, each with `salts` runs.

    When the allowance is spent, the runs of the moment being measured that had ended are still counted.
    """
    allowance = allowance or Allowance()
    curve: dict[int, Point] = {}
    # What `SpentError` leaves unfinished in workers ends with them.
    with suppress(SpentError), LocalWorkers(jobs) as workers:
        for at_ns in moments(curve, -done.start_ns, seen_ns, points):
            tasks = (_Task(plan.to_json(), wanted) for plan in salted(done, at_ns, salts))
            fates = (
                map(_fate, tasks) if jobs == 1 else in_order(workers, _fate, tasks, 2 * jobs, lambda _: Fate.UNKNOWN)
            )
            became: Counter[Fate] = Counter()
            for ended in allowance.each(fates):
                became[ended] += 1
                known = became.total() - became[Fate.UNKNOWN]
                curve[at_ns] = Point(at_ns, became[Fate.ALIKE], known, became[Fate.OTHERWISE])
            notify("onset", f"up to {at_ns / 1e9:.3f} s: {became[Fate.ALIKE]} of {known} fail in the same way")
    ordered = [curve[at_ns] for at_ns in sorted(curve)]
    jump = steepest(ordered)
    if jump is not None and not beyond_chance(*jump):
        jump = None
    events = what_happened(done.record, jump[0].at_ns, jump[1].at_ns) if jump is not None else []
    return Onset(ordered, jump, events)


def beyond_chance(before: Point, after: Point) -> bool:
    """Return whether two rates differ by more than twice the standard error that they would have if they were equal (two proportions, pooled)."""
    runs = before.salts + after.salts
    pooled = (before.fails + after.fails) / runs if runs else 0.0
    if not before.salts or not after.salts:
        return False
    error = (pooled * (1 - pooled) * (1 / before.salts + 1 / after.salts)) ** 0.5
    return bool(after.rate - before.rate > 2 * error)


def moments(curve: Mapping[int, Point], birth_ns: int, end_ns: int, most: int) -> Iterator[int]:
    """A coarse grid first; then, one at a time, the middle of the interval over which the rate rises most."""
    coarse = max(2, min(COARSE, most - 1))
    yield birth_ns
    # The ends first: if the time ends early, the total change is known.
    yield from (0, end_ns)
    yield from (end_ns * number // (coarse - 1) for number in range(1, coarse - 1))
    for _ in range(most - 1 - coarse):
        pair = steepest([curve[at_ns] for at_ns in sorted(curve)])
        if pair is None or pair[1].at_ns - pair[0].at_ns <= FINEST_NS:
            return
        yield (pair[0].at_ns + pair[1].at_ns) // 2


def steepest(points: Sequence[Point]) -> tuple[Point, Point] | None:
    """The neighbours between which the rate rises most; None when it never rises."""
    pairs = list(pairwise(points))
    best = max(pairs, key=lambda pair: pair[1].rate - pair[0].rate, default=None)
    return best if best is not None and best[1].rate > best[0].rate else None


def salted(done: Simulated, at_ns: int, salts: int) -> Iterator[Plan]:
    """The plan with other draws from `at_ns` of run time on, `salts` times."""
    plan = done.plan
    for salt in range(1, salts + 1):
        world = {**plan.world, "salt": salt, "salt_after_ns": done.start_ns + at_ns}
        yield replace(plan, world=world)


def _fate(task: _Task) -> Fate:
    return fate(Plan.from_json(task.plan), task.wanted)[1]


def what_happened(record: RunRecord, from_ns: int, to_ns: int) -> list[str]:
    """Faults and informative trace lines in a span of run time, in order."""
    found: list[tuple[int, str]] = []
    for fault in record.faults:
        for verb, at_ns in (("injected", fault.injected_ns), ("healed", fault.heal_ns)):
            if at_ns is not None and from_ns <= at_ns <= to_ns:
                found.append((at_ns, f"fault {fault.id} {verb}: {shown(fault.intended)}"))
    for node, lines in record.traces.items():
        if node not in record.clock_offsets_ns:
            continue
        offset_ns = record.clock_offsets_ns[node][0]
        for line in lines:
            at_ns = line["mono_ns"] - offset_ns
            if from_ns <= at_ns <= to_ns and line["event"] not in DULL:
                found.append((at_ns, f"{node} {line['event']} {_fields(line)}"))
    found.sort()
    timeline = [f"{at_ns / 1e9:.6f} s  {text}" for at_ns, text in found]
    if len(timeline) > SHOWN:
        timeline = [*timeline[: SHOWN // 2], f"… {len(timeline) - SHOWN} more …", *timeline[-SHOWN // 2 :]]
    return timeline


def _fields(line: Mapping[str, Any]) -> str:
    return " ".join(
        f"{name}={json.dumps(value)}"
        for name, value in line.items()
        if name not in ("node", "incarnation", "seq", "mono_ns", "event")
    )[:120]
