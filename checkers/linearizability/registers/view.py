"""Operations as a register sees them, one by one: for explanations, and for the few operations of a witness."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from math import inf

from tribulation.histories import MISMATCH, Operation, Type, canonical

from ...models.registers import READS, SWAPS, cas_operands, observed_by_mismatch, written


@dataclass(frozen=True, slots=True, eq=False)
class Access:
    """An operation as a register sees it. `reads` and `writes` are tuples of at most one value; `end` is infinite while unknown."""

    op: Operation | None
    start: float
    end: float
    reads: tuple[Hashable, ...] = ()
    writes: tuple[Hashable, ...] = ()


@dataclass(frozen=True, slots=True)
class Violation:
    """Reason why no legal order exists. `kind` is the broken rule; `accesses` are the proof, in the rule's own order; `values` those concerned."""

    kind: str
    accesses: tuple[Access, ...]
    values: tuple[Hashable, ...]


@dataclass(slots=True)
class Register:
    """The accesses of one register, and what cannot have happened (`failed`: value → operation that failed to write it)."""

    initial: Hashable
    accesses: list[Access] = field(default_factory=list)
    failed: dict[Hashable, Operation] = field(default_factory=dict)
    silent_mismatches: int = 0


def register_of(ops: Iterable[Operation], initial: Hashable = None) -> Register:
    """Return the register that `ops` access: those that are evidence as accesses, failed writes apart."""
    register = Register(initial)
    for op in ops:
        access = _access(op, register)
        if access is not None:
            register.accesses.append(access)
    return register


def _access(op: Operation, register: Register) -> Access | None:
    start, end = float(op.invoke_index), inf if op.complete_index is None else float(op.complete_index)
    if op.type is Type.FAIL:
        if op.f not in READS:
            value = cas_operands(op)[1] if op.f == "cas" else written(op)
            register.failed.setdefault(value, op)
        if op.f != "cas" or op.error != MISMATCH:
            return None
        says, seen = observed_by_mismatch(op)
        if not says:
            register.silent_mismatches += 1
            return None
        return Access(op, start, end, (seen,))
    if op.f in READS:
        return Access(op, start, end, (canonical(op.result),)) if op.type is Type.OK else None
    if op.f == "cas":
        expected, new = cas_operands(op)
        return Access(op, start, end, (expected,), (new,))
    if op.f in SWAPS and op.type is Type.OK:
        return Access(op, start, end, (canonical(op.result),), (written(op),))
    return Access(op, start, end, (), (written(op),))
