"""Sequential specifications: the answers of an object that performs one operation at a time.

A model turns each operation of a history into a *step* and defines what a step does to a state (`steps`).

| model | operations (`f`) | state |
|---|---|---|
| `register` | `read`/`get`, `write`/`put`, `cas`, `swap`, `delete` | the value |
| `mutex` | `acquire`, `release` | held or not |
| `list` | `read`/`get`, `append`, `write`/`put` of a list | a tuple |
| `text` | the same, of strings | a string |
| `transactions`, `multi-register` | `txn`: see `transaction_model` | what each key holds |
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tribulation.histories import Operation, Type, canonical

from .model import ILLEGAL, NOTHING, Accumulates, Illegal, Model, Step
from .operation_names import RELEASES
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


@dataclass(frozen=True, slots=True)
class Family:
    """Operations of one model. `make` creates the model for the general search; None where there is none."""

    names: frozenset[str]
    make: Callable[[Sequence[Operation]], Model] | None


FAMILIES: dict[str, Family] = {
    "transactions": Family(frozenset({"txn"}), lambda ops: TransactionModel()),
    "multi-register": Family(frozenset({"txn"}), lambda ops: MultiRegisterModel()),
    "list": Family(
        frozenset({"append", "read", "get", "write", "put"}),
        lambda ops: SequenceModel("" if _appends_text(ops) else ()),
    ),
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
    fit = (name for name, family in FAMILIES.items() if names <= family.names)
    # Reads and writes alone are of a register.
    return next((name for name in fit if name != "list" or "append" in names), None)


def _appends_text(ops: Sequence[Operation]) -> bool:
    return any(op.f in ("read", "get", "put", "write") and isinstance(op.result, str) for op in ops)
