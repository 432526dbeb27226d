"""The way from the load to the liveness phase: everything is healed except the faults that isolate a core from the rest.

Faults whose place does not depend on the leader are injected before the load's own are healed one by one. So the core must recover from what the
load left without a moment in which the whole cluster is healthy. Faults aimed at the leader (`settle_ns` is given) need one: everything heals,
the cluster settles, and then the rest is broken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..plan.plan import Liveness
from .actions import FaultAction, Faults, Verb

Stage = Callable[[int], list[FaultAction]]


class Isolation:
    """Stages in order; each begins when all actions of the one before have ended. Pure: call `step` again whenever an action ended.

    `healing`: everything is being healed on its request.
    """

    def __init__(self, faults: Faults, liveness: Liveness) -> None:
        self._faults, self._liveness = faults, liveness
        self._wait_until_ns: int | None = None
        self.healing = False
        heal_first: Sequence[Stage] = (self._heal_all, self._settle, self._break)
        break_first: Sequence[Stage] = (self._break, self._heal_load)
        self._stages = list(break_first if liveness.settle_ns is None else heal_first)

    def step(self, now_ns: int) -> tuple[list[FaultAction], bool]:
        """Return what to do now, and whether the core is healthy and isolated."""
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
        """Record that the requested `HEAL_ALL` has ended."""
        self.healing = False

    @property
    def wait_until_ns(self) -> int | None:
        """When to call again although no action ended."""
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
