"""Sequential specifications: the answers of an object that performs one operation at a time.

A model turns each operation of a history into a *step* and defines what a step does to a state (`steps`).

| model | operations (`f`) | state |
|---|---|---|
| `register` | `read`/`get`, `write`/`put`, `cas`, `swap`, `delete` | the value |
| `mutex` | `acquire`, `release` | held or not |
| `list` | `read`/`get`, `append`, `write`/`put` of a list | a tuple |
| `text` | the same, of strings | a string |
| `set` | `add`, `read` of the whole | a bit mask over elements |
| `transactions`, `multi-register` | `txn`: see `transaction_model` | what each key holds |
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tribulation.histories import Operation, Type, canonical

from .model import ILLEGAL, NOTHING, Accumulates, Illegal, Model, Step
from .operation_names import LOCK, RELEASES
from .registers import DELETE, READS, SWAPS, RegisterModel
from .transactions import MultiRegisterModel, TransactionModel

__all__ = [
    "FAMILIES",
    "ILLEGAL",
    "NOTHING",
    "Family",
    "Illegal",
    "Model",
    "MultiRegisterModel",
    "MutexModel",
    "RegisterModel",
    "SequenceModel",
    "SetModel",
    "Step",
    "TransactionModel",
    "family_of",
]


@dataclass
class MutexModel:
    """A lock. It does not know its holder: a release by any process frees it."""

    name: ClassVar[str] = "mutex"
    overwrites: ClassVar[bool] = True

    def init(self) -> Hashable:
        return False

    def step(self, op: Operation) -> Step | None:
        return None if op.type is Type.FAIL else Step(op.f, op.f in RELEASES, None, False, True)

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


@dataclass
class SequenceModel(Accumulates):
    """A value that grows by appends: a list (`empty=()`) or, as in key-value stores of strings, a text (`empty=""`)."""

    empty: tuple[()] | str = ()
    name: ClassVar[str] = "list"

    def init(self) -> Hashable:
        return self.empty

    def step(self, op: Operation) -> Step | None:
        if op.type is Type.FAIL:
            return None
        if op.f in ("read", "get"):
            return Step("read", self._whole(op.result), None, True, True) if op.type is Type.OK else None
        if op.f == "append":
            part = op.argument if isinstance(self.empty, str) else (canonical(op.argument),)
            return Step("append", part)
        return Step("write", self._whole(op.argument))

    def _whole(self, value: Any) -> Hashable:
        return self.empty if value is None else canonical(value)

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
class SetModel(Accumulates):
    """A set that grows. Elements become bits, in order of first use, so a state is one integer."""

    name: ClassVar[str] = "set"
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
        return self._bits.setdefault(canonical(element), 1 << len(self._bits))

    def apply(self, state: Any, step: Step) -> Hashable | Illegal:
        if step.kind == "add":
            grown: int = state | step.value
            return grown
        return state if state == step.value else ILLEGAL

    def removable(self, step: Step, others: Sequence[Step]) -> bool:
        """Return whether it is a read, or an add of an element that no read contains: no read came after such an add."""
        if step.pure:
            return True
        bit: Any = step.value
        return not any(other.pure and isinstance(other.value, int) and other.value & bit for other in others)


@dataclass(frozen=True, slots=True)
class Family:
    """Operations of one model. `make` creates the model for the general search; None where there is none."""

    names: frozenset[str]
    make: Callable[[Sequence[Operation]], Model] | None


FAMILIES: dict[str, Family] = {
    "transactions": Family(frozenset({"txn"}), lambda ops: TransactionModel()),
    "multi-register": Family(frozenset({"txn"}), lambda ops: MultiRegisterModel()),
    "set": Family(frozenset({"add", "read"}), lambda ops: SetModel()),
    "list": Family(
        frozenset({"append", "read", "get", "write", "put"}),
        lambda ops: SequenceModel("" if _appends_text(ops) else ()),
    ),
    "mutex": Family(LOCK, lambda ops: MutexModel()),
    "register": Family(frozenset({*READS, "write", "put", "cas", DELETE, *SWAPS}), lambda ops: RegisterModel()),
}
"""Families of operations of one object, in the order in which they are tried."""

_ASKED = {
    "cas-register": "register",
    "kv": "register",
    "kv-append": "list",
}


def family_of(names: frozenset[str], asked: str | None = None) -> str | None:
    """Return the family of an object with operations of these names; None when none fits. `asked` is the model that the user named."""
    if asked is not None:
        found = _ASKED.get(asked, asked)
        # Some of several keys with text may never have been appended to, which makes no difference.
        return found if found in FAMILIES and names <= FAMILIES[found].names else None
    return next((name for name, family in FAMILIES.items() if names <= family.names and _typical(name, names)), None)


def _typical(family: str, names: frozenset[str]) -> bool:
    """Return whether operations that several families share are typical of this one: appends of a list, adds of a set."""
    return family not in _TYPICAL or not names.isdisjoint(_TYPICAL[family])


_TYPICAL = {"set": {"add"}, "list": {"append"}}


def _appends_text(ops: Sequence[Operation]) -> bool:
    return any(op.f in ("read", "get", "put", "write") and isinstance(op.result, str) for op in ops)
