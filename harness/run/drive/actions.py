"""The faults of a run as the runner sees them: those that are due, active or over.

Pure, like the runner: it returns the next actions (`FaultAction`) and gets their results (`ActionDone`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from ...nemesis.faults.fault import Intent
from ...nemesis.faults.triggers import Happened, may_start
from ..plan.pacing import MEETING_NS, held_for_ns, holds
from ..plan.plan import Pace


class Verb(str, Enum):
    INJECT = "inject"
    HEAL = "heal"
    HEAL_ALL = "heal-all"


@dataclass(frozen=True, slots=True)
class FaultAction:
    """An action of the nemesis. `intent` is None for `HEAL_ALL`. `trigger` is the event that started it, if it waited for one."""

    verb: Verb
    intent: Intent | None
    trigger: Happened | None = None

    @property
    def may_fail(self) -> bool:
        """Whether the fault was only to be tried, where the situation allows it. The final heal undoes what its own heal leaves."""
        return self.intent is not None and bool(self.intent.parameters.get("optional"))


@dataclass(frozen=True, slots=True)
class ActionDone:
    """Result of a fault action. `failed`: it could not be carried out, and `why`; after a failed injection there is nothing to heal."""

    action: FaultAction
    failed: bool = False
    why: str = ""


LANE_REST_NS = 1_000_000_000
"""How long a lane stays free after a heal, so that the system recovers before the next fault of that kind."""

LATE_PART = 10
"""A fault may reach past the end of the load by its time divided by this: on real hosts, faults planned up to the end begin a little late."""


@dataclass(slots=True)
class _Fault:
    intent: Intent
    injected: bool = False
    busy: bool = False
    over: bool = False
    heal_at_ns: int | None = None
    trigger: Happened | None = None
    met: bool = False
    """Whether an operation was under way while it was active."""
    held_until_ns: int = 0
    """The time at which it is healed even if it met no operation."""


class Faults:
    """The faults of the load, by time, and those that isolate the core (`rest`), which begin together.

    Of faults that share a lane, one is active at a time. A fault whose time comes while its lane is taken waits. Those that wait begin in their
    order, except that a fault that was active before waits until every other one was active once. A fault that waits for an event begins at the first
    one that comes while it could begin.
    """

    def __init__(
        self,
        load: Iterable[Intent],
        rest: Iterable[Intent] = (),
        load_ns: int | None = None,
        pace: Pace | None = None,
    ) -> None:
        """`load_ns`: when the load ends. A fault delayed past that is skipped: no operation would meet it.

        With a `pace`, a fault that met no operation is held beyond its time."""
        self._load_ns, self._pace = load_ns, pace
        ordered = sorted(load, key=lambda intent: (intent.at_ns, intent.id))
        self._waiting = deque(_Fault(intent) for intent in ordered if intent.on is None)
        self._armed = [_Fault(intent) for intent in ordered if intent.on is not None]
        self._set_off: list[tuple[int, _Fault]] = []
        """Faults started by an event, with the time at which they begin."""
        self._too_late: list[_Fault] = []
        self._held: list[_Fault] = []
        """Faults whose time has come while their lanes are taken."""
        self._on: list[_Fault] = []
        self._rest = [_Fault(intent) for intent in rest]
        self._free_ns: dict[str, int] = {}
        """The time at which a lane may be used again."""
        self._been_on: set[str] = set()
        """Names, without the number of the start, of all faults that have begun in any lane."""
        self.unhealed: dict[str, str] = {}
        """Faults whose heal failed, and why; also those of `rest` that could not be injected. Nothing is certain before everything is healed."""

    @property
    def changing(self) -> bool:
        """Whether an action is under way. A change of voters does not count: it may itself wait for a heal."""
        return any(fault.busy and fault.intent.kind != "voters" for fault in (*self._on, *self._rest))

    @property
    def never_begun(self) -> list[Intent]:
        """Faults that have not started yet."""
        set_off = (fault for _, fault in self._set_off)
        return [fault.intent for fault in (*self._too_late, *self._held, *self._waiting, *self._armed, *set_off)]

    def listening(self, now_ns: int) -> frozenset[str]:
        """The events that would start a fault now."""
        return frozenset(fault.intent.on["event"] for fault in self._ready(now_ns) if fault.intent.on is not None)

    def happened(self, now_ns: int, event: Happened) -> None:
        """Start the next fault of each item that waits for this event."""
        for fault in self._ready(now_ns):
            on = fault.intent.on
            if on is not None and on["event"] == event.event:
                at_ns = max(now_ns, event.at_ns + on["delay_ns"])
                if may_start(on, at_ns):
                    fault.trigger = event
                    self._armed.remove(fault)
                    self._set_off.append((at_ns, fault))

    def _ready(self, now_ns: int) -> list[_Fault]:
        """Return the first armed fault of each free lane."""
        if not self._armed:
            return []
        taken = {fault.intent.lane for fault in (*self._on, *(f for _, f in self._set_off))}
        first: dict[str, _Fault] = {}
        for fault in self._armed:
            lane = fault.intent.lane
            if lane not in taken and self._free_ns.get(lane, 0) <= now_ns:
                first.setdefault(lane, fault)
        return list(first.values())

    def meet(self, now_ns: int) -> None:
        """Record that an operation is under way. A fault held for one stays a little longer."""
        for fault in self._on:
            if fault.injected and not fault.met:
                fault.met = True
                if _is_past(fault, now_ns) and not fault.busy and self._pace is not None:
                    assert fault.intent.for_ns is not None
                    fault.heal_at_ns = now_ns + min(fault.intent.for_ns, MEETING_NS)

    @property
    def unmet(self) -> bool:
        """Whether a fault that is active, or about to be, met no operation yet."""
        return any(
            not fault.met and not (fault.busy and fault.injected) and fault.intent.kind != "voters"
            for fault in self._on
        )

    @property
    def moves_voters(self) -> bool:
        """Whether a change of voters is under way, so that the quorum is not yet known."""
        return any(fault.busy and fault.intent.kind == "voters" for fault in self._on)

    def _is_held(self, fault: _Fault, now_ns: int) -> bool:
        return self._pace is not None and not fault.met and now_ns < fault.held_until_ns

    def due(self, now_ns: int, may_meet: bool = False) -> list[FaultAction]:
        """Return the actions that are due: heals, then injections. `may_meet`: whether operations can still come."""
        heals = [
            fault
            for fault in self._on
            if not fault.busy
            and fault.injected
            and _is_past(fault, now_ns)
            and not (may_meet and self._is_held(fault, now_ns))
        ]
        return [_begin(fault, Verb.HEAL) for fault in heals] + [
            _begin(fault, Verb.INJECT) for fault in self._begun(now_ns)
        ]

    def _begun(self, now_ns: int) -> list[_Fault]:
        """Take the faults that begin now off their lists, and return them."""
        while self._waiting and self._waiting[0].intent.at_ns <= now_ns:
            self._held.append(self._waiting.popleft())
        late = [fault for fault in self._held if not self._fits(fault, now_ns)]
        if late:
            self._too_late += late
            self._held = [fault for fault in self._held if fault not in late]
        begun = [fault for at_ns, fault in self._set_off if at_ns <= now_ns]
        if begun:
            self._set_off = [(at_ns, fault) for at_ns, fault in self._set_off if at_ns > now_ns]
            self._on += begun
        return begun + self._let_in(now_ns)

    def _fits(self, fault: _Fault, now_ns: int) -> bool:
        """Return whether the fault may still begin. Its planned time always fits; only waiting can have made it too late."""
        if not fault.intent.lane or fault.intent.for_ns is None or self._load_ns is None:
            return True
        lasts_ns = fault.intent.for_ns
        return now_ns + lasts_ns <= self._load_ns + lasts_ns // LATE_PART

    def _let_in(self, now_ns: int) -> list[_Fault]:
        """Take the due faults that have a free lane off their list, and return them."""
        begun: list[_Fault] = []
        while (fault := next((held for held in self._free() if self._rested_ns(held) <= now_ns), None)) is not None:
            self._held.remove(fault)
            self._on.append(fault)
            self._been_on.add(_name(fault))
            begun.append(fault)
        return begun

    def _free(self) -> list[_Fault]:
        """Return the due faults that wait for nothing, or only for their lanes to rest.

        On slow hosts all lanes are late, because they share the hosts' time. Then it is better that one kind is half as frequent than that another
        never occurs.
        """
        if not self._held:
            return []
        taken = {fault.intent.lane for fault in self._on}
        first_ones = any(fault.intent.lane and _name(fault) not in self._been_on for fault in self._held)
        return [
            fault
            for fault in self._held
            if not fault.intent.lane
            or (fault.intent.lane not in taken and not (first_ones and _name(fault) in self._been_on))
        ]

    def _rested_ns(self, fault: _Fault) -> int:
        return self._free_ns.get(fault.intent.lane, 0)

    def next_ns(self, now_ns: int = 0) -> list[int]:
        """Return the times at which something is due by itself: the begin or the heal of a fault of the load."""
        times = [
            fault.held_until_ns if _is_past(fault, now_ns) and self._is_held(fault, now_ns) else fault.heal_at_ns
            for fault in self._on
            if not fault.busy and fault.heal_at_ns is not None
        ]
        if self._waiting:
            times.append(self._waiting[0].intent.at_ns)
        times += [at_ns for at_ns, _ in self._set_off]
        times += [self._rested_ns(fault) for fault in self._free()]
        return times

    def break_rest(self) -> list[FaultAction]:
        return [_begin(fault, Verb.INJECT) for fault in self._rest]

    def heal_load(self) -> list[FaultAction]:
        """Heal each active fault of the load, and no other."""
        return [_begin(fault, Verb.HEAL) for fault in self._on if fault.injected]

    def healed_all(self) -> None:
        self.unhealed.clear()
        self._on = [fault for fault in self._on if not fault.injected]
        for fault in self._rest:
            fault.over = fault.over or fault.injected

    def ended(self, now_ns: int, done: ActionDone) -> None:
        fault = next(fault for fault in (*self._on, *self._rest) if fault.intent is done.action.intent)
        fault.busy = False
        if done.failed and (done.action.verb is Verb.HEAL or any(fault is rest for rest in self._rest)):
            self.unhealed[fault.intent.id] = done.why
        if done.action.verb is Verb.HEAL or done.failed or fault.intent.kind == "voters":
            fault.over = True
            self._on = [other for other in self._on if other is not fault]
            if fault.intent.lane:
                rest_ns = LANE_REST_NS if fault.intent.on is None else fault.intent.on["rest_ns"]
                self._free_ns[fault.intent.lane] = now_ns + rest_ns
        else:
            fault.injected = True
            if fault.intent.for_ns is not None:
                # Counted from its verification, not from when it was due: on a slow host it would otherwise be over before it began.
                fault.heal_at_ns = now_ns + fault.intent.for_ns
                if self._pace is not None and holds(fault.intent):
                    fault.held_until_ns = fault.heal_at_ns + held_for_ns(fault.intent.for_ns, self._pace.hold_most_ns)


def _name(fault: _Fault) -> str:
    return fault.intent.key.rpartition(".")[0]


def _is_past(fault: _Fault, now_ns: int) -> bool:
    return fault.heal_at_ns is not None and fault.heal_at_ns <= now_ns


def _begin(fault: _Fault, verb: Verb) -> FaultAction:
    fault.busy = True
    return FaultAction(verb, fault.intent, fault.trigger if verb is Verb.INJECT else None)
