"""Wrong wall clocks: through a preloaded library or, on machines released for it, by the machine's own clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from ...agent_client.agents import Json, ask, require
from ...agent_client.desired_state import Want
from ...cluster.clock_library import clock_of
from ...faults.clock_settings import TRUE, Setting, is_as_set, look_for, rate_ppm, settings_of
from ...faults.fault import Observation, Resolved
from ..base import Ground, Package, Probe
from . import machine_clocks, question
from .abilities import drifts_and_strobes, sets

HINT = "`clock: system` in the inventory of machines of your own sets the clock for all programs; an adapter's `clock(host)` shows what the system sees"


class Clock(Package):
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
        """Remember a machine's own clock, as the reference for later observations."""
        own = [node for node in settings_of(fault.what) if node in ground.on and _is_own(node, ground)]
        before_ns = machine_clocks.remember(ground, own)
        return {"offsets_before_ns": before_ns} if before_ns else {}

    def end(self, fault: Resolved, ground: Ground) -> Json:
        """Check whether it reached every process that runs by now, such as one that was started meanwhile. A process that cannot be checked fails at the
        heal.
        """
        seen = ground.notes.pop(_note(fault), {}).get("verified", False)
        nodes = [
            node
            for node, setting in settings_of(fault.what).items()
            if node in ground.on and not _is_own(node, ground) and not question.asks(ground, setting)
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
        told = {"held_by": others} if others else {}
        seen = {**_seen(fault, answers), **(_effect(answers) if on else {}), **told}
        verified = bool(right) and all(right)
        if on:
            ground.notes[_note(fault)] = {"verified": verified}
            return Observation(verified, seen)
        return Observation(verified and not ground.notes.pop(_note(fault), {}).get("missed"), seen)


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
    """A process that is down is not checked: it gets the clock when it comes back."""
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
    """The system's own report counts for more than what is known of its processes."""
    if answer["pid"] is None or not question.asks(ground, wanted):
        return answer
    try:
        seen = question.reading(ground, node)
    except Exception as error:
        # The adapter is the user's code: whatever it raises, its clock then counts as unknown.
        why = f"`clock` of the adapter raised {type(error).__name__}: {error}"
        return {**answer, "why": [*answer.get("why", ()), why]}
    if seen is None:
        return answer
    if question.shows(wanted, seen):
        return {**answer, "affected": True, "why": [], "said_ns": seen[1]}
    why = f"the system itself says that its clock is off by {seen[1]} ns, give or take {seen[2]}"
    return {**answer, "affected": False, "why": [why, *answer.get("why", ())], "said_ns": seen[1]}


def _effect(answers: Mapping[str, Json]) -> Json:
    """By node, whether the clock reaches the system's processes, by which means, and why not."""
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
