"""The cost of each fault: operations by outcome, and their latencies, before, during and after it. Pure.

An operation belongs to the time of its invocation. A cas that ran and did not match was answered, and counts as ok. *During* is from the fault's
start until it was seen healed. *Before* and *after* are as long as that, from `LEAST_NS` to `MOST_NS`, but do not reach into another fault or beyond the
load.
Clients are grouped by the region of their node, where there are regions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tribulation.checkers.base.result import Fault
from tribulation.histories import MISMATCH, Operation

from . import words
from .series import OUTCOMES

LEAST_NS, MOST_NS = 1_000_000_000, 15_000_000_000
EVERYWHERE = "all"
MOST_FAULTS = 40
"""Faults whose cost is shown."""
PARTS = ("before", "during", "after")


@dataclass(frozen=True, slots=True)
class Span:
    """Operations per second by outcome, and latency quantiles of the ok ones (None: there was none)."""

    ok_per_s: float
    info_per_s: float
    fail_per_s: float
    p50_ns: float | None
    p99_ns: float | None


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one fault for the clients of one place. `silent_ns` is the longest time without an ok completion that overlaps the fault. A part
    without any time is None.
    """

    fault: Fault
    place: str
    before: Span | None
    during: Span | None
    after: Span | None
    silent_ns: int


@dataclass(frozen=True, slots=True)
class CostRow:
    """A cost as text. `spans` are the `PARTS`, each as ok, info, fail, p50, p99. `fault` is set only in its first row."""

    fault: str
    place: str
    spans: Sequence[Sequence[str]]
    silent: str


def cost_rows(
    operations: Sequence[Operation], faults: Sequence[Fault], regions: Mapping[str, str], load_ns: int
) -> list[CostRow]:
    """Rows of the first faults: all clients, and then those of each region."""
    return [
        CostRow(
            fault=words.fault(one.fault) if one.place == EVERYWHERE else "",
            place=one.place,
            spans=[_cells(span) for span in (one.before, one.during, one.after)],
            silent=words.duration(one.silent_ns),
        )
        for one in costs(operations, faults, regions, load_ns)
    ]


def _cells(span: Span | None) -> list[str]:
    if span is None:
        return ["–"] * 5
    counts = (span.ok_per_s, span.info_per_s, span.fail_per_s)
    return [*(f"{count:.1f}" for count in counts), words.duration(span.p50_ns), words.duration(span.p99_ns)]


def costs(
    operations: Sequence[Operation], faults: Sequence[Fault], regions: Mapping[str, str], load_ns: int
) -> list[Cost]:
    """Costs of the first faults; for each fault all clients first. `regions` is the region of each node, `load_ns` the end of the load."""
    places = [EVERYWHERE, *dict.fromkeys(regions.values())]
    columns = _columns(operations)
    at = {node: places.index(region) for node, region in regions.items()}
    place_of = np.array([at.get(op.node or "", 0) for op in operations], dtype=np.int64)
    chosen = [place_of >= 0, *(place_of == number for number in range(1, len(places)))]
    of = {place: _ends(*(column[mask] for column in columns)) for place, mask in zip(places, chosen, strict=True)}
    return [_cost(fault, place, of[place], faults, load_ns) for fault in faults[:MOST_FAULTS] for place in places]


@dataclass(frozen=True, slots=True)
class _Ends:
    """Operations in the order of their invocations, in columns; `took_ns` of those without an end is -1. `ok_at_ns`: when the ok ones ended, in order."""

    asked_ns: Any
    outcome: Any
    took_ns: Any
    ok_at_ns: Any


def _columns(operations: Sequence[Operation]) -> tuple[Any, Any, Any]:
    """Return for each operation its invocation, its end (-1: never), and its outcome."""
    number = {kind: OUTCOMES.index(kind) for kind in OUTCOMES}
    asked_ns = np.array([op.invoke_ns for op in operations], dtype=np.int64)
    ended_ns = np.array([-1 if op.complete_ns is None else op.complete_ns for op in operations], dtype=np.int64)
    outcome = np.array([0 if op.error == MISMATCH else number[op.type] for op in operations], dtype=np.int64)
    return asked_ns, ended_ns, outcome


def _ends(asked_ns: Any, ended_ns: Any, outcome: Any) -> _Ends:
    order = np.argsort(asked_ns, kind="stable")
    asked_ns, ended_ns, outcome = asked_ns[order], ended_ns[order], outcome[order]
    took_ns = np.where(ended_ns < 0, -1, ended_ns - asked_ns)
    return _Ends(asked_ns, outcome, took_ns, np.sort(ended_ns[(outcome == 0) & (ended_ns >= 0)]))


def _cost(fault: Fault, place: str, ends: _Ends, faults: Sequence[Fault], load_ns: int) -> Cost:
    start_ns, end_ns = _on(fault, load_ns)
    others = [_on(other, load_ns) for other in faults if other is not fault]
    length_ns = min(MOST_NS, max(LEAST_NS, end_ns - start_ns))
    first_ns = max([0, start_ns - length_ns, *(end for start, end in others if start < start_ns)])
    last_ns = min([load_ns, end_ns + length_ns, *(start for start, end in others if end > end_ns)])
    return Cost(
        fault,
        place,
        before=_span(ends, first_ns, start_ns),
        during=_span(ends, start_ns, end_ns),
        after=_span(ends, end_ns, last_ns),
        silent_ns=_silent_ns(ends, start_ns, end_ns, load_ns),
    )


def _on(fault: Fault, load_ns: int) -> tuple[int, int]:
    """Return the start and the end of a fault (ns): it lasts until it was seen healed; a fault that was never healed was active until the load's end."""
    ends = [at for at in (fault.healed_ns, fault.heal_ns) if at is not None]
    return fault.start_ns, max(fault.start_ns, min(ends[0] if ends else load_ns, load_ns))


def _span(ends: _Ends, from_ns: int, to_ns: int) -> Span | None:
    if to_ns <= from_ns:
        return None
    first, last = np.searchsorted(ends.asked_ns, (from_ns, to_ns))
    outcome, took_ns, seconds = ends.outcome[first:last], ends.took_ns[first:last], (to_ns - from_ns) / 1e9
    ok, info, fail = (float(count) / seconds for count in np.bincount(outcome, minlength=len(OUTCOMES)))
    took_ns = took_ns[(outcome == 0) & (took_ns >= 0)]
    p50, p99 = (float(q) for q in np.percentile(took_ns, (50, 99))) if len(took_ns) else (None, None)
    return Span(ok, info, fail, p50, p99)


def _silent_ns(ends: _Ends, start_ns: int, end_ns: int, load_ns: int) -> int:
    """Return the longest time between two consecutive ok completions, the later after the fault's start and the earlier before its end."""
    first, last = np.searchsorted(ends.ok_at_ns, (start_ns, end_ns))
    inner = ends.ok_at_ns[max(0, first - 1) : last + 1].tolist()
    before = [0] if first == 0 else []
    after = [max(load_ns, end_ns)] if last == len(ends.ok_at_ns) else []
    return max((later - earlier for earlier, later in pairwise([*before, *inner, *after])), default=0)
