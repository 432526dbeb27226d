"""Logs with offsets as clients of a Kafka-like system saw them: sends with their offsets, polls with what they returned, in order.

A value is a list of parts: `["send", key, value]`, completed as `["send", key, [offset, value]]`, and `["poll"]`, completed as `["poll", {key: [[offset,
value], …]}]`, perhaps asked as `["poll", {key: offset}]`. Operations are `send` and `poll`, both of any parts; `assign` (a list of keys) and `subscribe` say which logs a process reads from then on.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tribulation.histories import Operation, Type, canonical, same

PARTS = ("send", "poll")
MOVES = ("assign", "subscribe")


@dataclass(frozen=True, slots=True)
class Sent:
    """A send that got an offset, or None while it is unknown."""

    op: Operation
    key: Hashable
    offset: int | None
    value: Hashable


@dataclass(frozen=True, slots=True)
class Polled:
    """One message that a poll returned. `place` counts the polls of its operation."""

    op: Operation
    key: Hashable
    offset: int
    value: Hashable
    place: int


@dataclass(slots=True)
class Logs:
    """`refused` are sends that did not happen, `answered_for_another` ok ones whose answer is not of what they sent. `moves`: operations after which a process may read on from elsewhere."""

    sent: list[Sent] = field(default_factory=list)
    refused: list[Sent] = field(default_factory=list)
    polled: list[Polled] = field(default_factory=list)
    moves: list[tuple[Operation, frozenset[Hashable] | None]] = field(default_factory=list)
    polls: int = 0
    unreadable: int = 0
    answered_for_another: list[Operation] = field(default_factory=list)


def read_logs(ops: Sequence[Operation]) -> Logs:
    logs = Logs()
    for op in ops:
        if op.f in MOVES:
            _move(op, logs)
        elif op.f in PARTS:
            _parts(op, logs)
    return logs


def _move(op: Operation, logs: Logs) -> None:
    """Add a move: an assignment keeps the position in logs that stay assigned; a subscription, or an assignment of unknown outcome, keeps none."""
    if op.type is Type.FAIL:
        return
    kept = None
    if op.f == "assign" and op.type is Type.OK and isinstance(op.argument, (list, tuple)):
        kept = frozenset(canonical(key) for key in op.argument)
    logs.moves.append((op, kept))


def _seek(op: Operation, place: int, logs: Logs) -> None:
    """Add a move for a poll that names the offsets from which it reads, `["poll", {key: offset}]`: it starts again in logs that it reads from 0."""
    asked = op.argument[place] if isinstance(op.argument, (list, tuple)) and len(op.argument) > place else ()
    offsets = asked[1] if isinstance(asked, (list, tuple)) and len(asked) > 1 else None
    if isinstance(offsets, Mapping) and 0 in offsets.values():
        stay = [message.key for message in logs.polled if message.op.process == op.process]
        logs.moves.append((op, frozenset(stay) - {canonical(key) for key, offset in offsets.items() if offset == 0}))


def _parts(op: Operation, logs: Logs) -> None:
    if op.extra.get("rebalanced"):
        logs.moves.append((op, None))
    done = op.type is Type.OK
    for place, part in enumerate((op.result if done else op.argument) or ()):
        if not isinstance(part, (list, tuple)) or not part or part[0] not in ("send", "poll"):
            logs.unreadable += 1
        elif part[0] == "poll" and done:
            logs.polls += 1
            _seek(op, place, logs)
            logs.polled += _messages(op, part, place)
        elif part[0] == "poll":
            # What it polled is lost with its answer, yet the process may go on after it.
            logs.moves.append((op, None))
        elif len(part) == 3:
            offset, value = _sent(part[2], done)
            if done and not _is_of(op, place, part[1], value):
                logs.answered_for_another.append(op)
            found = Sent(op, canonical(part[1]), offset, canonical(value))
            (logs.refused if op.type is Type.FAIL else logs.sent).append(found)
        else:
            logs.unreadable += 1


def _is_of(op: Operation, place: int, key: Any, value: Any) -> bool:
    """Return whether an answer is of the key and value that were sent."""
    asked = op.argument[place] if isinstance(op.argument, (list, tuple)) and len(op.argument) > place else None
    if not isinstance(asked, (list, tuple)) or len(asked) != 3 or asked[0] != "send":
        return False
    return same(asked[1], key) and same(asked[2], value)


def _sent(operand: Any, done: bool) -> tuple[int | None, Any]:
    if done and isinstance(operand, (list, tuple)) and len(operand) == 2:
        return operand[0], operand[1]
    return None, operand


def _messages(op: Operation, part: Sequence[Any], place: int) -> Iterator[Polled]:
    returned = part[1] if len(part) > 1 else None
    pairs = returned.items() if isinstance(returned, Mapping) else (returned or ())
    for key, messages in pairs:
        for offset, value in messages:
            yield Polled(op, canonical(key), offset, canonical(value), place)
