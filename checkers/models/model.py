"""What a sequential specification is made of: states, steps, and what a step does to a state.

States and steps are hashable, for the search interns both. A step is *pure* when it changes the state in no state at all, so that it may take
effect as soon as it is legal. An operation of unknown outcome becomes the step of its effect alone, or none when it has no effect.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from tribulation.histories import Operation


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


class Accumulates:
    """What models share whose states depend on all that happened."""

    overwrites: ClassVar[bool] = False

    def gives(self, step: Step) -> Hashable:
        return NOTHING

    def needs(self, step: Step) -> Hashable:
        return NOTHING

    def starts(self, steps: Iterable[Step]) -> list[Hashable] | None:
        return None

    def removable(self, step: Step, others: Sequence[Step]) -> bool:
        return step.pure


@dataclass(frozen=True, slots=True)
class Fresh:
    """A value that occurs in no history."""


FRESH = Fresh()
