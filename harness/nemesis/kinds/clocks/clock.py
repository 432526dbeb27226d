"""`clock`: wrong wall clocks, through a preloaded library or, on machines released for it, by the machine's own clock.

Resolved: `{"offsets_ns": {"n1": 60000000000}}`: wall clock offset while it lasts, monotonic time untouched; or `{"drift_ppm": {"n1": 500}}`, with
`"monotonic": false` of the wall clock alone; or `{"strobe_ns": {"n1": 5000000000}, "period_ns"}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pydantic import Field, model_validator

from ....user_files.measured import PositiveDuration, PositiveShift, SignedDuration
from ....user_files.quantities import format_ns
from ...agent_client.agents import Json, ask, require
from ...agent_client.desired_state import Want
from ...catalog.kind import FREEZE, NO_PROCESS, FaultKind, Fields, Sort, Stream
from ...catalog.knobs import Knobs
from ...catalog.random_forms import CLOCKS, TARGETS, on_nodes
from ...catalog.timing import Aimed
from ...cluster.clock_library import clock_of
from ...faults.clock_settings import TRUE, Setting, is_as_set, look_for, rate_ppm, settings_of
from ...faults.fault import Intent, Observation, Resolved, Situation
from ...faults.force import Force
from ...faults.targets import resolve_target
from ..base import Ground, Package, Probe
from . import machine_clocks, system_report
from .abilities import drifts_and_strobes, sets

HINT = "with `clock: system` in an inventory, the machine's clock is set for all programs; an adapter's `clock(host)` reports the clock that the system sees"


MAX_DRIFT_PPM = 200_000
_STROBE_PERIOD_NS = 200_000_000
_STROBE_PERIODS_NS = (2_000_000, 5_000_000_000)


class ClockSpec(Aimed):
    """The targets' clocks are wrong while it lasts. Exactly one of `offset`, `bump`, `spread`, `drift_ppm` and `strobe` must be given."""

    kind: ClassVar[str] = "clock"
    later: ClassVar[frozenset[str]] = frozenset({"monotonic"})
    streams: ClassVar[Mapping[str, str]] = {"bump": "jump"}

    offset: SignedDuration | None = Field(default=None, description="the clock of every target is off by this much")
    bump: PositiveShift | None = Field(
        default=None, description="the clock of each target is off by this much, forward or back at random"
    )
    spread: PositiveShift | None = Field(
        default=None, description="the clock of each target is off by a random amount between minus this and this"
    )
    drift_ppm: int | None = Field(
        default=None, ge=-MAX_DRIFT_PPM, le=MAX_DRIFT_PPM, description="clocks run this much too fast or too slow"
    )
    monotonic: bool | None = Field(
        default=None,
        description="drift_ppm: with `false` only the wall clock drifts; otherwise the oscillator is wrong, and monotonic time drifts too",
    )
    strobe: SignedDuration | None = Field(
        default=None, description="the clock is alternately off by this much and correct"
    )
    period: PositiveDuration | None = Field(default=None, description="strobe: the time of one cycle")

    @model_validator(mode="after")
    def _one_amount(self) -> ClockSpec:
        amounts = (self.offset, self.bump, self.spread, self.drift_ppm, self.strobe)
        if sum(value is not None for value in amounts) != 1:
            raise ValueError("a clock fault needs exactly one of `offset`, `bump`, `spread`, `drift_ppm` and `strobe`")
        for word in ("offset", "drift_ppm", "strobe"):
            if getattr(self, word) == 0:
                raise ValueError(f"`{word}: {'0' if word == 'drift_ppm' else '0s'}` changes nothing")
        if self.period is not None and self.strobe is None:
            raise ValueError("`period` needs `strobe`")
        if self.period is not None and not _STROBE_PERIODS_NS[0] <= self.period <= _STROBE_PERIODS_NS[1]:
            raise ValueError(
                f"`period: {format_ns(self.period)}` is not from 2ms to 5s; for a longer cycle use `offset` with `every`"
            )
        if self.monotonic is not None and self.drift_ppm is None:
            raise ValueError("`monotonic` needs `drift_ppm`: no other clock fault changes monotonic time")
        return self

    def needs(self) -> frozenset[str]:
        if self.drift_ppm is not None:
            return frozenset({"clock-drift" if self.monotonic is False else "clock-oscillator"})
        return frozenset({"clock-strobe" if self.strobe is not None else "clock"})

    def parameters(self) -> dict[str, Any]:
        amounts = {
            "offset_ns": self.offset,
            "jump_ns": self.bump,
            "spread_ns": self.spread,
            "drift_ppm": self.drift_ppm,
            "strobe_ns": self.strobe,
            "period_ns": (self.period or _STROBE_PERIOD_NS) if self.strobe is not None else None,
        }
        wall_alone = {"monotonic": False} if self.monotonic is False else {}
        return {
            "target": self.target,
            **{name: value for name, value in amounts.items() if value is not None},
            **wall_alone,
        }


class OnHosts(Package):
    kinds = ("clock",)
    abilities: ClassVar[Mapping[str, Probe]] = {
        "clock": sets,
        "clock-drift": drifts_and_strobes,
        "clock-strobe": drifts_and_strobes,
    }

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        for node, setting in settings_of(fault.what).items():
            yield node, "clock", dict(setting)

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        """Record machines' own clocks, as the reference for later observations."""
        own = [node for node in settings_of(fault.what) if node in ground.on and _is_own(node, ground)]
        before_ns = machine_clocks.remember(ground, own)
        return {"offsets_before_ns": before_ns} if before_ns else {}

    def end(self, fault: Resolved, ground: Ground) -> Json:
        """Check whether it reached every process that runs by now, such as one that was started meanwhile. An agent that does not answer here is found by
        `look`, which asks it again.
        """
        seen = ground.notes.pop(_note(fault), {}).get("verified", False)
        nodes = [
            node
            for node, setting in settings_of(fault.what).items()
            if node in ground.on and not _is_own(node, ground) and not system_report.asks(ground, setting)
        ]
        request = {"do": "look", "part": "clock", "reach": True}
        answers, _ = ask(ground.cluster.nodes, dict.fromkeys(nodes if seen else (), request))
        missed = {node: answer["missed"] for node, answer in answers.items() if answer["missed"]}
        ground.notes[_note(fault)] = {"missed": missed}
        return {"unaffected": missed, "hint": HINT} if missed else {}

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        """Verify by a fresh process under the same clock; while it is `on`, also in the service's own processes."""
        own, force = settings_of(fault.what), ground.force
        wanted = {node: force.clocks.get(node, TRUE) for node in own if node in ground.on}
        answers = _ask(fault, wanted, ground, on)
        right = [_is_right(wanted[node], answer, on) for node, answer in answers.items()]
        holders = {node: force.clock_holders.get(node) for node in own}
        others = {node: other for node, other in holders.items() if other not in (None, fault.intent.id)}
        facts = {"held_by": others} if others else {}
        seen = {**_seen(fault, answers), **(_effect(answers) if on else {}), **facts}
        verified = bool(right) and all(right)
        if on:
            ground.notes[_note(fault)] = {"verified": verified}
            return Observation(verified, seen)
        missed = ground.notes.pop(_note(fault), {}).get("missed")
        # Of a host that is off nothing is learnt.
        return Observation(verified and not missed and answers.keys() == own.keys(), seen)


def _note(fault: Resolved) -> str:
    return f"clock fault {fault.intent.id}"


def _ask(fault: Resolved, wanted: Mapping[str, Setting], ground: Ground, on: bool) -> dict[str, Json]:
    """Return each node's observed clock, and while the fault is `on` whether it reaches the service."""
    own, machines = settings_of(fault.what), [node for node in wanted if _is_own(node, ground)]
    requests = {
        node: {
            **look_for(own[node], wanted[node]).request(),
            "effect": on,
            "paused": node in ground.force.paused,
        }
        for node in wanted
        if node not in machines
    }
    answers = require(ask(ground.cluster.nodes, requests), "looking at the clocks")
    if on:
        answers = {node: _as_the_system_says(node, ground, wanted[node], answer) for node, answer in answers.items()}
    return {**answers, **{node: _look_at_machine(node, ground, wanted[node]) for node in machines}}


def _is_right(wanted: Setting, answer: Json, on: bool) -> bool:
    """Return whether the clock is as wanted. A process that is down is not checked: it gets the clock when it comes back."""
    if "system clock" in answer.get("means", ()):
        return bool(answer["affected"])
    reached = answer["pid"] is None or answer.get("affected", not on)
    return is_as_set(wanted, answer["readings"]) and bool(reached) and not answer.get("left")


def _is_own(node: str, ground: Ground) -> bool:
    return clock_of(ground.cluster.hosts[node]) == "system"


def _look_at_machine(node: str, ground: Ground, wanted: Setting) -> Json:
    """All programs of the machine read its clock."""
    seen = machine_clocks.reading(ground, node)
    return {
        "readings": [seen],
        "affected": machine_clocks.is_moved_as(wanted, seen),
        "means": ["system clock"],
        "pid": -1,
    }


def _as_the_system_says(node: str, ground: Ground, wanted: Setting, answer: Json) -> Json:
    """Return the answer, corrected by the system's own report: that counts for more than what is known of its processes."""
    if answer["pid"] is None or not system_report.asks(ground, wanted):
        return answer
    try:
        seen = system_report.reading(ground, node)
    except Exception as error:
        # The adapter is the user's code: whatever it raises, its clock then counts as unknown.
        why = f"`clock` of the adapter raised {type(error).__name__}: {error}"
        return {**answer, "why": [*answer.get("why", ()), why]}
    if seen is None:
        return answer
    if system_report.shows(wanted, seen):
        return {**answer, "affected": True, "why": [], "said_ns": seen[1]}
    why = f"the system itself says that its clock is off by {seen[1]} ns, with an error of at most {seen[2]}"
    return {**answer, "affected": False, "why": [why, *answer.get("why", ())], "said_ns": seen[1]}


def _effect(answers: Mapping[str, Json]) -> Json:
    """Return by node whether the clock reaches the system's processes, by which means, and why not."""
    seen: Json = {
        "affected": {node: bool(answer.get("affected")) for node, answer in answers.items()},
        "means": {node: answer["means"] for node, answer in answers.items() if answer.get("means")},
    }
    if said := {node: answer["said_ns"] for node, answer in answers.items() if "said_ns" in answer}:
        seen["said_ns"] = said
    if why := {node: answer["why"] for node, answer in answers.items() if answer.get("why")}:
        seen |= {"unaffected": why, "hint": HINT}
    return seen


def _seen(fault: Resolved, answers: Mapping[str, Json]) -> Json:
    """Content for the ledger: also offsets when the fault's end is verified, since that is what remains of a drift."""
    last = {node: answer["readings"][-1] for node, answer in answers.items()}
    seen: Json = {
        "offsets_ns": {node: reading[1] for node, reading in last.items()},
        "errors_ns": {node: reading[2] for node, reading in last.items()},
    }
    for name in ("late", "left", "uncounted"):
        if found := {node: answer[name] for node, answer in answers.items() if answer.get(name)}:
            seen[name] = found
    if "drift_ppm" in fault.what:
        rates = {node: rate_ppm(answer["readings"]) for node, answer in answers.items()}
        seen["drift_ppm"] = {node: round(rate[0], 1) for node, rate in rates.items() if rate is not None}
    if "strobe_ns" in fault.what:
        offsets = {node: [offset for _, offset, _ in answer["readings"]] for node, answer in answers.items()}
        seen["spans_ns"] = {node: max(there) - min(there) for node, there in offsets.items()}
    return seen


_DRIFTS = (-4_000, -200, 200, 4_000)
_RECORDED = {"offsets_ns": "offset_ns", "drift_ppm": "drift_ppm", "strobe_ns": "strobe_ns"}
"""Field of the resolved form → the parameter that gives each node this value."""


def _bump(knobs: Knobs) -> Fields:
    bump = knobs.choose("jump", ("50ms", "1s", "60s", "1h"))
    return {"target": knobs.choose("target", TARGETS), "bump": bump}


class Clock(FaultKind):
    name, spec = "clock", ClockSpec
    hidden_by = NO_PROCESS | {FREEZE}
    of_the_provider = frozenset({"clock"})
    of_the_system: ClassVar[Mapping[str, str]] = dict.fromkeys(("clock", "clock-drift", "clock-strobe"), "clock")
    instead: ClassVar[Mapping[str, str]] = {
        "clock-oscillator": "with `monotonic: false` only the wall clock drifts; for both clocks, use --hosts sim"
    }
    sorts: ClassVar[Mapping[str, Sort]] = {
        "bump": Sort("clock", CLOCKS, _bump, stream="jump"),
        "back": on_nodes("clock", {"offset": ("-50ms", "-1s", "-60s")}, lane=CLOCKS),
        "drift": on_nodes("clock", {"drift_ppm": _DRIFTS}, lane=CLOCKS),
        "strobe": on_nodes("clock", {"strobe": ("20ms", "-1s", "60s"), "period": ("50ms", "300ms")}, lane=CLOCKS),
        "wall-drift": on_nodes("clock", {"drift_ppm": _DRIFTS, "monotonic": (False,)}, lane=CLOCKS),
    }

    def resolve(self, intent: Intent, situation: Situation, stream: Stream) -> Json:
        parameters = intent.parameters
        nodes = resolve_target(parameters["target"], situation, stream("target"))
        if "drift_ppm" in parameters:
            drifts = {node: int(parameters["drift_ppm"]) for node in nodes}
            return {"drift_ppm": drifts, **({} if parameters.get("monotonic", True) else {"monotonic": False})}
        if "strobe_ns" in parameters:
            amplitudes = {node: int(parameters["strobe_ns"]) for node in nodes}
            return {"strobe_ns": amplitudes, "period_ns": int(parameters["period_ns"])}
        return {"offsets_ns": {node: _offset_ns(node, parameters, stream) for node in nodes}}

    def pinned(self, what: Mapping[str, Any]) -> list[Json]:
        """Return one intent for each distinct recorded value, with the nodes whose clocks took it."""
        rest = {name: what[name] for name in ("period_ns", "monotonic") if name in what}
        found: list[Json] = []
        for recorded, parameter in _RECORDED.items():
            by_value: dict[int, list[str]] = {}
            for node, value in what.get(recorded, {}).items():
                by_value.setdefault(value, []).append(node)
            found += [{"target": nodes, parameter: value, **rest} for value, nodes in by_value.items()]
        return found

    def add_to(self, force: Force, what: Mapping[str, Any], ident: str) -> None:
        settings = settings_of(what)
        force.clocks |= settings
        force.clock_holders |= dict.fromkeys(settings, ident)

    def unseen(self, what: Mapping[str, Any], observed: Mapping[str, Any]) -> list[Any]:
        """Return nodes whose processes the clock does not reach."""
        return [node for node, is_affected in (observed.get("affected") or {}).items() if not is_affected]

    def unheard(self, what: Mapping[str, Any], observed: Mapping[str, Any]) -> list[Any]:
        """Return nodes whose clocks could not be read, if the others are right as far as it is known."""
        if "unaffected" in observed or "left" in observed:
            return []
        return [node for node in settings_of(what) if node not in observed.get("offsets_ns", {})]

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> Any:
        from ....simulator.faults.clocks import ClockFaults

        return ClockFaults(ground)


def _offset_ns(node: str, parameters: Mapping[str, Any], stream: Stream) -> int:
    """Return the offset of one node. Each node has a random number of its own, so other targets change nothing for it."""
    random = stream(f"offset/{node}")
    if "offset_ns" in parameters:
        return int(parameters["offset_ns"])
    if "jump_ns" in parameters:
        return int(parameters["jump_ns"]) * random.choice((-1, 1))
    spread_ns = int(parameters["spread_ns"])
    return random.randint(-spread_ns, spread_ns)


KIND = Clock()
