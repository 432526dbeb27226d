"""Sequential specifications: what one object that does one thing at a time would answer.

A model turns each operation of a history into a *step* and says what a step does to a state. States and steps are hashable,
for the search interns both. A step is *pure* when it changes the state in no state at all, so that it may take effect as soon
as it is legal. An operation of unknown outcome becomes the step of its effect alone, or none when it has no effect.

| model | operations (`f`) | state |
|---|---|---|
| `register` | `read`, `write`, `cas` | the value |
| `mutex` | `acquire`, `release` | held or not |
| `list` | `read`/`get`, `append`, `write`/`put` of a list | a tuple |
| `text` | the same, of strings | a string |
| `set` | `add`, `read` of the whole | a bit mask over elements |
| `transactions` | `txn` of `[["r", k, v], ["w", k, v], …]` | values of all registers |
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from histories import MISMATCH, Operation, Type, hashable


@dataclass(frozen=True, slots=True)
class Step:
    """`kind` with its operands. `conditional` means that it is illegal in some states."""

    kind: str
    value: Hashable = None
    extra: Hashable = None
    pure: bool = False
    conditional: bool = False


class Illegal:
    """The type of `ILLEGAL`: what `apply` answers where a step cannot happen."""


ILLEGAL = Illegal()


@dataclass(frozen=True, slots=True)
class Nothing:
    """The type of `NOTHING`: no state in particular."""


NOTHING = Nothing()


class Model(Protocol):
    """`init` and `apply` are the specification; the other parts let the search prune and explain, and must be sound.

    `overwrites`: each unconditional step leads to a state that does not depend on the one before, and each conditional one is
    legal in exactly one state or in all but one; then an operation of unknown outcome need only be used when its result is demanded.
    """

    name: ClassVar[str]
    overwrites: ClassVar[bool]

    def init(self) -> Hashable: ...

    def step(self, op: Operation) -> Step | None: ...

    def apply(self, state: Hashable, step: Step) -> Hashable | Illegal: ...

    def gives(self, step: Step) -> Hashable:
        """The state that a changing step leads to; asked only where steps overwrite."""
        ...

    def needs(self, step: Step) -> Hashable:
        """The one state in which a conditional step is legal, or `NOTHING` when there are several; asked only where steps overwrite."""
        ...

    def starts(self, steps: Iterable[Step]) -> list[Hashable] | None:
        """States such that, if `steps` cannot be ordered from any of these, they cannot from any state. None: not enumerable."""
        ...

    def removable(self, step: Step, others: Sequence[Step]) -> bool:
        """Whether taking `step` out of any legal order of it and `others` leaves a legal order."""
        ...


@dataclass(frozen=True, slots=True)
class Fresh:
    """A value that occurs in no history."""


FRESH = Fresh()


def cas_operands(op: Operation) -> tuple[Hashable, Hashable]:
    """(expected, new) of a cas, whose argument is `[from, to]`."""
    expected, new = op.argument
    return hashable(expected), hashable(new)


def observed_by_mismatch(op: Operation) -> tuple[bool, Hashable]:
    """Whether a mismatched cas says what it saw instead, and that value: its `observed` field, or a value that is not its argument again.

    `observed` may be the results of the transaction that the cas was, hence a list of one.
    """
    if op.extra.get("observed") is not None:
        seen = op.extra["observed"]
        return True, hashable(seen[0] if isinstance(seen, list) and len(seen) == 1 else seen)
    if op.result is None or op.result == op.argument:
        return False, None
    return True, hashable(op.result)


@dataclass
class RegisterModel:
    """One register with read, write and compare-and-set."""

    initial: Hashable = None
    name: ClassVar[str] = "register"
    overwrites: ClassVar[bool] = True

    def init(self) -> Hashable:
        return self.initial

    def step(self, op: Operation) -> Step | None:
        if op.type is Type.FAIL:
            return self._mismatch(op) if op.f == "cas" and op.error == MISMATCH else None
        if op.f == "read":
            return Step("read", hashable(op.result), None, True, True) if op.type is Type.OK else None
        if op.f == "cas":
            return Step("cas", *cas_operands(op), False, True)
        return Step("write", hashable(op.argument))

    def _mismatch(self, op: Operation) -> Step:
        expected, _ = cas_operands(op)
        says, seen = observed_by_mismatch(op)
        return Step("saw", seen, expected, True, True) if says else Step("differs", expected, None, True, True)

    def apply(self, state: Hashable, step: Step) -> Hashable | Illegal:
        match step.kind:
            case "write":
                return step.value
            case "read":
                return state if state == step.value else ILLEGAL
            case "cas":
                return step.extra if state == step.value else ILLEGAL
            case "saw":
                return state if state == step.value != step.extra else ILLEGAL
            case _:
                return state if state != step.value else ILLEGAL

    def gives(self, step: Step) -> Hashable:
        return step.extra if step.kind == "cas" else step.value

    def needs(self, step: Step) -> Hashable:
        return NOTHING if step.kind == "differs" else step.value

    def starts(self, steps: Iterable[Step]) -> list[Hashable]:
        # A value that no step mentions stands for all such values.
        mentioned = [step.value for step in steps if step.conditional]
        return [*dict.fromkeys(mentioned), FRESH]

    def removable(self, step: Step, others: Sequence[Step]) -> bool:
        """A change that nobody observes may go: what follows it is another write. `differs` observes every change."""
        if step.pure:
            return True
        written = self.gives(step)
        return not any(other.conditional and (other.value == written or other.kind == "differs") for other in others)


@dataclass
class MutexModel:
    """A lock. It does not know its holder: a release by anybody frees it."""

    name: ClassVar[str] = "mutex"
    overwrites: ClassVar[bool] = True

    def init(self) -> Hashable:
        return False

    def step(self, op: Operation) -> Step | None:
        return None if op.type is Type.FAIL else Step(op.f, op.f == "release", None, False, True)

    def apply(self, state: Hashable, step: Step) -> Hashable | Illegal:
        return (not state) if state == step.value else ILLEGAL

    def gives(self, step: Step) -> Hashable:
        return not step.value

    def needs(self, step: Step) -> Hashable:
        return step.value

    def starts(self, steps: Iterable[Step]) -> list[Hashable]:
        return [False, True]

    def removable(self, step: Step, others: Sequence[Step]) -> bool:
        return False


class _Accumulates:
    """What models share whose states depend on all that happened."""

    def gives(self, step: Step) -> Hashable:
        return NOTHING

    def needs(self, step: Step) -> Hashable:
        return NOTHING

    def starts(self, steps: Iterable[Step]) -> list[Hashable] | None:
        return None


@dataclass
class SequenceModel(_Accumulates):
    """A value that grows by appends: a list (`empty=()`) or, as in key-value stores of strings, a text (`empty=""`)."""

    empty: tuple[()] | str = ()
    name: ClassVar[str] = "list"
    overwrites: ClassVar[bool] = False

    def init(self) -> Hashable:
        return self.empty

    def step(self, op: Operation) -> Step | None:
        if op.type is Type.FAIL:
            return None
        if op.f in ("read", "get"):
            return Step("read", self._whole(op.result), None, True, True) if op.type is Type.OK else None
        if op.f == "append":
            part = op.argument if isinstance(self.empty, str) else (hashable(op.argument),)
            return Step("append", part)
        return Step("write", self._whole(op.argument))

    def _whole(self, value: Any) -> Hashable:
        return self.empty if value is None else hashable(value)

    def apply(self, state: Any, step: Step) -> Hashable | Illegal:
        if step.kind == "append":
            grown: Hashable = state + step.value
            return grown
        if step.kind == "write":
            return step.value
        return state if state == step.value else ILLEGAL

    def removable(self, step: Step, others: Sequence[Step]) -> bool:
        return step.pure


@dataclass
class SetModel(_Accumulates):
    """A set that grows. Elements become bits, in order of first use, so that a state is one integer."""

    name: ClassVar[str] = "set"
    overwrites: ClassVar[bool] = False
    _bits: dict[Hashable, int] = field(default_factory=dict)

    def init(self) -> Hashable:
        return 0

    def step(self, op: Operation) -> Step | None:
        if op.type is Type.FAIL:
            return None
        if op.f == "add":
            return Step("add", self._bit(op.argument))
        if op.type is not Type.OK:
            return None
        mask = 0
        for element in op.result or ():
            mask |= self._bit(element)
        return Step("read", mask, None, True, True)

    def _bit(self, element: Any) -> int:
        return self._bits.setdefault(hashable(element), 1 << len(self._bits))

    def apply(self, state: Any, step: Step) -> Hashable | Illegal:
        if step.kind == "add":
            grown: int = state | step.value
            return grown
        return state if state == step.value else ILLEGAL

    def removable(self, step: Step, others: Sequence[Step]) -> bool:
        """An add of an element that no read has: no read came after it."""
        if step.pure:
            return True
        bit: Any = step.value
        return not any(other.pure and isinstance(other.value, int) and other.value & bit for other in others)


@dataclass
class TransactionModel(_Accumulates):
    """Registers that transactions of reads and writes touch together; the state has one value for each, in order of first use."""

    name: ClassVar[str] = "transactions"
    overwrites: ClassVar[bool] = False
    _places: dict[Hashable, int] = field(default_factory=dict)

    def init(self) -> Hashable:
        return ()

    def step(self, op: Operation) -> Step | None:
        if op.type is Type.FAIL:
            return None
        known = op.type is Type.OK
        micro = tuple(
            (kind, self._places.setdefault(hashable(key), len(self._places)), hashable(value))
            for kind, key, value in (op.result if known else op.argument)
            if known or kind != "r"
        )
        if not micro:
            return None
        reads = any(kind == "r" for kind, _, _ in micro)
        return Step("txn", micro, None, all(kind == "r" for kind, _, _ in micro), reads)

    def apply(self, state: Any, step: Step) -> Hashable | Illegal:
        values = list(state)
        micro: Any = step.value
        for kind, place, value in micro:
            values.extend([None] * (place + 1 - len(values)))
            if kind == "w":
                values[place] = value
            elif values[place] != value:
                return ILLEGAL
        while values and values[-1] is None:
            values.pop()
        return tuple(values)

    def removable(self, step: Step, others: Sequence[Step]) -> bool:
        return step.pure


_BY_F: tuple[tuple[str, Callable[[Sequence[Operation]], Model]], ...] = (
    ("txn", lambda ops: TransactionModel()),
    ("add", lambda ops: SetModel()),
    ("append", lambda ops: SequenceModel("" if _appends_text(ops) else ())),
    ("acquire", lambda ops: MutexModel()),
    ("release", lambda ops: MutexModel()),
    ("write", lambda ops: RegisterModel()),
    ("cas", lambda ops: RegisterModel()),
    # Nothing but reads: what they return tells what it is.
    ("read", lambda ops: SetModel() if any(isinstance(op.result, list) for op in ops) else RegisterModel()),
)


def model_for(ops: Sequence[Operation]) -> Model | None:
    """The model whose operations these are, by their names; None when there is none."""
    names = {op.f for op in ops}
    for f, make in _BY_F:
        if f in names:
            return make(ops) if names <= _NAMES[f] else None
    return None


_NAMES: dict[str, frozenset[str]] = {
    "txn": frozenset({"txn"}),
    "add": frozenset({"add", "read"}),
    "append": frozenset({"append", "read", "get", "write", "put"}),
    "acquire": frozenset({"acquire", "release"}),
    "release": frozenset({"acquire", "release"}),
    "write": frozenset({"read", "write", "cas"}),
    "cas": frozenset({"read", "write", "cas"}),
    "read": frozenset({"read"}),
}


def _appends_text(ops: Sequence[Operation]) -> bool:
    return any(op.f in ("read", "get", "put", "write") and isinstance(op.result, str) for op in ops)
