"""The faults of a run as the runner sees them: which is due, which is on, which is over.

Pure, as the runner is: it says what shall be done (`FaultAction`) and is told what became of it (`ActionDone`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from ...nemesis.faults.fault import Intent
from ...nemesis.faults.triggers import Happened, may_start
from ..plan.pacing import MEETING_NS, held_for_ns
from ..plan.plan import Pace


class Verb(str, Enum):
    INJECT = "inject"
    HEAL = "heal"
    HEAL_ALL = "heal-all"


@dataclass(frozen=True, slots=True)
class FaultAction:
    """`intent` is None for `HEAL_ALL`. `trigger` is what set it off, if it waited for an event."""

    verb: Verb
    intent: Intent | None
    trigger: Happened | None = None

    @property
    def may_fail(self) -> bool:
        """Whether its fault was to be tried only, where the situation allows it: what of it is not undone at its end is at the final heal."""
        return self.intent is not None and bool(self.intent.parameters.get("optional"))


@dataclass(frozen=True, slots=True)
class ActionDone:
    """A fault action ended; `failed` when it could not be carried out (of an injection: then there is nothing to heal), and `why`."""

    action: FaultAction
    failed: bool = False
    why: str = ""


LANE_REST_NS = 1_000_000_000
"""How long a lane stays free after a heal, so that what had failed is back before the next of its kind fails."""

LATE_PART = 10
"""A fault may reach past the end of the load by this part of its time: what is planned to the end begins a little late on real hosts."""


@dataclass(slots=True)
class _Fault:
    intent: Intent
    injected: bool = False
    busy: bool = False
    over: bool = False
    heal_at_ns: int | None = None
    trigger: Happened | None = None
    met: bool = False
    """Whether an operation was under way while it was in force."""
    held_until_ns: int = 0
    """When it is healed even if it met none."""


class Faults:
    """Those of the load, by time, and those that keep all but a core broken (`rest`), which begin together.

    Of faults that share a lane one is on at a time: whose time comes while its lane is taken waits, and those that wait begin in their order,
    except that what was on before waits until everything has been on once. Those that wait for an event begin at the first one that comes while they could.
    """

    def __init__(
        self,
        load: Iterable[Intent],
        rest: Iterable[Intent] = (),
        load_ns: int | None = None,
        pace: Pace | None = None,
    ) -> None:
        """`load_ns`: when the load ends. A fault delayed so long that it would reach past it does not begin: no operation would meet it.

        With a `pace` a fault that met no operation is held beyond its time."""
        self._load_ns, self._pace = load_ns, pace
        ordered = sorted(load, key=lambda intent: (intent.at_ns, intent.id))
        self._waiting = deque(_Fault(intent) for intent in ordered if intent.on is None)
        self._armed = [_Fault(intent) for intent in ordered if intent.on is not None]
        self._set_off: list[tuple[int, _Fault]] = []
        """What an event has set off, and when it begins."""
        self._too_late: list[_Fault] = []
        self._held: list[_Fault] = []
        """Their time has come, but their lanes are taken."""
        self._on: list[_Fault] = []
        self._rest = [_Fault(intent) for intent in rest]
        self._free_ns: dict[str, int] = {}
        """Until when a lane rests."""
        self._been_on: set[str] = set()
        """What has begun in any lane, by its name without the number of the start."""
        self.unhealed: dict[str, str] = {}
        """Faults whose heal failed, and why, and those of the rest that could not be injected: nothing is certain before everything is healed."""

    @property
    def changing(self) -> bool:
        """Whether an action is under way. A change of voters does not count, for it may itself be waiting for a heal."""
        return any(fault.busy and fault.intent.kind != "voters" for fault in (*self._on, *self._rest))

    @property
    def never_begun(self) -> list[Intent]:
        """Those whose turn has not come."""
        set_off = (fault for _, fault in self._set_off)
        return [fault.intent for fault in (*self._too_late, *self._held, *self._waiting, *self._armed, *set_off)]

    def listening(self, now_ns: int) -> frozenset[str]:
        """The events that would set something off."""
        return frozenset(fault.intent.on["event"] for fault in self._ready(now_ns) if fault.intent.on is not None)

    def happened(self, now_ns: int, event: Happened) -> None:
        """Set off the next fault of each item that waits for it."""
        for fault in self._ready(now_ns):
            on = fault.intent.on
            if on is not None and on["event"] == event.event:
                at_ns = max(now_ns, event.at_ns + on["delay_ns"])
                if may_start(on, at_ns):
                    fault.trigger = event
                    self._armed.remove(fault)
                    self._set_off.append((at_ns, fault))

    def _ready(self, now_ns: int) -> list[_Fault]:
        """Of those that are armed the first of each lane that is free."""
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
        """An operation is under way. A fault that was held for it stays a little longer."""
        for fault in self._on:
            if fault.injected and not fault.met:
                fault.met = True
                if _is_past(fault, now_ns) and not fault.busy and self._pace is not None:
                    assert fault.intent.for_ns is not None
                    fault.heal_at_ns = now_ns + min(fault.intent.for_ns, MEETING_NS)

    @property
    def unmet(self) -> bool:
        """Whether a fault is on, or about to be, that met no operation yet."""
        return any(
            not fault.met and not (fault.busy and fault.injected) and fault.intent.kind != "voters"
            for fault in self._on
        )

    @property
    def moves_voters(self) -> bool:
        """Whether a change of voters is under way, so that it is open who a quorum will be."""
        return any(fault.busy and fault.intent.kind == "voters" for fault in self._on)

    def _is_held(self, fault: _Fault, now_ns: int) -> bool:
        return self._pace is not None and not fault.met and now_ns < fault.held_until_ns

    def due(self, now_ns: int, may_meet: bool = False) -> list[FaultAction]:
        """What the load has for this moment. `may_meet`: whether operations can still come."""
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
        """Those whose time has come, taken off their list."""
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
        """Its planned time fits in any case; it is the wait that may have made it too late."""
        if not fault.intent.lane or fault.intent.for_ns is None or self._load_ns is None:
            return True
        lasts_ns = fault.intent.for_ns
        return now_ns + lasts_ns <= self._load_ns + lasts_ns // LATE_PART

    def _let_in(self, now_ns: int) -> list[_Fault]:
        """Of those whose time has come those whose lanes are free."""
        begun: list[_Fault] = []
        while (fault := next((held for held in self._free() if self._rested_ns(held) <= now_ns), None)) is not None:
            self._held.remove(fault)
            self._on.append(fault)
            self._been_on.add(_name(fault))
            begun.append(fault)
        return begun

    def _free(self) -> list[_Fault]:
        """Those that wait for nothing but that their lanes have rested.

        On slow hosts lanes fall behind. They all share the hosts' time, and better one kind twice as rarely than another never.
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
        """When something of the load is due by itself."""
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
        """Heal each fault of the load that is on, and no other."""
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
                # From now, when it is verified, not from when it was due: on a slow host it would otherwise be over before it began.
                fault.heal_at_ns = now_ns + fault.intent.for_ns
                if self._pace is not None:
                    fault.held_until_ns = fault.heal_at_ns + held_for_ns(fault.intent.for_ns, self._pace.hold_most_ns)


def _name(fault: _Fault) -> str:
    return fault.intent.key.rpartition(".")[0]


def _is_past(fault: _Fault, now_ns: int) -> bool:
    return fault.heal_at_ns is not None and fault.heal_at_ns <= now_ns


def _begin(fault: _Fault, verb: Verb) -> FaultAction:
    fault.busy = True
    return FaultAction(verb, fault.intent, fault.trigger if verb is Verb.INJECT else None)
