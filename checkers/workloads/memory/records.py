"""Records of agent memory as clients saw them: their changes, deletions and reads.

A `learn` of `{"kind", "record", "fields"}` gives its fields' types by their values: a list adds elements to a set, an integer adds to a count, a text
replaces a text. Scores (fractions) are not judged. A `recall` shows `{"fields", "conflicts"}`, or null; of texts that were not replaced yet,
`conflicts` has all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tribulation.histories import Operation, Type, canonical

from ...base.acknowledged import served_by
from ...base.result import Fault, RunRecord
from ...base.selection import Name
from ...base.wording import describe
from ...faults.kinds import changes_voters, forgets, may_be_down, targets
from ...traces.columns import of
from ...traces.traces import FOREVER_NS

LEARN, FORGET, RECALL, DIGEST = "learn", "forget", "recall", "memory-digest"
QUORUM, LINEARIZABLE = "quorum", "linearizable"
EVICTED = "memory-evicted"
NEVER_ENDED = 1 << 62
"""The end of an operation of which it is unknown whether, and when, it took effect: after all others."""

Place = tuple[str, Hashable]
"""(field, element or text)."""
Span = tuple[int, int]
"""From .. to, in ns of the run."""

_FORGETTING = frozenset({"bit-rot", "misdirected-write", "truncate", "old-files", "lying"})
"""Effects of a disk fault after which synced data may be gone."""


@dataclass(frozen=True, slots=True)
class View:
    """View of a record that a read showed."""

    elements: frozenset[Place]
    counts: Mapping[str, int]
    texts: Mapping[str, Sequence[str]]

    def comparable(self) -> Hashable:
        texts = sorted((name, tuple(sorted(shown))) for name, shown in self.texts.items())
        return (self.elements, tuple(sorted(self.counts.items())), tuple(texts))


def view_of(read: Operation) -> View:
    """Return what a read showed. Raises `KeyError` or `TypeError` for anything that is not a record."""
    if read.result is None:
        return View(frozenset(), {}, {})
    elements: list[Place] = []
    counts, texts = {}, {}
    conflicts = read.result.get("conflicts") or {}
    for name, value in read.result["fields"].items():
        if isinstance(value, str):
            texts[name] = tuple(conflicts.get(name) or (value,))
        elif isinstance(value, (list, tuple)):
            elements += [(name, canonical(element)) for element in value]
        elif type(value) is int:
            counts[name] = value
    return View(frozenset(elements), counts, texts)


@dataclass(slots=True)
class Deletions:
    """Deletions of one record that may have happened, in order of invocation. `_latest[i]`: when the last of the first i + 1 ended."""

    _invoked: list[int] = field(default_factory=list)
    _latest: list[int] = field(default_factory=list)
    evicted: bool = False
    """A node made room by its own decision, at a time that the history does not show."""

    def add(self, op: Operation) -> None:
        self._invoked.append(op.invoke_index)
        self._latest.append(max(end_of(op), self._latest[-1] if self._latest else 0))

    def any_before(self, index: int) -> bool:
        return self.evicted or (bool(self._invoked) and self._invoked[0] < index)

    def may_have_seen(self, change: Operation, before: int = NEVER_ENDED) -> bool:
        """Return whether a deletion may have seen the change: it began before `before` and did not end before the change began."""
        if self.evicted:
            return True
        known = bisect_left(self._invoked, before)
        return known > 0 and self._latest[known - 1] > change.invoke_index


@dataclass(slots=True)
class Record:
    """One record. Changes that may have happened, in order of invocation; `refused` did not."""

    name: Name
    changes: list[Operation] = field(default_factory=list)
    adds: dict[Place, list[Operation]] = field(default_factory=dict)
    writes: dict[Place, list[Operation]] = field(default_factory=dict)
    counts: dict[str, list[tuple[Operation, int]]] = field(default_factory=dict)
    refused: dict[Place, Operation] = field(default_factory=dict)
    deletions: Deletions = field(default_factory=Deletions)
    deleted: list[Operation] = field(default_factory=list)
    """Acknowledged deletions of what a node held."""
    reads: list[tuple[Operation, View]] = field(default_factory=list)
    last_change_ns: int = 0
    """End of the last change or deletion, among those whose end is known."""

    def learn(self, op: Operation) -> None:
        if op.type is Type.FAIL:
            for place in (*elements_of(op), *texts_of(op)):
                self.refused.setdefault(place, op)
            return
        self.changes.append(op)
        for place in elements_of(op):
            self.adds.setdefault(place, []).append(op)
        for place in texts_of(op):
            self.writes.setdefault(place, []).append(op)
        for name, amount in counts_of(op):
            self.counts.setdefault(name, []).append((op, amount))

    def replaced_until(self, view: View, name: str) -> int:
        """Return the index before which the write of a text of this field must have begun if the text may be missing (-1: none may): what replaced it, or
        what replaced that, is shown.

        A write that replaces a text has seen it, so it took effect later; the last one in such a row is there, unless it was deleted.
        """
        ends = [end_of(op) for text in view.texts.get(name, ()) for op in self.writes.get((name, text), ())]
        return max(ends, default=-1)


@dataclass(slots=True)
class Memory:
    """All records, the digests that were read, and what faults excuse."""

    records: dict[Name, Record] = field(default_factory=dict)
    digests: list[Operation] = field(default_factory=list)
    excuses: Excuses = field(default_factory=lambda: Excuses(()))


def read_memory(run: RunRecord) -> Memory:
    memory = Memory(excuses=Excuses(run.faults))
    for op in run.history.operations():
        if op.f == DIGEST and op.type is Type.OK:
            memory.digests.append(op)
        if op.f not in (LEARN, FORGET, RECALL):
            continue
        name = (op.workload, canonical(op.key))
        record = memory.records.get(name)
        if record is None:
            record = memory.records[name] = Record(name)
        if op.f == RECALL:
            if op.type is Type.OK:
                record.reads.append((op, view_of(op)))
            continue
        record.last_change_ns = max(record.last_change_ns, op.complete_ns or 0)
        if op.f == LEARN:
            record.learn(op)
        elif op.type is not Type.FAIL:
            record.deletions.add(op)
            if op.type is Type.OK and op.level != LINEARIZABLE:
                # Through the log only what came through the log is deleted.
                record.deleted.append(op)
    evicted = {f"{line['kind']}/{line['record']}" for lines in run.traces.values() for line in of(lines, (EVICTED,))}
    for (_, key), record in memory.records.items():
        record.deletions.evicted = key in evicted
    return memory


class Excuses:
    """Effects of faults on promises: a disk that lost data takes what only its node had, and a crash what was not promised."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.forgot: dict[str, list[Span]] = {}
        self.crashed: dict[str, list[Span]] = {}
        self.quorums: list[Span] = []
        """Intervals in which what a quorum holds may change: a disk lost data, or the voters changed."""
        for fault in faults:
            span = (fault.start_ns, FOREVER_NS if fault.over_ns is None else fault.over_ns)
            lost = _forgets(fault)
            for node in lost:
                self.forgot.setdefault(node, []).append((fault.start_ns, min(span[1], _empty_from_ns(fault))))
            for node in may_be_down(fault):
                self.crashed.setdefault(node, []).append(span)
            if lost or changes_voters(fault):
                self.quorums.append(span)

    def lost_with_a_disk(self, change: Operation) -> bool:
        """Return whether it was promised to be durable on one node alone, whose disk lost data later."""
        if change.level in (QUORUM, LINEARIZABLE):
            return False
        return any(change.invoke_ns <= over_ns for _, over_ns in self.forgot.get(served_by(change) or "", ()))


def _forgets(fault: Fault) -> frozenset[str]:
    effect = fault.intended.get("effect")
    if fault.kind == "wipe" or (fault.kind == "disk" and effect in _FORGETTING):
        return targets(fault)
    return forgets(fault)


def _empty_from_ns(fault: Fault) -> int:
    """Return from when on the node knows only what it received afterwards: a disk that was seen empty has nothing more to lose. One that is damaged may."""
    return FOREVER_NS if fault.kind == "disk" or fault.seen_ns is None else fault.seen_ns


def met(spans: Sequence[Span], start_ns: int, end_ns: int) -> bool:
    """Return whether one of the spans has a moment in common with this time."""
    return any(begin_ns <= end_ns and start_ns <= over_ns for begin_ns, over_ns in spans)


def end_of(op: Operation) -> int:
    return NEVER_ENDED if op.complete_index is None else op.complete_index


def described(op: Operation) -> str:
    """Describe a change without the record's name, which is the key's."""
    return describe(replace(op, argument=_fields(op))) if op.f == LEARN else describe(op)


def _fields(op: Operation) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = op.argument["fields"]
    return fields


def elements_of(op: Operation) -> Iterator[Place]:
    for name, value in _fields(op).items():
        if isinstance(value, (list, tuple)):
            yield from ((name, canonical(element)) for element in value)


def texts_of(op: Operation) -> Iterator[Place]:
    return ((name, value) for name, value in _fields(op).items() if isinstance(value, str))


def counts_of(op: Operation) -> Iterator[tuple[str, int]]:
    return ((name, value) for name, value in _fields(op).items() if type(value) is int)
