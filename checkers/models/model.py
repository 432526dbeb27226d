"""Parts of a sequential specification: states, steps, and what a step does to a state.

States and steps are hashable, because the search interns both. A step is *pure* when it never changes the state, so that it may take effect as soon
as it is legal. An operation of unknown outcome becomes the step of its effect alone, or none when it has no effect.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from tribulation.histories import Operation


@dataclass(frozen=True, slots=True)
class Step:
    """`kind` with its operands. `conditional`: it is illegal in some states."""

    kind: str
    value: Hashable = None
    extra: Hashable = None
    pure: bool = False
    conditional: bool = False


class Illegal:
    """Type of `ILLEGAL`: what `apply` returns where a step cannot happen."""


ILLEGAL = Illegal()


@dataclass(frozen=True, slots=True)
class Nothing:
    """Type of `NOTHING`: no particular state."""


NOTHING = Nothing()


class Model(Protocol):
    """`init` and `apply` are the specification; the other parts let the search prune and explain, and must be sound.

    `overwrites`: each unconditional step leads to a state that does not depend on the one before, and each conditional one is legal in exactly one
    state or in all but one. Then an operation of unknown outcome is needed only when its result is required.
    """

    name: ClassVar[str]
    overwrites: ClassVar[bool]

    def init(self) -> Hashable: ...

    def step(self, op: Operation) -> Step | None: ...

    def apply(self, state: Hashable, step: Step) -> Hashable | Illegal: ...

    def gives(self, step: Step) -> Hashable:
        """Return the state that a changing step leads to; called only where steps overwrite."""
        ...

    def needs(self, step: Step) -> Hashable:
        """Return the one state in which a conditional step is legal, or `NOTHING` when there are several; called only where steps overwrite."""
        ...

    def starts(self, steps: Iterable[Step]) -> list[Hashable] | None:
        """Return states such that, if `steps` cannot be ordered from any of these, they cannot from any state. None: not enumerable."""
        ...

    def removable(self, step: Step, others: Sequence[Step]) -> bool:
        """Return whether removing `step` from any legal order of it and `others` leaves a legal order."""
        ...


class Accumulates:
    """Common base of models whose states depend on the whole past."""

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
