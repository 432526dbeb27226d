"""Acknowledged writes and confirmed reads of a history, and their places in the system's log.

Completions carry these fields of the system's reply: `log_index` (a write: where it took effect; a read: the state it saw), `term`, `served_by`,
`session`, `seq`, `stale`. Systems without such fields simply yield none.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from tribulation.histories import MISMATCH, Operation, Type

READS = frozenset({"read", "r", "get", "scan", "final-read", "recall", "memory-digest", "pool", "effects"})
OF_MEMORY = frozenset({"learn", "forget", "recall", "memory-digest"})
EFFECT = "effect"
"""The field of a history line with the declaration of its workload: `reads`, `changes`, or `neither`. A line has it only if the name of the operation suggests something else."""


def effect_of(op: Operation) -> str | None:
    """The declaration of the workload, if the name of the operation suggests something else."""
    declared = op.extra.get(EFFECT)
    return declared if isinstance(declared, str) else None


def is_write(op: Operation) -> bool:
    """Return whether an operation may change state. Reads, and transactions that only read, may not."""
    if op.extra and (declared := effect_of(op)) is not None:
        return declared == "changes"
    if op.f in READS:
        return False
    if op.f in ("txn", "tx"):
        micro = op.argument if isinstance(op.argument, (list, tuple)) else ()
        return not micro or any(
            not isinstance(step, (list, tuple)) or not step or step[0] not in READS for step in micro
        )
    return True


def is_stale(op: Operation) -> bool:
    """Return whether an operation requested, or was answered with, a weaker level than linearizability. An answer marked as stale is no evidence
    against linearizability.
    """
    return op.level not in (None, "linearizable") or bool(op.extra.get("stale"))


def without_log(op: Operation) -> bool:
    """Return whether any node may answer it, with or without contact to a quorum: agent memory at a level that does not involve the log, or an operation that needs no agreement."""
    return (op.f in OF_MEMORY and op.level != "linearizable") or effect_of(op) == "neither"


def log_index(op: Operation) -> int | None:
    value = op.extra.get("log_index")
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def term(op: Operation) -> int | None:
    value = op.extra.get("term")
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def served_by(op: Operation) -> str | None:
    value = op.extra.get("served_by", op.node)
    return value if isinstance(value, str) else None


def command(op: Operation) -> tuple[Hashable, Hashable] | None:
    """Return (session, seq), which identifies a command."""
    session, seq = op.extra.get("session"), op.extra.get("seq")
    return None if session is None or seq is None else (as_key(session), as_key(seq))


def as_key(value: Any) -> Any:
    """Return the value, or its text if it cannot be a key, as of a session that no client can have."""
    return value if isinstance(value, Hashable) else repr(value)


def acknowledged_writes(operations: Iterable[Operation]) -> list[Operation]:
    return [op for op in operations if op.type is Type.OK and is_write(op)]


def ran(op: Operation) -> bool:
    """Return whether an operation certainly took place at an index of the log: it was answered ok, or it was a cas that found another value."""
    return op.type is Type.OK or (op.type is Type.FAIL and op.error == MISMATCH)


def describe(op: Operation) -> str:
    """Format an operation for a sentence: `write k1 ← 5 (op 12)`."""
    target = f" {op.key}" if op.key is not None else ""
    value = f" ← {op.argument}" if op.argument is not None and is_write(op) else ""
    return f"{op.f}{target}{value} (op {op.invoke_index})"
