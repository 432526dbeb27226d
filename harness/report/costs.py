"""What each fault cost: how many operations ended how, and how long they took, before it, while it was on, and after. Pure.

An operation belongs to the time at which it was asked for. A cas that ran and did not match was answered, and counts as ok. *During* is from the fault's start until it was seen healed; *before* and *after* are as long as that, but
no longer than `MOST_NS`, and reach neither into another fault nor beyond the load. Clients are told apart by the region of the node that they talk to, where there are
regions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from checkers.result import Fault
from histories import MISMATCH, Operation, Type

from . import words

LEAST_NS, MOST_NS = 1_000_000_000, 15_000_000_000
EVERYWHERE = "all"
MOST_FAULTS = 40
"""Faults whose cost is shown."""
PARTS = ("before", "during", "after")


@dataclass(frozen=True, slots=True)
class Span:
    """Ends of operations a second, and quantiles of the ok ones' latencies (None: there was none)."""

    ok_per_s: float
    info_per_s: float
    fail_per_s: float
    p50_ns: float | None
    p99_ns: float | None


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one fault to the clients of one place. `silent_ns` is the longest time without an ok operation's end that reached into the fault; a part that has no time is None."""

    fault: Fault
    place: str
    before: Span | None
    during: Span | None
    after: Span | None
    silent_ns: int


@dataclass(frozen=True, slots=True)
class CostRow:
    """A cost as text. `spans` are the `PARTS`, each as ok, info, fail, p50, p99. `fault` is set in its first row alone."""

    fault: str
    place: str
    spans: Sequence[Sequence[str]]
    silent: str


def cost_rows(
    operations: Sequence[Operation], faults: Sequence[Fault], regions: Mapping[str, str], load_ns: int
) -> list[CostRow]:
    """Of the first faults, all clients and then those of each region."""
    return [
        CostRow(
            fault=words.fault(one.fault) if one.place == EVERYWHERE else "",
            place=one.place,
            spans=[_told(span) for span in (one.before, one.during, one.after)],
            silent=words.duration(one.silent_ns),
        )
        for one in costs(operations, faults, regions, load_ns)[: MOST_FAULTS * len({EVERYWHERE, *regions.values()})]
    ]


def _told(span: Span | None) -> list[str]:
    if span is None:
        return ["–"] * 5
    counts = (span.ok_per_s, span.info_per_s, span.fail_per_s)
    return [*(f"{count:.1f}" for count in counts), words.duration(span.p50_ns), words.duration(span.p99_ns)]


def costs(
    operations: Sequence[Operation], faults: Sequence[Fault], regions: Mapping[str, str], load_ns: int
) -> list[Cost]:
    """Fault by fault, and of each all clients first. `regions` is the region of each node, `load_ns` the end of the load."""
    places = [EVERYWHERE, *dict.fromkeys(regions.values())]
    of = {place: [op for op in operations if place in (EVERYWHERE, regions.get(op.node or ""))] for place in places}
    return [_cost(fault, place, of[place], faults, load_ns) for fault in faults for place in places]


def _cost(fault: Fault, place: str, operations: Sequence[Operation], faults: Sequence[Fault], load_ns: int) -> Cost:
    start_ns, end_ns = _on(fault, load_ns)
    others = [_on(other, load_ns) for other in faults if other is not fault]
    length_ns = min(MOST_NS, max(LEAST_NS, end_ns - start_ns))
    first_ns = max([0, start_ns - length_ns, *(end for start, end in others if start < start_ns)])
    last_ns = min([load_ns, end_ns + length_ns, *(start for start, end in others if end > end_ns)])
    return Cost(
        fault,
        place,
        _span(operations, first_ns, start_ns),
        _span(operations, start_ns, end_ns),
        _span(operations, end_ns, last_ns),
        _silent_ns(operations, start_ns, end_ns, load_ns),
    )


def _on(fault: Fault, load_ns: int) -> tuple[int, int]:
    """From its start until it was seen healed; what was never healed was on until the load's end."""
    ends = [at for at in (fault.healed_ns, fault.heal_ns) if at is not None]
    return fault.start_ns, max(fault.start_ns, min(ends[0] if ends else load_ns, load_ns))


def _span(operations: Sequence[Operation], from_ns: int, to_ns: int) -> Span | None:
    if to_ns <= from_ns:
        return None
    asked = [op for op in operations if from_ns <= op.invoke_ns < to_ns]
    counts, seconds = Counter(_outcome(op) for op in asked), (to_ns - from_ns) / 1e9
    ok, info, fail = (counts[kind] / seconds for kind in (Type.OK, Type.INFO, Type.FAIL))
    took_ns = [op.complete_ns - op.invoke_ns for op in asked if _is_ok(op) and op.complete_ns is not None]
    p50, p99 = (float(q) for q in np.percentile(took_ns, (50, 99))) if took_ns else (None, None)
    return Span(ok, info, fail, p50, p99)


def _outcome(op: Operation) -> Type:
    return Type.OK if op.error == MISMATCH else op.type


def _is_ok(op: Operation) -> bool:
    return _outcome(op) is Type.OK


def _silent_ns(operations: Sequence[Operation], start_ns: int, end_ns: int, load_ns: int) -> int:
    """Between two ok ends that follow one another, of which the later is after the fault's start and the earlier before its end."""
    done = sorted(op.complete_ns for op in operations if _is_ok(op) and op.complete_ns is not None)
    between = pairwise([0, *done, load_ns])
    return max((later - earlier for earlier, later in between if later > start_ns and earlier < end_ns), default=0)
