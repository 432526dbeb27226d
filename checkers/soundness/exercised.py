"""Behaviour that the operations of a run exercised: which kinds took place, and whether any read saw a change. For `vacuity`.

Workloads are separate: that reads of registers saw writes says nothing about sets. What a read can show depends on what it returns. A value was seen
where an operation of that object, a key of a workload, wrote it. A sum or all balances show a change where they differ from the first ones seen. Other reads show one where
they are not empty.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tribulation.histories import History, Operation, Type, canonical, same
from tribulation.histories.model.columns import ABSENT, NONE_ID, OK
from tribulation.histories.model.operation import REMOVALS

from ..base.acknowledged import READS, effect_of
from ..base.logged import logged
from ..base.operation_counts import OUTCOMES
from ..base.result import RunRecord
from ..base.selection import of

WRITES = ("write", "put", "cas", "add", "append")
VALUE_READS = ("read", "get")
SINGLE = frozenset({*VALUE_READS, "write", "put", "cas"})
"""Operations on single values: what they read and wrote are ids of columns."""
WHOLES = frozenset({"recall", "scan", "effects", "pool", *REMOVALS})
"""Reads and removals whose answer shows something where it is not empty."""

BLIND = frozenset({"write", "put", "add", "append", "enqueue", "push"})
"""Operations whose answer shows nothing about the object: a history with only such operations always has a legal order."""

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


def workloads_of(record: RunRecord) -> dict[str | None, Workload]:
    """Return the workloads of a run by name, in order of first use."""
    ops = logged(record)
    found: dict[str | None, Workload] = {}
    kinds = ops.workload.astype(np.int64) * len(ops.f_names) + ops.f
    _, first = np.unique(kinds, return_index=True)
    for at in np.sort(first):
        mine = np.flatnonzero(kinds == kinds[at])
        workload, f = found.setdefault(ops.workloads[ops.workload[at]], Workload()), ops.f_names[ops.f[at]]
        counts = np.bincount(ops.type[mine], minlength=len(OUTCOMES)).tolist()
        workload.tried[f] = {name: counts[code] for code, name in OUTCOMES.items()}
        workload.effects[f] = ops.name(ops.effect[mine[-1]])
        # A cas that saw another value took place as a read of it.
        if ops.ran[mine].any():
            workload.took_place.add(f)
    for name, saw in _looks_at_values(record.history) or _looks(ops.operations()):
        found[name].reads += 1
        found[name].saw += saw
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
        blind = all(kind in BLIND and mine.effects.get(kind) != "reads" for kind in mine.tried)
        if mine.took_place and blind:
            doubts.append(f"nothing{of} was observed: all operations that ended ok only change data")
        if mine.reads and not mine.saw:
            doubts.append(f"none of {mine.reads} ok reads{of} saw a value that was written")
    return doubts


def looks_only(f: str, declared: str | None = None) -> bool:
    """Return whether operations of this kind only read; others change the object. `declared`: the effect that the workload declares."""
    return declared == "reads" if declared is not None else f in READS or f in WHOLES


def _looks_at_values(history: History) -> Iterable[tuple[str | None, bool]] | None:
    """Return what `_looks` does, for a history read as columns whose operations read and write single values; None for any other."""
    columns = None if history.loaded else history.columns
    if columns is None or columns.replies is None or not SINGLE.issuperset(columns.f_names):
        return None
    asked, cas = columns.argument.astype(np.int64), of(columns, "cas") & (columns.argument_list != ABSENT)
    offsets, rows = columns.lists.offsets, columns.argument_list[cas]
    reads = of(columns, *VALUE_READS)
    lists = (columns.argument_list != ABSENT) & ~cas | (columns.result_list != ABSENT) & reads
    declared = columns.replies.effect != ABSENT
    if lists.any() or declared.any() or (offsets[rows + 1] - offsets[rows] != 2).any():
        return None
    if any(isinstance(value, Mapping) for value in columns.values):
        return None
    asked[cas] = columns.lists.items[offsets[rows] + 1]
    several = len(columns.values)
    objects = (columns.workload.astype(np.int64) * (len(columns.keys) + 1) + columns.key) * several
    written = objects + asked
    seen = np.flatnonzero(reads & (columns.type == OK))
    # A reply without a value reads as None, which may have been written.
    result = np.maximum(columns.result[seen], NONE_ID)
    texts = np.array([isinstance(value, str) and bool(value) for value in columns.values], np.bool_)
    saw = np.isin(objects[seen] + result, written[~reads]) | texts[result]
    names = [columns.workload_names[number] for number in columns.workload[seen].tolist()]
    return list(zip(names, saw.tolist(), strict=True))


def _looks(ops: Sequence[Operation]) -> Iterable[tuple[str | None, bool]]:
    """Yield the workload of each ok read, and whether it showed a change. For sums that are read only once this cannot be known."""
    written: set[tuple[str | None, Hashable, Hashable]] = set()
    for op in ops:
        if op.f in WRITES:
            cas = op.f == "cas" and isinstance(op.argument, (list, tuple)) and len(op.argument) == 2
            written.add((op.workload, canonical(op.key), canonical(op.argument[1] if cas else op.argument)))
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
                yield op.workload, _saw(op, written)
        elif op.f == "txn":
            yield op.workload, any(part[0] in READS and part[2] is not None for part in op.result or ())
        elif op.f in WHOLES or effect_of(op) == "reads":
            yield op.workload, bool(op.result) or isinstance(op.result, (int, float))
    for reads in sums.values():
        first = reads[0].result
        yield from ((read.workload, not same(read.result, first)) for read in reads if len(reads) > 1)


def _saw(op: Operation, written: set[tuple[str | None, Hashable, Hashable]]) -> bool:
    key = canonical(op.key)
    if (op.workload, key, canonical(op.result)) in written:
        return True
    if isinstance(op.result, str):
        return bool(op.result)
    return isinstance(op.result, (list, tuple)) and any(
        (op.workload, key, canonical(item)) in written for item in op.result
    )
