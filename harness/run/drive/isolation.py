"""The way from the load to the liveness phase: everything heals but what keeps the rest of the cluster away from a core.

Faults whose place does not depend on who leads are on before the load's own are healed one by one, so that the core must recover from what the
load left without ever having seen the rest whole. What is aimed at the leader (`settle_ns` is given) can only be aimed when there is one: then
everything heals, the cluster settles, and the rest is broken after that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..plan.plan import Liveness
from .actions import FaultAction, Faults, Verb

Stage = Callable[[int], list[FaultAction]]


class Isolation:
    """Stages in order; each begins when all actions of the one before have ended. Pure: ask `step` again whenever something ended.

    `healing`: everything is being healed, at its request.
    """

    def __init__(self, faults: Faults, liveness: Liveness) -> None:
        self._faults, self._liveness = faults, liveness
        self._wait_until_ns: int | None = None
        self.healing = False
        heal_first: Sequence[Stage] = (self._heal_all, self._settle, self._break)
        break_first: Sequence[Stage] = (self._break, self._heal_load)
        self._stages = list(break_first if liveness.settle_ns is None else heal_first)

    def step(self, now_ns: int) -> tuple[list[FaultAction], bool]:
        """What to do now, and whether the core is whole and alone."""
        while not self._faults.changing and not self.healing:
            if self._wait_until_ns is not None and now_ns < self._wait_until_ns:
                return [], False
            if not self._stages:
                return [], True
            actions = self._stages.pop(0)(now_ns)
            if actions:
                return actions, False
        return [], False

    def healed_all(self) -> None:
        """The `HEAL_ALL` that it asked for has ended."""
        self.healing = False

    @property
    def wait_until_ns(self) -> int | None:
        """When to ask again although nothing ended."""
        return self._wait_until_ns

    def _break(self, now_ns: int) -> list[FaultAction]:
        self._wait_until_ns = None
        return self._faults.break_rest()

    def _heal_load(self, now_ns: int) -> list[FaultAction]:
        return self._faults.heal_load()

    def _heal_all(self, now_ns: int) -> list[FaultAction]:
        self.healing = True
        return [FaultAction(Verb.HEAL_ALL, None)]

    def _settle(self, now_ns: int) -> list[FaultAction]:
        assert self._liveness.settle_ns is not None
        self._wait_until_ns = now_ns + self._liveness.settle_ns
        return []
