"""Checker `kafka`: logs that are appended to and polled. One value at an offset, one offset for a value, nothing lost, skipped or read backwards.

What was sent and what was polled together show what each log holds. Values are unique per key. The order of a log is that of its offsets; gaps in the
offsets are no losses, since systems use offsets for their own markers: only a value known to lie between counts as skipped.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tribulation.histories import Operation, Type

from ...base.conclusion import all_of, conclude, sentence
from ...base.findings import Findings
from ...base.result import Budget, CheckResult, RunRecord
from ...base.selection import judges, names
from ...base.wording import describe, indices, show
from .kafka_events import MOVES, PARTS, Logs, Polled, Sent, read_logs

Place = tuple[Hashable, Hashable]
_SHOWN = 20


class KafkaChecker:
    name = "kafka"
    operations = judges(*PARTS, *MOVES, "crash", having=PARTS, in_workload=True)

    def applies(self, record: RunRecord) -> bool:
        return {"send", "poll"} <= names(record)

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        findings = Findings()
        doubts: list[str] = []
        totals = dict.fromkeys(("sent", "acknowledged", "polls", "messages", "logs", "not_reached", "lost"), 0)
        for workload in {op.workload: None for op in record.history.operations() if op.f in PARTS}:
            logs = read_logs([op for op in record.history.operations() if op.workload == workload])
            book = Book()
            for sent in logs.sent:
                if sent.offset is not None:
                    book.note(sent.key, sent.offset, sent.value, sent.op, findings)
            for message in logs.polled:
                book.note(message.key, message.offset, message.value, message.op, findings)
            _judge(logs, book, findings, totals)
            if logs.unreadable:
                doubts.append(f"{logs.unreadable} parts are not `send` or `poll`")
            if logs.answered_for_another:
                op = logs.answered_for_another[0]
                doubts.append(
                    f"the {op.f} of history index {op.invoke_index} was answered for another value than it sent"
                )
        if not totals["acknowledged"] or not totals["messages"]:
            doubts.append(
                f"{totals['acknowledged']} sends were acknowledged and {totals['messages']} messages were polled: nothing to compare"
            )
        return conclude(self.name, findings, totals, all_of(doubts))


@dataclass(slots=True)
class Book:
    """Content of the logs, from all that was seen. `close` fills `offsets`."""

    at: dict[tuple[Hashable, int], tuple[Hashable, Operation]] = field(default_factory=dict)
    of: dict[Place, tuple[int, Operation]] = field(default_factory=dict)
    offsets: dict[Hashable, list[int]] = field(default_factory=dict)

    def note(self, key: Hashable, offset: int, value: Hashable, op: Operation, findings: Findings) -> None:
        before, first = self.at.setdefault((key, offset), (value, op))
        if before != value:
            text = f"log {show(key)} holds both {show(before)} and {show(value)} at offset {offset}: {describe(first)}; {describe(op)}"
            _add(
                findings,
                "inconsistent-offset",
                [first, op],
                text,
                {"key": key, "offset": offset, "values": [before, value]},
            )
        other, one = self.of.setdefault((key, value), (offset, op))
        if other != offset:
            text = f"{show(value)} is in log {show(key)} twice, at offsets {other} and {offset}: {describe(one)}; {describe(op)}"
            _add(findings, "duplicate", [one, op], text, {"key": key, "offsets": [other, offset], "value": value})

    def close(self) -> None:
        for key, offset in self.at:
            self.offsets.setdefault(key, []).append(offset)
        for offsets in self.offsets.values():
            offsets.sort()

    def between(self, key: Hashable, low: int, high: int) -> list[int]:
        """Return the first known offsets of a log that lie strictly between two."""
        offsets = self.offsets.get(key, [])
        first = bisect_right(offsets, low)
        return [offset for offset in offsets[first : first + _SHOWN] if offset < high]


def _judge(logs: Logs, book: Book, findings: Findings, totals: dict[str, int]) -> None:
    book.close()
    totals["sent"] += len(logs.sent) + len(logs.refused)
    totals["acknowledged"] += sum(sent.op.type is Type.OK for sent in logs.sent)
    totals["polls"] += logs.polls
    totals["messages"] += len(logs.polled)
    totals["logs"] += len(book.offsets)
    _unsent(logs, findings)
    _lost(logs, findings, totals)
    _sends_in_order(logs.sent, findings)
    _polls_in_order(logs, book, findings)


def _unsent(logs: Logs, findings: Findings) -> None:
    possible = {(sent.key, sent.value) for sent in logs.sent}
    refused: dict[Place, Operation] = {}
    for sent in logs.refused:
        refused.setdefault((sent.key, sent.value), sent.op)
    reported: set[Place] = set()
    for message in logs.polled:
        place = (message.key, message.value)
        if place in possible or place in reported:
            continue
        reported.add(place)
        where = f"{show(message.value)} was polled from log {show(message.key)}"
        details = {"key": message.key, "offset": message.offset, "value": message.value}
        failed = refused.get(place)
        if failed is None:
            _add(
                findings,
                "thin-air",
                [message.op],
                f"{where}, which no client ever tried to send: {describe(message.op)}",
                details,
            )
        else:
            text = f"{where} although its send was refused: {describe(failed)}; {describe(message.op)}"
            _add(findings, "aborted-read", [failed, message.op], text, details)


def _lost(logs: Logs, findings: Findings, totals: dict[str, int]) -> None:
    """Report acknowledged values that were never polled, although values before and after them in the log were."""
    span: dict[Hashable, tuple[Polled, Polled]] = {}
    for message in logs.polled:
        low, high = span.get(message.key, (message, message))
        span[message.key] = (
            message if message.offset < low.offset else low,
            message if message.offset > high.offset else high,
        )
    seen = {(message.key, message.value) for message in logs.polled}
    for sent in logs.sent:
        if sent.op.type is not Type.OK or sent.offset is None or (sent.key, sent.value) in seen:
            continue
        reached = span.get(sent.key)
        if reached is None or not reached[0].offset <= sent.offset <= reached[1].offset:
            totals["not_reached"] += 1
            continue
        high = reached[1]
        totals["lost"] += 1
        text = (
            f"{show(sent.value)} was acknowledged at offset {sent.offset} of log {show(sent.key)} by {describe(sent.op)} and no client ever polled it, "
            f"although offset {high.offset} was polled by {describe(high.op)}"
        )
        details = {"key": sent.key, "offset": sent.offset, "value": sent.value}
        _add(findings, "lost-write", [sent.op, high.op], text, details)


def _sends_in_order(sent: Sequence[Sent], findings: Findings) -> None:
    """Judge that sends of one process to one log, one after the other, get growing offsets."""
    last: dict[tuple[int | str, Hashable], Sent] = {}
    for one in sent:
        if one.offset is None:
            continue
        before = last.get((one.op.process, one.key))
        if before is not None and before.offset is not None and one.offset <= before.offset:
            text = (
                f"process {one.op.process} sent {show(before.value)} and then {show(one.value)} to log {show(one.key)}, "
                f"which got offsets {before.offset} and {one.offset}: {describe(before.op)}; {describe(one.op)}"
            )
            details = {"key": one.key, "offsets": [before.offset, one.offset]}
            _add(findings, "nonmonotonic-send", [before.op, one.op], text, details)
        last[one.op.process, one.key] = one


def _polls_in_order(logs: Logs, book: Book, findings: Findings) -> None:
    """Judge that what a process polls of a log continues at its position, until it is assigned again."""
    moves = sorted(logs.moves, key=lambda move: move[0].invoke_index)
    stands: dict[int | str, dict[Hashable, Polled]] = {}
    at = 0
    for message in logs.polled:
        while at < len(moves) and moves[at][0].invoke_index <= message.op.invoke_index:
            op, kept = moves[at]
            mine = stands.get(op.process, {})
            stands[op.process] = {key: last for key, last in mine.items() if kept is not None and key in kept}
            at += 1
        mine = stands.setdefault(message.op.process, {})
        before = mine.get(message.key)
        if before is not None:
            _follows(before, message, book, findings)
        mine[message.key] = message


def _follows(before: Polled, message: Polled, book: Book, findings: Findings) -> None:
    within = before.op is message.op
    ops = [message.op] if within else [before.op, message.op]
    prefix = "internal-" if within else ""
    where = f"process {message.op.process} polled offset {before.offset} of log {show(message.key)} and then offset {message.offset}"
    details: dict[str, Any] = {"key": message.key, "offsets": [before.offset, message.offset]}
    if message.offset <= before.offset:
        text = f"{where}, which is not after it: {'; '.join(map(describe, ops))}"
        _add(findings, f"{prefix}nonmonotonic-poll", ops, text, details)
        return
    skipped = book.between(message.key, before.offset, message.offset)
    if skipped:
        value, witness = book.at[message.key, skipped[0]]
        text = f"{where}, past {show(value)} at offset {skipped[0]}: {'; '.join(map(describe, [*ops, witness]))}"
        _add(findings, f"{prefix}poll-skip", [*ops, witness], text, {**details, "skipped": skipped[:_SHOWN]})


def _add(findings: Findings, kind: str, ops: Sequence[Operation], text: str, details: Mapping[str, Any]) -> None:
    findings.add(kind, sentence(text), ops=indices(ops), details=details)
