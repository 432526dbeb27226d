"""The faults of a run as the runner sees them: which is due, which is on, which is over.

Pure, as the runner is: it says what shall be done (`FaultAction`) and is told what became of it (`ActionDone`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from ..nemesis.faults import Intent


class Verb(str, Enum):
    INJECT = "inject"
    HEAL = "heal"
    HEAL_ALL = "heal-all"


@dataclass(frozen=True, slots=True)
class FaultAction:
    """`intent` is None for `HEAL_ALL`."""

    verb: Verb
    intent: Intent | None


@dataclass(frozen=True, slots=True)
class ActionDone:
    """A fault action ended; `failed` when it could not be carried out (then there is nothing to heal)."""

    action: FaultAction
    failed: bool = False


@dataclass(slots=True)
class _Fault:
    intent: Intent
    injected: bool = False
    busy: bool = False
    over: bool = False
    heal_at_ns: int | None = None


class Faults:
    """Those of the load, by time, and those that keep all but a core broken (`rest`), which begin together."""

    def __init__(self, load: Iterable[Intent], rest: Iterable[Intent] = ()) -> None:
        self._load = [_Fault(intent) for intent in sorted(load, key=lambda intent: (intent.at_ns, intent.id))]
        self._rest = [_Fault(intent) for intent in rest]

    @property
    def changing(self) -> bool:
        """Whether an action is under way. A change of voters does not count, for it may itself be waiting for a heal."""
        return any(fault.busy and fault.intent.kind != "voters" for fault in (*self._load, *self._rest))

    def due(self, now_ns: int) -> list[FaultAction]:
        """What the load has for this moment."""
        actions = []
        for fault in self._load:
            if fault.busy or fault.over:
                continue
            if fault.injected:
                if fault.heal_at_ns is not None and fault.heal_at_ns <= now_ns:
                    actions.append(_begin(fault, Verb.HEAL))
            elif fault.intent.at_ns <= now_ns:
                actions.append(_begin(fault, Verb.INJECT))
        return actions

    def next_ns(self) -> list[int]:
        """When something of the load is due by itself."""
        waiting = [fault for fault in self._load if not fault.busy and not fault.over]
        times = [fault.heal_at_ns if fault.injected else fault.intent.at_ns for fault in waiting]
        return [at_ns for at_ns in times if at_ns is not None]

    def break_rest(self) -> list[FaultAction]:
        return [_begin(fault, Verb.INJECT) for fault in self._rest]

    def heal_load(self) -> list[FaultAction]:
        """Heal each fault of the load that is on, and no other."""
        return [_begin(fault, Verb.HEAL) for fault in self._load if fault.injected and not fault.over]

    def healed_all(self) -> None:
        for fault in (*self._load, *self._rest):
            fault.over = fault.over or fault.injected

    def ended(self, now_ns: int, done: ActionDone) -> None:
        fault = next(fault for fault in (*self._load, *self._rest) if fault.intent is done.action.intent)
        fault.busy = False
        if done.action.verb is Verb.HEAL or done.failed or fault.intent.kind == "voters":
            fault.over = True
        else:
            fault.injected = True
            if fault.intent.for_ns is not None:
                # From now, when it is verified, not from when it was due: on a slow host it would otherwise be over before it began.
                fault.heal_at_ns = now_ns + fault.intent.for_ns


def _begin(fault: _Fault, verb: Verb) -> FaultAction:
    fault.busy = True
    return FaultAction(verb, fault.intent)
