"""The wall clocks that processes see are wrong, through a preloaded library; the machine's own clock is never set."""

from __future__ import annotations

from collections.abc import Iterable

from ..agents import ask, require
from ..faults import Observation, Resolved
from ..wanted import Want
from .base import Ground, Package

TOLERANCE_NS = 1_000_000


class Clock(Package):
    kinds = ("clock",)

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        for node, offset_ns in fault.what["offsets_ns"].items():
            yield node, "clock", {"offset_ns": offset_ns}

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        wanted_ns = {name: ground.force.offsets_ns.get(name, 0) for name in fault.what["offsets_ns"]}
        nodes = [name for name in wanted_ns if name in ground.on]
        questions = {name: {"do": "look", "part": "clock"} for name in nodes}
        answers = require(ask(ground.cluster.nodes, questions), "looking at the clocks")
        right = [
            abs(answers[name]["offset_ns"] - wanted_ns[name]) <= answers[name]["error_ns"] + TOLERANCE_NS
            # A process that is down takes the clock's file with it when it comes back.
            and (answers[name]["preloaded"] or answers[name]["pid"] is None)
            for name in nodes
        ]
        observed = {
            "offsets_ns": {name: answer["offset_ns"] for name, answer in answers.items()},
            "errors_ns": {name: answer["error_ns"] for name, answer in answers.items()},
            "preloaded": {name: answer["preloaded"] for name, answer in answers.items()},
        }
        return Observation(bool(right) and all(right), observed)
