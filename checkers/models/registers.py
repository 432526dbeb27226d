"""One register with read, write and compare-and-set, as a sequential specification."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from tribulation.histories import MISMATCH, Operation, Type, canonical, same

from .model import FRESH, ILLEGAL, NOTHING, Illegal, Step

READS = ("read", "get")
SWAPS = ("swap", "rmw")
DELETE = "delete"


def cas_operands(op: Operation) -> tuple[Hashable, Hashable]:
    """Return the expected and the new value of a cas, whose argument is `[from, to]`."""
    expected, new = op.argument
    return canonical(expected), canonical(new)


def observed_by_mismatch(op: Operation) -> tuple[bool, Hashable]:
    """Return whether a mismatched cas reports what it saw, and that value: its `observed` field, or a value that does not repeat its argument.

    `observed` may be the results of the transaction that the cas was, hence a list of one.
    """
    if op.extra.get("observed") is not None:
        seen = op.extra["observed"]
        return True, canonical(seen[0] if isinstance(seen, list) and len(seen) == 1 else seen)
    if op.result is None or same(op.result, op.argument):
        return False, None
    return True, canonical(op.result)


def written(op: Operation) -> Hashable:
    """Return the value after a write, a swap or a delete."""
    return None if op.f == DELETE else canonical(op.argument)


@dataclass
class RegisterModel:
    """`read`/`get`, `write`/`put`, `delete` (writes null), `cas`, and `swap` (also `rmw`), which writes and returns the value before."""

    initial: Hashable = None
    name: ClassVar[str] = "register"
    overwrites: ClassVar[bool] = True

    def init(self) -> Hashable:
        return self.initial

    def step(self, op: Operation) -> Step | None:
        if op.type is Type.FAIL:
            return self._mismatch(op) if op.f == "cas" and op.error == MISMATCH else None
        if op.f in READS:
            return Step("read", canonical(op.result), None, True, True) if op.type is Type.OK else None
        if op.f == "cas":
            return Step("cas", *cas_operands(op), False, True)
        if op.f in SWAPS and op.type is Type.OK:
            return Step("cas", canonical(op.result), canonical(op.argument), False, True)
        return Step("write", written(op))

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
        """Return whether nothing observes the step: what follows an unobserved change is another write. `differs` observes every change."""
        if step.pure:
            return True
        written = self.gives(step)
        return not any(other.conditional and (other.value == written or other.kind == "differs") for other in others)
