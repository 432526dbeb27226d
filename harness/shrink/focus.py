"""First places to look: from a known failure to small plans that may fail in the same way.

A violation names operations, and the time by which it had been seen. Most failures need only these operations and the faults shortly before them. So
the first plans hold a few seconds and a few operations: a hundredth of the work of the whole run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tribulation.checkers import RunRecord
from tribulation.histories import NEMESIS

from ..run.plan.plan import Pinned, Plan
from ..systems.base import Op
from . import edits

MS = 1_000_000
SECOND = 1_000 * MS
MARGIN_NS = MS
WINDOWS_NS = (SECOND, 3 * SECOND, 8 * SECOND, 16 * SECOND)
RECENT_NS = (20 * MS, 200 * MS, 2 * SECOND)


@dataclass(frozen=True, slots=True)
class Clue:
    """`issued` are the operations of the load as they were tried, `witness` the positions in it that the violation names.

    `at_ns` is when the violation had been seen, None if unknown. `moments` are when faults that waited for an event began, and the event's node.
    """

    issued: Sequence[Pinned]
    witness: tuple[int, ...]
    at_ns: int | None
    moments: Mapping[str, edits.Moment] = field(default_factory=dict)


def focused(plan: Plan, clue: Clue) -> Iterator[Plan]:
    """Small plans, smallest first: windows of growing length, with the witness alone and with all operations; then the whole.

    All operations in a short window come before the witness in a long one. They cost more to run, but leave room for variation: when other faults are
    dropped, another operation may meet the moment that matters.
    """
    plan = edits.at_moments(plan, clue.moments)
    for short_ns, long_ns in pairwise((*WINDOWS_NS, WINDOWS_NS[-1])):
        yield from _windows(plan, clue, short_ns, lone=True)
        yield from _windows(plan, clue, long_ns, lone=True)
        yield from _windows(plan, clue, short_ns, lone=False)
    whole = until_seen(plan, clue.at_ns)
    yield next(with_few_operations(whole, clue))
    yield whole


def _windows(plan: Plan, clue: Clue, window_ns: int, lone: bool) -> Iterator[Plan]:
    """Plans from `window_ns` before the violation on; `lone`: with no operations but the witness."""
    times = [clue.issued[at].at_ns for at in clue.witness]
    load_ns = plan.timing.load_ns
    seen_ns = clue.at_ns if clue.at_ns is not None else load_ns
    first_ns = min([seen_ns, *times])
    late = seen_ns >= load_ns
    last_ns = max(times, default=load_ns) + window_ns if late else seen_ns + MARGIN_NS
    short = edits.without_ending(edits.until(plan, min(load_ns, last_ns)), reads=late)
    pinned = [op for at, op in enumerate(clue.issued) if at in set(clue.witness)] if lone else clue.issued
    if first_ns > window_ns:
        yield edits.since(
            edits.with_operations(short, [op for op in pinned if op.at_ns < last_ns]), first_ns - window_ns
        )


def until_seen(plan: Plan, at_ns: int | None) -> Plan:
    """The plan up to where its failure had been seen; all of it when that is unknown, or was after the load."""
    if at_ns is None or at_ns >= plan.timing.load_ns:
        return plan
    return edits.without_ending(edits.until(plan, at_ns + MARGIN_NS), reads=False)


def with_few_operations(plan: Plan, clue: Clue) -> Iterator[Plan]:
    """Yield plans with the witness alone, with recent operations on its keys, with all on its keys, and with all of its clients."""
    pinned, witness = list(clue.issued), frozenset(clue.witness)
    keys = {(pinned[at].op.workload, pinned[at].op.key) for at in witness}
    slots = {pinned[at].slot for at in witness}
    seen_ns = clue.at_ns if clue.at_ns is not None else plan.timing.load_ns

    def chosen(since_ns: int, clients: frozenset[int] | set[int] = frozenset()) -> Plan:
        def wanted(at: int, op: Pinned) -> bool:
            of_keys = not keys or (op.op.workload, op.op.key) in keys
            return at in witness or (op.at_ns >= since_ns and of_keys) or op.slot in clients

        return edits.with_operations(plan, [op for at, op in enumerate(pinned) if wanted(at, op)])

    yield chosen(seen_ns + plan.timing.load_ns)
    for recent_ns in RECENT_NS:
        yield chosen(seen_ns - recent_ns)
    yield chosen(0)
    yield chosen(seen_ns, slots)


def issued_in(record: RunRecord, plan: Plan) -> list[tuple[int, Pinned]]:
    """The operations of a recorded run's load, as they were tried, each with the history index of its invocation.

    A process number identifies the client: a retired process continues under a number that is larger by a multiple (`runner.Runner`).
    """
    numbers = {slot.slot for slot in plan.slots}
    count = max(numbers, default=0) + 1
    end_ns = record.phases.get("load_end", plan.timing.load_ns)
    found = []
    for event in record.history.events:
        if event.process == NEMESIS or event.type.value != "invoke" or event.time_ns >= end_ns:
            continue
        slot = int(event.process) % count
        if slot in numbers:
            op = Op(event.f, event.key, event.value, event.level or "linearizable", event.workload or "")
            found.append((event.index, Pinned(slot, event.time_ns, op)))
    return found


def clue_of(record: RunRecord, plan: Plan, ops: Sequence[int], at_ns: int | None) -> Clue:
    """The clue of a recorded run: `ops` are the history indices that the violation names."""
    issued = issued_in(record, plan)
    wanted: set[Any] = set(ops)
    witness = tuple(at for at, (index, _) in enumerate(issued) if index in wanted)
    return Clue([op for _, op in issued], witness, at_ns, moments_of(record))


def moments_of(record: RunRecord) -> dict[str, edits.Moment]:
    """Return the start of each fault that an event triggered (ns), and the event's node, by the fault's id."""
    found = {fault.id: (fault.start_ns, fault.intended.get("trigger")) for fault in record.faults}
    return {name: (at_ns, trigger["node"]) for name, (at_ns, trigger) in found.items() if trigger is not None}
