"""Execution of the runner's fault actions through an injector: resolve, inject, verify, heal, report.

The injector writes the ledger. This adds the history's nemesis lines and keeps what was resolved, so that a heal undoes exactly
what was injected. It blocks; drivers call it from where blocking is allowed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import FaultError, TribulationError
from ...nemesis.faults.fault import Injector, Observation, Resolved, Situation, links_down
from ...nemesis.faults.triggers import knows, set_off, situated
from ...nemesis.topology.resolve import resolve
from ...trouble import Trouble
from .actions import ActionDone, FaultAction, Verb
from .journal import Journal


@dataclass(slots=True)
class Nemesis:
    """Executor of fault actions. `active` maps the id of each active fault to its resolved form; `trouble` takes faults that could not be carried out."""

    injector: Injector
    journal: Journal
    seed: int
    now_ns: Callable[[], int]
    active: dict[str, Resolved] = field(default_factory=dict)
    trouble: Trouble = field(default_factory=Trouble)
    _last: Situation | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def errors(self) -> list[str]:
        """This run's errors of the environment so far."""
        return self.trouble.errors

    def carry_out(self, action: FaultAction) -> ActionDone:
        """Carry out an action. Never raises for an error of the environment: it is kept and reported, and decides the run's exit code."""
        name = action.verb.value if action.intent is None else f"{action.verb.value} {action.intent.id}"
        try:
            if action.verb is Verb.INJECT:
                self._inject(action)
            elif action.verb is Verb.HEAL:
                self._heal(action)
            else:
                self._heal_all()
        except TribulationError as error:
            if action.verb is not Verb.HEAL_ALL and not action.may_fail:
                self.trouble.add(name, error)
            # The runner heals everything again, and reports the error when every try failed.
            self._record(
                f"{action.verb.value}-failed", {"fault": action.intent and action.intent.id, "error": error.message}
            )
            return ActionDone(action, failed=True, why=str(error))
        return ActionDone(action)

    def _inject(self, action: FaultAction) -> None:
        assert action.intent is not None
        with self.injector.steady(action.intent):
            resolved = set_off(resolve(action.intent, self._situation(action), self.seed), action.trigger)
            self._record("inject", {"fault": action.intent.id, "kind": action.intent.kind, **resolved.what})
            observation = self.injector.inject(resolved)
        if action.intent.kind != "voters":
            with self._lock:
                self.active[action.intent.id] = resolved
        self._record("injected", {"fault": action.intent.id, **_seen(observation)})

    def _situation(self, action: FaultAction) -> Situation:
        """Return the situation in which targets are resolved.

        For a fault started by an event, the event often names the target: asking the nodes would take longer than the moment lasts.
        """
        assert action.intent is not None
        if action.trigger is None or self._last is None or not knows(action.trigger, action.intent):
            self._last = self.injector.situation()
        return situated(self._last, action.trigger)

    def _heal(self, action: FaultAction) -> None:
        assert action.intent is not None
        with self._lock:
            resolved = self.active.pop(action.intent.id)
        self._record("heal", {"fault": action.intent.id, "kind": action.intent.kind})
        self._record("healed", {"fault": action.intent.id, **_seen(self.injector.heal(resolved))})

    def _heal_all(self) -> None:
        self._record("heal-all", {"active": sorted(self.active)})
        observation = self.injector.heal_all()
        with self._lock:
            self.active.clear()
        self._record("healed-all", _seen(observation))
        require_whole(observation)

    def _record(self, what: str, value: Mapping[str, Any]) -> None:
        self.journal.nemesis(self.now_ns(), what, value)


def require_whole(observation: Observation) -> None:
    """Raise `FaultError` when links are down although every fault is healed. A process that does not run again is the system's own problem."""
    down = () if observation.verified else links_down(observation)
    if down:
        text = ", ".join(f"{source} to {target}" for source, target in down[:3])
        raise FaultError(
            f"{len(down)} links are down after everything was healed, such as {text}",
            "is a host or the network between hosts down?",
        )


def _seen(observation: Observation) -> dict[str, Any]:
    return {"verified": observation.verified, "observed": dict(observation.observed)}
