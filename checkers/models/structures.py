"""Sequential specifications of structures, for the general search where fast methods do not apply.

| model | operations | state |
|---|---|---|
| `queue`, `stack`, `priority queue` | put a value, take one or find none | the values inside, in order |
| `counter` | `add`/`increment`/`decrement`, `read`, `fetch-and-add` and `add-and-get` | the sum |
| `element` | `add`, `remove`, `contains` of one element of a set | inside or not |
| `set` | the same of all elements, and `read` of the whole | the elements inside |
| `token lock` | `acquire` → token, `release` of one | the last token, whether it is held |

Operations of unknown outcome become the step of their effect alone. A removal of unknown outcome takes whatever is next.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tribulation.histories import Operation, Type, canonical
from tribulation.histories.model.operation import FOUND_NOTHING

from .model import ILLEGAL, Accumulates, Illegal, Step
from .operation_names import ACQUIRES, DELTAS, TAKES


@dataclass
class _Container(Accumulates):
    """Container of values of which the `first` in, the `last` in, or the `greatest` or `least` of all leaves next."""

    leaves: ClassVar[str]
    name: ClassVar[str]

    def init(self) -> Hashable:
        return ()

    def step(self, op: Operation) -> Step | None:
        if op.f not in TAKES:
            return None if op.type is Type.FAIL else Step("put", canonical(op.argument))
        if op.type is Type.INFO:
            return Step("take any")
        if op.type is Type.FAIL:
            return Step("found none", None, None, True, True) if op.error in FOUND_NOTHING else None
        if op.result is None:
            return Step("found none", None, None, True, True)
        return Step("take", canonical(op.result), None, False, True)

    def apply(self, state: Any, step: Step) -> Hashable | Illegal:
        if step.kind == "put":
            if self.leaves in ("greatest", "least"):
                grown = list(state)
                insort(grown, step.value)
                return tuple(grown)
            return (*state, step.value)
        if step.kind == "found none":
            return ILLEGAL if state else state
        if not state:
            return state if step.kind == "take any" else ILLEGAL
        at = 0 if self.leaves in ("first", "least") else len(state) - 1
        if step.kind == "take" and state[at] != step.value:
            return ILLEGAL
        left: tuple[Any, ...] = state[:at] + state[at + 1 :]
        return left

    def removable(self, step: Step, others: Sequence[Step]) -> bool:
        """Return whether it takes nothing, or puts a value that was never taken: that may stay outside."""
        if step.kind == "put":
            return not any(other.kind in ("take", "put") and other.value == step.value for other in others)
        return step.pure


class QueueModel(_Container):
    leaves, name = "first", "queue"


class StackModel(_Container):
    leaves, name = "last", "stack"


class GreatestFirstModel(_Container):
    leaves, name = "greatest", "priority queue"


class LeastFirstModel(_Container):
    leaves, name = "least", "priority queue"


@dataclass
class CounterModel(Accumulates):
    """A sum. An operation's answer counts only when it is a number that the argument does not explain."""

    initial: int = 0
    name: ClassVar[str] = "counter"

    def init(self) -> Hashable:
        return self.initial

    def step(self, op: Operation) -> Step | None:
        if op.type is Type.FAIL:
            return None
        if op.f == "read":
            return Step("read", op.result, None, True, True) if op.type is Type.OK else None
        sign, answers = DELTAS[op.f]
        delta = sign * (1 if op.argument is None else op.argument)
        if op.type is Type.OK and answers is not None and type(op.result) is int:
            return Step("fetch", op.result - (delta if answers == "new" else 0), delta, delta == 0, True)
        return Step("add", delta, None, delta == 0)

    def apply(self, state: Any, step: Step) -> Hashable | Illegal:
        if step.kind == "add":
            return state + step.value  # type: ignore[no-any-return]
        if state != step.value:
            return ILLEGAL
        return state + step.extra if step.kind == "fetch" else state  # type: ignore[no-any-return]


_BY_ANSWER = {
    ("add", True): "put new",
    ("add", False): "has",
    ("remove", True): "took",
    ("remove", False): "lacks",
    ("contains", True): "has",
    ("contains", False): "lacks",
}


@dataclass
class SetModel(Accumulates):
    """Elements inside. An add or a remove that returns true or false reports whether it changed anything; another answer has no meaning."""

    name: ClassVar[str] = "set"

    def init(self) -> Hashable:
        return frozenset()

    def step(self, op: Operation) -> Step | None:
        if op.type is Type.FAIL:
            return None
        if op.f == "read":
            whole = frozenset(canonical(item) for item in op.result or ())
            return Step("read", whole, None, True, True) if op.type is Type.OK else None
        element = canonical(op.argument)
        if op.type is Type.OK and type(op.result) is bool:
            kind = _BY_ANSWER[op.f, op.result]
            return Step(kind, element, None, kind in ("has", "lacks"), True)
        return None if op.f == "contains" else Step(op.f, element)

    def apply(self, state: Any, step: Step) -> Hashable | Illegal:
        element: Any = step.value
        match step.kind:
            case "read":
                return state if state == element else ILLEGAL
            case "add":
                return state | {element}  # type: ignore[no-any-return]
            case "remove":
                return state - {element}  # type: ignore[no-any-return]
            case "has":
                return state if element in state else ILLEGAL
            case "lacks":
                return ILLEGAL if element in state else state
            case "put new":
                return ILLEGAL if element in state else state | {element}
            case _:
                return state - {element} if element in state else ILLEGAL


@dataclass
class ElementModel:
    """One element of a set by itself: inside or not."""

    name: ClassVar[str] = "set"
    overwrites: ClassVar[bool] = True

    def init(self) -> Hashable:
        return False

    def step(self, op: Operation) -> Step | None:
        return SetModel().step(op)

    def gives(self, step: Step) -> Hashable:
        return step.kind in ("add", "put new")

    def needs(self, step: Step) -> Hashable:
        return step.kind in ("has", "took")

    def apply(self, state: Hashable, step: Step) -> Hashable | Illegal:
        if step.conditional and state != self.needs(step):
            return ILLEGAL
        return state if step.pure else self.gives(step)

    def starts(self, steps: Iterable[Step]) -> list[Hashable] | None:
        return [False, True]

    def removable(self, step: Step, others: Sequence[Step]) -> bool:
        """Return whether nothing observes the step: what follows an unobserved change is another one."""
        written = self.gives(step)
        return step.pure or not any(other.conditional and self.needs(other) == written for other in others)


@dataclass
class TokenLockModel(Accumulates):
    """A lock whose every acquire returns a greater token. An acquire of unknown outcome returned no token, so it may be omitted."""

    name: ClassVar[str] = "token lock"

    def init(self) -> Hashable:
        return (None, False)

    def step(self, op: Operation) -> Step | None:
        if op.type is Type.FAIL or (op.f in ACQUIRES and op.type is Type.INFO):
            return None
        return Step(op.f, op.result if op.f in ACQUIRES else op.argument, None, False, True)

    def apply(self, state: Any, step: Step) -> Hashable | Illegal:
        last, held = state
        if step.kind in ACQUIRES:
            token: Any = step.value
            return ILLEGAL if held or (last is not None and token <= last) else (token, True)
        return (last, False) if held and last == step.value else ILLEGAL
