"""The distance of two histories of the same operations: an edit replaces one outcome, or adds or removes one operation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tribulation.checkers.base.result import RunRecord
from tribulation.histories import NEMESIS
from tribulation.histories.model.operation import Type

from ...run.plan.plan import Plan
from ...workloads.settle import SETTLE

Outcomes = Mapping[int, Sequence[str]]
"""Slot → its operations and their outcomes, in order."""


@dataclass(frozen=True, slots=True)
class Distance:
    edits: int
    operations: int

    def __str__(self) -> str:
        return f"{self.edits} of {self.operations} operations ended differently"


def slots_of(plan: Plan, record: RunRecord) -> Mapping[Any, int]:
    """Process → slot, for a run of this plan: a retired process continues under a number that is larger by a multiple."""
    clients = max((slot.slot for slot in plan.slots), default=0) + 1
    return {e.process: int(e.process) % clients for e in record.history.events if e.process != NEMESIS}


def outcomes(record: RunRecord, slots: Mapping[Any, int], until_ns: int) -> Outcomes:
    """Outcomes of the operations that clients began before `until_ns`. Times and log positions do not count."""
    ended = {op.invoke_index: op for op in record.history.operations()}
    found: dict[int, list[str]] = {}
    for event in record.history.events:
        if event.process == NEMESIS or event.type is not Type.INVOKE or event.time_ns >= until_ns:
            continue
        if event.workload == SETTLE:  # every plan has these clients
            continue
        op = ended[event.index]
        what = json.dumps([op.f, op.key, op.argument, op.type.value, op.result], default=repr)
        found.setdefault(slots[event.process], []).append(what)
    return found


def distance(one: Outcomes, other: Outcomes) -> Distance:
    """Client by client, position by position: a pinned plan has each client try the same operations in the same order."""
    edits = operations = 0
    for slot in sorted({*one, *other}):
        ours, theirs = one.get(slot, ()), other.get(slot, ())
        operations += max(len(ours), len(theirs))
        edits += abs(len(ours) - len(theirs)) + sum(a != b for a, b in zip(ours, theirs, strict=False))
    return Distance(edits, operations)
