"""Reads of agent memory while changes go on: they show nothing that was never written or that their node deleted, and no less than their node showed
before or their level promises.

One sweep over each record's operations in the order of the history: what is known when a read begins must be in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tribulation.histories import Operation, Type

from ...base.acknowledged import served_by
from ...base.conclusion import sentence
from ...base.findings import Findings
from ...base.wording import indices, ms_between, on_key, show
from .records import (
    FORGET,
    LINEARIZABLE,
    QUORUM,
    Excuses,
    Place,
    Record,
    Span,
    View,
    counts_of,
    described,
    elements_of,
    end_of,
    met,
    texts_of,
)

Source = tuple[Operation, Operation]
"""(the change, what made it known: the change itself, or a read that showed it)."""


@dataclass(slots=True)
class Known:
    """State of one record that was shown, or promised. Texts: of each field the one whose write began last."""

    elements: dict[Place, Source] = field(default_factory=dict)
    texts: dict[str, tuple[Place, Source]] = field(default_factory=dict)
    counts: dict[str, tuple[int, Operation]] = field(default_factory=dict)
    added: dict[str, tuple[int, Operation]] = field(default_factory=dict)
    """Sums of acknowledged changes, and the last of them."""
    gone: dict[Place, Operation] = field(default_factory=dict)
    """What was here when the record was deleted, and by which operation."""

    def change(self, op: Operation, counted: bool = True) -> None:
        for place in elements_of(op):
            self.elements[place] = (op, op)
        for place in texts_of(op):
            self._text(place, (op, op))
        for name, amount in counts_of(op) if counted else ():
            self.added[name] = (self.added.get(name, (0, op))[0] + amount, op)

    def shown(self, record: Record, read: Operation, view: View, level: str | None = None) -> None:
        """Add what a read showed; with `level` only what was written at that level."""
        for place in view.elements:
            adds = record.adds.get(place)
            if adds and place not in self.elements and level in (None, adds[0].level):
                self.elements[place] = (adds[0], read)
        for name, texts in view.texts.items():
            for text in texts:
                writes = record.writes.get((name, text))
                if writes and level in (None, writes[0].level):
                    self._text((name, text), (writes[0], read))
        if level is None:
            for name, count in view.counts.items():
                if name not in self.counts or self.counts[name][0] <= count:
                    self.counts[name] = (count, read)

    def delete(self, op: Operation, seen: Iterable[Place]) -> None:
        for place in seen:
            self.gone[place] = op
            self.elements.pop(place, None)

    def forget_doubtful(self) -> None:
        """Drop what a crash may take: what was not promised, and what only other nodes promised to keep."""
        self.elements = {place: source for place, source in self.elements.items() if _durable_here(source)}
        self.texts = {name: item for name, item in self.texts.items() if _durable_here(item[1])}
        self.counts.clear()

    def _text(self, place: Place, source: Source) -> None:
        before = self.texts.get(place[0])
        if before is None or before[1][0].invoke_index <= source[0].invoke_index:
            self.texts[place[0]] = (place, source)


@dataclass(slots=True)
class Sweep:
    """One record's operations. `local`: by node what it showed or acknowledged; `promised`: by level."""

    record: Record
    excuses: Excuses
    findings: Findings
    quiet_ns: int | None = None
    local: dict[str, Known] = field(default_factory=dict)
    promised: dict[str, Known] = field(default_factory=lambda: {QUORUM: Known(), LINEARIZABLE: Known()})
    last_ns: dict[str, int] = field(default_factory=dict)
    doomed: dict[int, list[Place]] = field(default_factory=dict)
    """By deletion: what its node held when it began."""
    removed: dict[Place, Operation] = field(default_factory=dict)
    """What no node may show in the end."""
    compared: int = 0

    def walk(self) -> None:
        acknowledged = [op for op in self.record.changes if op.type is Type.OK]
        points: list[tuple[int, bool, Operation, View | None]] = [(end_of(op), True, op, None) for op in acknowledged]
        points += [
            (index, index > op.invoke_index, op, None)
            for op in self.record.deleted
            for index in (op.invoke_index, end_of(op))
        ]
        points += [(op.invoke_index, False, op, view) for op, view in self.record.reads]
        points += [(end_of(op), True, op, view) for op, view in self.record.reads]
        for _, ended, op, view in sorted(points, key=lambda point: point[0]):
            if op.f == FORGET:
                self._delete(op, ended)
            elif ended:
                self._take_in(op, view)
            elif view is not None:
                self._judge(op, view)

    def _judge(self, read: Operation, view: View) -> None:
        node = served_by(read) or ""
        if read.level != QUORUM:
            final = self.quiet_ns is not None and read.invoke_ns >= self.quiet_ns
            self._back(read, view, self.removed if final else self._of_node(node, read).gone)
            self._compare(read, view, self._of_node(node, read), "replica-went-back", f"{node} had it")
        if read.level in self.promised:
            self._drop_unpromised(read)
            what = f"it was promised to reads of level {read.level}"
            self._compare(read, view, self.promised[read.level], f"stale-{read.level}-read", what)

    def _delete(self, op: Operation, ended: bool) -> None:
        """Apply a deletion: it takes what its node held, which must not come back to that node, and in the end to none."""
        known = self._of_node(served_by(op) or "", op)
        if not ended:
            self.doomed[op.invoke_index] = list(known.elements)
            return
        seen = self.doomed.pop(op.invoke_index)
        known.delete(op, seen)
        if not self.excuses.lost_with_a_disk(op):
            self.removed.update(dict.fromkeys(seen, op))

    def _back(self, read: Operation, view: View, gone: dict[Place, Operation]) -> None:
        for place in sorted(view.elements & gone.keys(), key=str):
            deletion = gone.pop(place)
            if any(end_of(add) > deletion.invoke_index for add in self.record.adds.get(place, ())):
                continue
            text = (
                f"{show(place[1])} of {place[0]} is in {described(read)}, which began {ms_between(deletion, read):g} ms after it had been deleted "
                f"where it was known: {described(deletion)}"
            )
            self._add("resurrected", [deletion, read], text)

    def _take_in(self, op: Operation, view: View | None) -> None:
        node = served_by(op) or ""
        known = self._of_node(node, op)
        if not _during(self.excuses.forgot.get(node, ()), op):
            if view is not None and op.level != QUORUM:
                known.shown(self.record, op, view)
            elif view is None and op.level != LINEARIZABLE:
                # A change through the log is promised to be applied, but not yet here.
                known.change(op, counted=op.level != QUORUM)
            if _during(self.excuses.crashed.get(node, ()), op):
                known.forget_doubtful()
        self._drop_unpromised(op)
        if (
            view is None
            and op.level in self.promised
            and not (op.level == QUORUM and _during(self.excuses.quorums, op))
        ):
            self.promised[op.level].change(op)
        elif view is not None:
            # A change through the log was committed when any node showed it.
            self.promised[LINEARIZABLE].shown(self.record, op, view, LINEARIZABLE)

    def _of_node(self, node: str, op: Operation) -> Known:
        """Return what is known of the node, without what it may have lost since."""
        known = self.local.setdefault(node, Known())
        since_ns = self.last_ns.get(node, 0)
        until_ns = op.complete_ns or op.invoke_ns
        self.last_ns[node] = max(since_ns, until_ns)
        if met(self.excuses.forgot.get(node, ()), since_ns, until_ns):
            known = self.local[node] = Known()
        elif met(self.excuses.crashed.get(node, ()), since_ns, until_ns):
            known.forget_doubtful()
        return known

    def _drop_unpromised(self, op: Operation) -> None:
        since_ns = self.last_ns.get(QUORUM, 0)
        until_ns = op.complete_ns or op.invoke_ns
        self.last_ns[QUORUM] = max(since_ns, until_ns)
        if met(self.excuses.quorums, since_ns, until_ns):
            self.promised[QUORUM] = Known()

    def _compare(self, read: Operation, view: View, known: Known, kind: str, why: str) -> None:
        self.compared += 1
        deletions, before = self.record.deletions, end_of(read)
        for place in sorted(known.elements.keys() - view.elements, key=str):
            change, source = known.elements.pop(place)
            if not deletions.may_have_seen(change, before):
                self._report(kind, read, f"{show(place[1])} of {place[0]}", (change, source), why)
        for name, (place, (change, source)) in list(known.texts.items()):
            if place[1] in view.texts.get(name, ()) or change.invoke_index < self.record.replaced_until(view, name):
                continue
            del known.texts[name]
            if not deletions.may_have_seen(change, before):
                self._report(
                    kind,
                    read,
                    f"{show(place[1])} of {name}, which nothing that is shown can have replaced,",
                    (change, source),
                    why,
                )
        for counts in (known.counts, known.added):
            for name, (count, source) in list(counts.items()):
                if view.counts.get(name, 0) >= count:
                    continue
                del counts[name]
                if not deletions.any_before(before):
                    self._report_count(kind, read, view, name, count, source, why)

    def _report(self, kind: str, read: Operation, what: str, source: Source, why: str) -> None:
        change, shown = source
        known = described(shown) if shown is change else f"{described(shown)} showed it, of {described(change)}"
        text = f"{what} is not in {described(read)}, which began {ms_between(shown, read):g} ms after {why}: {known}"
        self._add(kind, [change, shown, read], text)

    def _report_count(
        self, kind: str, read: Operation, view: View, name: str, count: int, source: Operation, why: str
    ) -> None:
        text = (
            f"{name} is {view.counts.get(name, 0)} in {described(read)}, which began {ms_between(source, read):g} ms after it was at least {count}, and {why}: "
            f"{described(source)}"
        )
        self._add(kind, [source, read], text)

    def _add(self, kind: str, ops: Iterable[Operation], text: str) -> None:
        key = self.record.name[1]
        self.findings.add(kind, sentence(on_key(key) + text), ops=indices(ops), details={"key": key})


def phantoms(record: Record, findings: Findings) -> None:
    """Report elements and texts that were not written yet, and counts above all that was tried to be added."""
    checked: set[Place] = set()
    reported: set[str] = set()
    for read, view in sorted(record.reads, key=lambda item: end_of(item[0])):
        texts = {(name, text) for name, shown in view.texts.items() for text in shown}
        for place in sorted((view.elements | texts) - checked, key=str):
            checked.add(place)
            _phantom(record, read, place, findings)
        for name, count in view.counts.items():
            if name in reported:
                continue
            tried = [(op, amount) for op, amount in record.counts.get(name, ()) if op.invoke_index < end_of(read)]
            if count > sum(amount for _, amount in tried):
                reported.add(name)
                text = f"{name} is {count} in {described(read)}, although {len(tried)} changes that may have happened added {sum(a for _, a in tried)}"
                findings.add(
                    "phantom-count",
                    sentence(on_key(record.name[1]) + text),
                    ops=indices([read]),
                    details={"key": record.name[1], "field": name},
                )


def _phantom(record: Record, read: Operation, place: Place, findings: Findings) -> None:
    changes = [*record.adds.get(place, ()), *record.writes.get(place, ())]
    if any(op.invoke_index < end_of(read) for op in changes):
        return
    refused = record.refused.get(place)
    ops = [read]
    if changes:
        why = f"before anybody wrote it: {described(changes[0])}"
        ops.append(changes[0])
    elif refused is not None:
        why = f"although its change was refused: {described(refused)}"
        ops.append(refused)
    else:
        why = "which no client wrote"
    text = f"{show(place[1])} of {place[0]} is in {described(read)}, {why}"
    findings.add(
        "phantom-update",
        sentence(on_key(record.name[1]) + text),
        ops=indices(ops),
        details={"key": record.name[1], "place": list(place)},
    )


def _durable_here(source: Source) -> bool:
    change, shown = source
    return change.type is Type.OK and (change.level != QUORUM or shown is not change)


def _during(spans: Iterable[Span], op: Operation) -> bool:
    return met(list(spans), op.invoke_ns, op.complete_ns or op.invoke_ns)
