"""Final state of agent memory after the quiet period: nothing that was acknowledged is missing, counts are right, and all nodes show the same."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tribulation.histories import Operation, Type

from ...base.acknowledged import served_by
from ...base.conclusion import sentence
from ...base.findings import Findings
from ...base.selection import Name
from ...base.wording import indices, ms_between, on_key, show
from .records import Excuses, Memory, Place, Record, View, described, end_of

Shown = tuple[Operation, View]
SHOWN_NODES = 6


@dataclass(slots=True)
class Finals:
    """Last final read of each record by each node, and the last digest of each node."""

    reads: dict[Name, dict[str, Shown]] = field(default_factory=dict)
    digests: dict[str, Operation] = field(default_factory=dict)

    @property
    def nodes(self) -> set[str]:
        return {node for found in self.reads.values() for node in found}


def finals_of(memory: Memory, quiet_ns: int) -> Finals:
    finals = Finals()
    for name, record in memory.records.items():
        for op, view in record.reads:
            if op.invoke_ns >= quiet_ns:
                finals.reads.setdefault(name, {})[served_by(op) or ""] = (op, view)
    for op in memory.digests:
        if op.invoke_ns >= quiet_ns:
            finals.digests[served_by(op) or ""] = op
    return finals


@dataclass(slots=True)
class Loss:
    """An acknowledged change, its missing part, and the reads that lack it."""

    change: Operation
    places: dict[Place, None] = field(default_factory=dict)
    reads: dict[str, Shown] = field(default_factory=dict)


def lost(memory: Memory, finals: Finals, latest_wins: bool, findings: Findings) -> None:
    for name, reads in finals.reads.items():
        record = memory.records[name]
        losses: dict[int, Loss] = {}
        for node, shown in reads.items():
            for place, change in (*_elements(record, shown), *_texts(record, shown)):
                if memory.excuses.lost_with_a_disk(change):
                    continue
                loss = losses.setdefault(change.invoke_index, Loss(change))
                loss.places[place] = None
                loss.reads[node] = shown
        for _, loss in sorted(losses.items()):
            _report_loss(record, loss, reads, latest_wins, findings)
        _counts(record, reads, memory.excuses, findings)


def _must_show(record: Record, change: Operation, read: Operation) -> bool:
    return change.type is Type.OK and end_of(change) < read.invoke_index and not record.deletions.may_have_seen(change)


def _elements(record: Record, shown: Shown) -> Sequence[tuple[Place, Operation]]:
    read, view = shown
    missing = record.adds.keys() - view.elements
    return [
        (place, next(op for op in reversed(record.adds[place]) if _must_show(record, op, read)))
        for place in missing
        if any(_must_show(record, op, read) for op in record.adds[place])
    ]


def _texts(record: Record, shown: Shown) -> Sequence[tuple[Place, Operation]]:
    read, view = shown
    until = {name: record.replaced_until(view, name) for name in {name for name, _ in record.writes}}
    return [
        (place, op)
        for place, ops in record.writes.items()
        if place[1] not in view.texts.get(place[0], ())
        for op in ops[-1:]
        if op.invoke_index > until[place[0]] and _must_show(record, op, read)
    ]


def _report_loss(record: Record, loss: Loss, reads: Mapping[str, Shown], latest_wins: bool, findings: Findings) -> None:
    kind, (read, view) = "lost-update", next(iter(loss.reads.values()))
    what = " and ".join(f"{show(value)} of {name}" for name, value in sorted(loss.places, key=str))
    text = (
        f"{what} was acknowledged and is missing at {_named(loss.reads)}: {described(loss.change)}; {described(read)}"
    )
    if len(loss.reads) < len(reads):
        text += f"; {_named(reads.keys() - loss.reads.keys())} shows it"
    ops, details = [loss.change, read], {"key": record.name[1], "places": [list(place) for place in loss.places]}
    winner = _winner(record, view, loss.change) if latest_wins else None
    if winner is not None:
        kind, how = _won(loss.change, winner)
        text += f". What won is {described(winner)}, {how}"
        ops.append(winner)
        details["won"] = winner.invoke_index
    findings.add(
        kind,
        sentence(on_key(record.name[1]) + text),
        ops=indices(ops),
        details={**details, "nodes": sorted(loss.reads)},
    )


def _winner(record: Record, view: View, change: Operation) -> Operation | None:
    """Return the surviving change with the next greater time stamp (`ts`); without time stamps, the one that began last."""
    texts = [(name, text) for name, shown in view.texts.items() for text in shown]
    alive = [op for place in view.elements for op in record.adds.get(place, ())]
    alive += [op for place in texts for op in record.writes.get(place, ())]
    later = [op for op in alive if _later(op.extra.get("ts"), change.extra.get("ts"))]
    if later:
        return min(later, key=lambda op: op.extra["ts"])
    return max(alive, key=lambda op: op.invoke_index, default=None)


def _later(stamp: Any, other: Any) -> bool:
    return isinstance(stamp, list) and isinstance(other, list) and stamp > other


def _won(change: Operation, winner: Operation) -> tuple[str, str]:
    if end_of(winner) < change.invoke_index:
        later_ms = ms_between(winner, change)
        return (
            "lost-to-an-earlier-update",
            f"which had ended {later_ms:g} ms before the lost one began: a clock was wrong",
        )
    return "overwritten-update", "which had not seen the lost one"


def _counts(record: Record, reads: Mapping[str, Shown], excuses: Excuses, findings: Findings) -> None:
    for name, added in record.counts.items():
        lacking: dict[str, Shown] = {}
        least = 0
        for node, (read, view) in reads.items():
            due = [amount for op, amount in added if _must_show(record, op, read) and not excuses.lost_with_a_disk(op)]
            if view.counts.get(name, 0) < sum(due):
                lacking[node], least = (read, view), sum(due)
        if not lacking:
            continue
        read, view = next(iter(lacking.values()))
        due_ops = [op for op, _ in added if _must_show(record, op, read)]
        text = (
            f"{name} is {view.counts.get(name, 0)} at {_named(lacking)}, although {len(due_ops)} acknowledged changes added {least} that no deletion can have seen: "
            f"{described(read)}; the first of them {described(due_ops[0])}, the last {described(due_ops[-1])}"
        )
        details = {
            "key": record.name[1],
            "field": name,
            "shown": view.counts.get(name, 0),
            "acknowledged": least,
            "nodes": sorted(lacking),
        }
        findings.add(
            "lost-count",
            sentence(on_key(record.name[1]) + text),
            ops=indices([due_ops[0], due_ops[-1], read]),
            details=details,
        )


def differing(memory: Memory, finals: Finals, quiet_ns: int, findings: Findings) -> None:
    """Report nodes that show different records or digests although no change is going on any more."""
    if all(record.last_change_ns < quiet_ns for record in memory.records.values()):
        groups: dict[Any, list[Operation]] = {}
        for _, op in sorted(finals.digests.items()):
            groups.setdefault(_digest(op), []).append(op)
        if len(groups) > 1:
            listed = "; ".join(
                f"{_named([served_by(op) or '' for op in ops])} {show(digest)}" for digest, ops in groups.items()
            )
            ops = [ops[0] for ops in groups.values()]
            text = f"after the quiet period nodes hold different records, by their digests: {listed}"
            details = {"groups": [[served_by(op) for op in ops] for ops in groups.values()]}
            findings.add("not-converged", sentence(text), ops=indices(ops), details=details)
    for name, reads in finals.reads.items():
        first: dict[Hashable, Operation] = {}
        for op, view in reads.values():
            first.setdefault(view.comparable(), op)
        if len(first) > 1 and memory.records[name].last_change_ns < quiet_ns:
            one, other = list(first.values())[:2]
            text = f"after the quiet period {served_by(one)} and {served_by(other)} show different records: {_apart(reads, one, other)}; {described(one)}; {described(other)}"
            findings.add(
                "not-converged", sentence(on_key(name[1]) + text), ops=indices([one, other]), details={"key": name[1]}
            )


def _apart(reads: Mapping[str, Shown], one: Operation, other: Operation) -> str:
    """Return the first thing in which two reads differ."""
    views = {op.invoke_index: view for op, view in reads.values()}
    a, b = views[one.invoke_index], views[other.invoke_index]
    for mine, theirs, op in ((a, b, one), (b, a, other)):
        for name, element in sorted(mine.elements - theirs.elements, key=str):
            return f"only {served_by(op)} has {show(element)} of {name}"
    for name in sorted({*a.counts, *b.counts, *a.texts, *b.texts}):
        pairs = [(view.counts.get(name), sorted(view.texts.get(name, ()))) for view in (a, b)]
        if pairs[0] != pairs[1]:
            shown = [show(count if count is not None else texts or None) for count, texts in pairs]
            return f"{name} is {shown[0]} and {shown[1]}"
    return "their conflicts"


def _digest(op: Operation) -> Any:
    return op.result.get("digest") if isinstance(op.result, Mapping) else op.result


def _named(nodes: Any) -> str:
    ordered = sorted(nodes)
    more = f" and {len(ordered) - SHOWN_NODES} more" if len(ordered) > SHOWN_NODES else ""
    return ", ".join(ordered[:SHOWN_NODES]) + more
