"""Sequential specifications of transactions: all parts happen at once, on registers and lists that they access together.

| model | parts of a `txn` | state |
|---|---|---|
| `transactions` | `["r", k, v]`, `["w", k, v]`, `["append", k, v]`, `["cas", k, from, to]` | what each key holds: nothing at first |
| `multi-register` | the same | what each key holds: unknown at first, set by its first read; of a list that was appended to, its end is known |
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar

from tribulation.histories import Operation, Type, canonical

from .model import ILLEGAL, Accumulates, Illegal, Step

_KINDS = {"read": "r", "write": "w", "a": "append"}

Part = tuple[str, int, Hashable]
"""Kind, place of the key, operand: what a read saw, or what the other kinds do."""


@dataclass
class TransactionModel(Accumulates):
    """The state has one value for each key of each object, in order of first use; a list that nothing was appended to reads as nil or as empty."""

    name: ClassVar[str] = "transactions"
    _places: dict[Hashable, int] = field(default_factory=dict)

    def init(self) -> Hashable:
        return ()

    def step(self, op: Operation) -> Step | None:
        if op.type is Type.FAIL:
            return None
        seen = op.type is Type.OK and op.result is not None
        parts = tuple(self._parts(op, seen))
        if not parts:
            return None
        reads = [kind == "r" for kind, _, _ in parts]
        return Step("txn", parts, None, all(reads), any(kind in ("r", "cas") for kind, _, _ in parts))

    def _parts(self, op: Operation, seen: bool) -> Iterable[Part]:
        micro: Iterable[Sequence[Any]] = op.result if seen else op.argument
        for name, inner, *operand in micro:
            kind = _KINDS.get(name, name)
            if kind != "r" or seen:
                value = operand[0] if len(operand) == 1 else operand
                key = canonical((op.workload, op.key, inner))
                yield kind, self._places.setdefault(key, len(self._places)), canonical(value)

    def apply(self, state: Any, step: Step) -> Hashable | Illegal:
        values = list(state)
        parts: Any = step.value
        for kind, place, operand in parts:
            values.extend([None] * (place + 1 - len(values)))
            after = _after(values[place], kind, operand)
            if isinstance(after, Illegal):
                return ILLEGAL
            values[place] = after
        while values and values[-1] is None:
            values.pop()
        return tuple(values)

    def removable(self, step: Step, others: Sequence[Step]) -> bool:
        parts: Any = step.value
        return all(kind == "r" for kind, _, _ in parts)


def _after(held: Any, kind: str, operand: Any) -> Hashable | Illegal:
    """Return what a key that held `held` holds after that part."""
    if kind == "w":
        return operand  # type: ignore[no-any-return]
    if kind == "append":
        return (*held, operand) if type(held) is tuple else (operand,) if held is None else ILLEGAL
    expected = operand[0] if kind == "cas" else operand
    if held != expected and not (held in (None, ()) and expected in (None, ())):
        return ILLEGAL
    return operand[1] if kind == "cas" else held  # type: ignore[no-any-return]


class _Unsaid(Enum):
    """The value of a register before its first read or write."""

    UNSAID = "not known"


@dataclass(frozen=True, slots=True)
class _Ending:
    """A list of which only the end is known: what was appended to it."""

    known: tuple[Hashable, ...]


@dataclass
class MultiRegisterModel(TransactionModel):
    """Registers and lists of unknown initial values. A read of nil has no meaning, as in Knossos; with `nil_is_value` it is a read of nil."""

    name: ClassVar[str] = "multi-register"
    nil_is_value: bool = False

    def step(self, op: Operation) -> Step | None:
        found = super().step(op)
        if found is None:
            return None
        parts: Any = found.value
        known = tuple(part for part in parts if self.nil_is_value or part[0] != "r" or part[2] is not None)
        # A read may determine the state, so it cannot be taken arbitrarily early: it is not pure.
        return Step("txn", known, None, False, found.conditional) if known else None

    def apply(self, state: Any, step: Step) -> Hashable | Illegal:
        values = list(state)
        parts: Any = step.value
        for kind, place, operand in parts:
            values.extend([_Unsaid.UNSAID] * (place + 1 - len(values)))
            after = _after_unknown(values[place], kind, operand)
            if isinstance(after, Illegal):
                return ILLEGAL
            values[place] = after
        return tuple(values)


def _after_unknown(held: Any, kind: str, operand: Any) -> Hashable | Illegal:
    """Return what `_after` does where the beginning of `held`, or all of it, may be unknown: a read or a cas that is possible determines it."""
    if not isinstance(held, (_Unsaid, _Ending)):
        return _after(held, kind, operand)
    end = held.known if isinstance(held, _Ending) else ()
    if kind == "append":
        return _Ending((*end, operand))
    seen = operand[0] if kind == "cas" else operand
    if kind != "w" and end and not (type(seen) is tuple and seen[-len(end) :] == end):
        return ILLEGAL
    return _after(seen, kind, operand)
