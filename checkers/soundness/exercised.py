"""What the operations of a run exercised: which kinds took place, and whether any read saw a change. For `vacuity`.

Workloads are separate: that reads of registers saw writes says nothing about sets. What a read can show depends on what it returns. A value was seen
where an operation of that key wrote it. A sum or all balances show a change where they differ from the first ones seen. Other reads show one where
they are not empty.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tribulation.histories import Operation, Type, canonical, same
from tribulation.histories.model.operation import REMOVALS

from ..base.acknowledged import READS, effect_of, ran

WRITES = ("write", "put", "cas", "add", "append")
VALUE_READS = ("read", "get")
WHOLES = frozenset({"recall", "scan", "effects", "pool", *REMOVALS})
"""Reads and removals whose answer shows something where it is not empty."""

FEW_TRIES = 20
"""Fewer tries of one kind in a run, while other kinds succeed, may all fail by chance: for example during a fault."""


@dataclass(slots=True)
class Workload:
    """`tried` counts ok, fail and info of each kind; `took_place` are the kinds of which one ran. `reads` ended ok, `saw` of them showed a change.
    `effects` are those that the workload declared."""

    tried: dict[str, dict[str, int]] = field(default_factory=dict)
    effects: dict[str, str | None] = field(default_factory=dict)
    took_place: set[str] = field(default_factory=set)
    reads: int = 0
    saw: int = 0


def workloads_of(ops: Sequence[Operation]) -> dict[str | None, Workload]:
    """By name, in order of first use."""
    found: dict[str | None, Workload] = {}
    for op in ops:
        mine = found.setdefault(op.workload, Workload())
        mine.tried.setdefault(op.f, {"ok": 0, "fail": 0, "info": 0})[op.type.value] += 1
        mine.effects[op.f] = effect_of(op)
        # A cas that saw another value took place as a read of it.
        if ran(op):
            mine.took_place.add(op.f)
    for op, saw in _looks(ops):
        found[op.workload].reads += 1
        found[op.workload].saw += saw
    return found


def doubts_of(found: Mapping[str | None, Workload], is_run: bool) -> list[str]:
    """Return the kinds that never took place, and the workloads of which no read saw a change.

    In a run a kind may fail a few times by chance, if another kind of the same sort (changing or reading) took place.
    """
    doubts = []
    for name, mine in found.items():
        of = f" of workload {name}" if name is not None and len(found) > 1 else ""
        for f, counts in mine.tried.items():
            looks = {kind: looks_only(kind, mine.effects.get(kind)) for kind in (*mine.took_place, f)}
            alike = any(looks[other] == looks[f] for other in mine.took_place)
            chance = is_run and alike and sum(counts.values()) < FEW_TRIES
            if f not in mine.took_place and not chance:
                doubts.append(f"no {f}{of} ended ok ({counts['fail']} failed, {counts['info']} unknown)")
        if mine.reads and not mine.saw:
            doubts.append(f"none of {mine.reads} ok reads{of} saw a value that was written")
    return doubts


def looks_only(f: str, declared: str | None = None) -> bool:
    """Return whether operations of this kind only read; others change the object. `declared`: the effect that the workload declares."""
    return declared == "reads" if declared is not None else f in READS or f in WHOLES


def _looks(ops: Sequence[Operation]) -> Iterable[tuple[Operation, bool]]:
    """Yield each ok read, and whether it showed a change. For sums that are read only once this cannot be known."""
    written: set[tuple[Any, Hashable]] = set()
    for op in ops:
        if op.f in WRITES:
            cas = op.f == "cas" and isinstance(op.argument, (list, tuple)) and len(op.argument) == 2
            written.add((canonical(op.key), canonical(op.argument[1] if cas else op.argument)))
    counters = {(op.workload, canonical(op.key)) for op in ops if op.f == "add"}
    sums: dict[tuple[Any, Hashable], list[Operation]] = {}
    for op in ops:
        if op.type is not Type.OK:
            continue
        if op.f in VALUE_READS:
            name = (op.workload, canonical(op.key))
            if isinstance(op.result, Mapping) or (isinstance(op.result, int) and name in counters):
                sums.setdefault(name, []).append(op)
            else:
                yield op, _saw(op, written)
        elif op.f == "txn":
            yield op, any(part[0] in READS and part[2] is not None for part in op.result or ())
        elif op.f in WHOLES or effect_of(op) == "reads":
            yield op, bool(op.result) or isinstance(op.result, (int, float))
    for reads in sums.values():
        first = reads[0].result
        yield from ((read, not same(read.result, first)) for read in reads if len(reads) > 1)


def _saw(op: Operation, written: set[tuple[Any, Hashable]]) -> bool:
    key = canonical(op.key)
    if (key, canonical(op.result)) in written:
        return True
    if isinstance(op.result, str):
        return bool(op.result)
    return isinstance(op.result, (list, tuple)) and any((key, canonical(item)) in written for item in op.result)
