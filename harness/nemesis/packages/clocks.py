"""The wall clocks that processes see are wrong: through a preloaded library, or, on machines of one's own that are given away for it, by the machine's clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from .. import machine_clocks
from ..agents import Json, ask, require
from ..clock_abilities import drifts_and_strobes, sets
from ..clock_library import clock_of
from ..clock_settings import TRUE, is_as_set, look_for, rate_ppm, settings_of
from ..faults import Observation, Resolved
from ..wanted import Want
from .base import Ground, Package, Probe


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
        """What is seen of a machine's own clock is seen against what it was."""
        own = [node for node in settings_of(fault.what) if node in ground.on and _is_own(node, ground)]
        before_ns = machine_clocks.remember(ground, own)
        return {"offsets_before_ns": before_ns} if before_ns else {}

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        own, force = settings_of(fault.what), ground.force
        wanted = {node: force.clocks.get(node, TRUE) for node in own if node in ground.on}
        machines = {node: _look_at_machine(node, ground) for node in wanted if _is_own(node, ground)}
        requests = {node: look_for(own[node], wanted[node]).request() for node in wanted if node not in machines}
        answers = {**require(ask(ground.cluster.nodes, requests), "looking at the clocks"), **machines}
        right = [
            machine_clocks.is_moved_as(wanted[node], answer["readings"][0])
            if node in machines
            else is_as_set(wanted[node], answer["readings"])
            # A process that is down takes the clock's file with it when it comes back.
            and (answer["preloaded"] or answer["pid"] is None)
            for node, answer in answers.items()
        ]
        holders = {node: force.clock_holders.get(node) for node in own}
        others = {node: other for node, other in holders.items() if other not in (None, fault.intent.id)}
        told = {"held_by": others} if others else {}
        return Observation(bool(right) and all(right), {**_seen(fault, answers), **told})


def _is_own(node: str, ground: Ground) -> bool:
    return clock_of(ground.cluster.hosts[node]) == "system"


def _look_at_machine(node: str, ground: Ground) -> Json:
    return {"readings": [machine_clocks.reading(ground, node)], "preloaded": False}


def _seen(fault: Resolved, answers: Mapping[str, Json]) -> Json:
    """What the ledger shall tell: offsets when the fault's end is looked for, too, since that is what remains of a drift."""
    last = {node: answer["readings"][-1] for node, answer in answers.items()}
    seen: Json = {
        "offsets_ns": {node: reading[1] for node, reading in last.items()},
        "errors_ns": {node: reading[2] for node, reading in last.items()},
        "preloaded": {node: answer["preloaded"] for node, answer in answers.items()},
    }
    if "drift_ppm" in fault.what:
        rates = {node: rate_ppm(answer["readings"]) for node, answer in answers.items()}
        seen["drift_ppm"] = {node: round(rate[0], 1) for node, rate in rates.items() if rate is not None}
    if "strobe_ns" in fault.what:
        offsets = {node: [offset for _, offset, _ in answer["readings"]] for node, answer in answers.items()}
        seen["spans_ns"] = {node: max(there) - min(there) for node, there in offsets.items()}
    return seen
