"""The wall clocks that processes see are wrong, through a preloaded library; the machine's own clock is never set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from ...errors import FaultError
from ...hosts.base import Host
from ..agents import Json, ask, require
from ..clock_library import install
from ..clock_settings import TRUE, is_as_set, look_for, rate_ppm, settings_of
from ..faults import Observation, Resolved
from ..wanted import Want
from .base import Ground, Package, Probe


def _sets(host: Host) -> str:
    return "libfaketime" if install(host).only_sets else "preloaded shim"


def _does_more(host: Host) -> str:
    library = install(host)
    if library.only_sets:
        raise FaultError(
            f"on {host.name} wall clocks can be set, but not made to drift or strobe: libfaketime gives each process its own drift",
            "apt install gcc libc6-dev where the harness runs, for the shim",
        )
    return "preloaded shim"


class Clock(Package):
    kinds = ("clock",)
    abilities: ClassVar[Mapping[str, Probe]] = {"clock": _sets, "clock-drift": _does_more, "clock-strobe": _does_more}

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        for node, setting in settings_of(fault.what).items():
            yield node, "clock", dict(setting)

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        own, force = settings_of(fault.what), ground.force
        wanted = {node: force.clocks.get(node, TRUE) for node in own if node in ground.on}
        requests = {node: look_for(own[node], wanted[node]).request() for node in wanted}
        answers = require(ask(ground.cluster.nodes, requests), "looking at the clocks")
        right = [
            is_as_set(wanted[node], answer["readings"])
            # A process that is down takes the clock's file with it when it comes back.
            and (answer["preloaded"] or answer["pid"] is None)
            for node, answer in answers.items()
        ]
        holders = {node: force.clock_holders.get(node) for node in own}
        others = {node: other for node, other in holders.items() if other not in (None, fault.intent.id)}
        told = {"held_by": others} if others else {}
        return Observation(bool(right) and all(right), {**_seen(fault, answers), **told})


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
