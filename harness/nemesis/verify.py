"""Looks whether a fault is what was intended, and whether a heal healed: by probes, process states and clocks, never by the command's word."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .agents import AgentClient, Json, ask, require
from .faults import Observation, Resolved
from .reachability import Reachability
from .resolve import Force

PROCESS_S = 2.0
RESTART_S = 10.0
"""A supervisor may wait a moment before it starts a process again."""
CLOCK_TOLERANCE_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Verifier:
    nodes: Mapping[str, AgentClient]
    reachability: Reachability

    def of(self, fault: Resolved, force: Force, on: bool) -> Observation:
        """After `fault` was put on or taken off, in a cluster where `force` is in force (this fault included, if it is on)."""
        what = fault.what
        if fault.intent.kind == "cut":
            return self._cut(what["edges"], force, on)
        if fault.intent.kind == "kill":
            return self._states(
                what["nodes"], lambda name, seen: (seen["pid"] is None) == (name in force.killed), RESTART_S
            )
        if fault.intent.kind == "pause":
            return self._states(what["nodes"], lambda name, seen: _as_paused(name, seen, force), PROCESS_S)
        if fault.intent.kind == "clock":
            return self._clocks({name: force.offsets_ns.get(name, 0) for name in what["offsets_ns"]})
        return Observation(True)

    def whole(self, whose_process: frozenset[str]) -> Observation:
        """Nothing is in force any more: every link is up, and every process runs on the hosts that have one at all."""
        links = self.reachability.verify(frozenset())
        states = self._states(sorted(whose_process), lambda _, seen: _running(seen), RESTART_S)
        return Observation(links.verified and states.verified, {**links.observed, "states": states.observed["states"]})

    def _cut(self, edges: list[list[str]], force: Force, on: bool) -> Observation:
        seen = self.reachability.verify(force.edges)
        mine = {(source, sink) for source, sink in edges}
        down = [edge for edge in seen.observed["edges"] if not on or tuple(edge) in mine]
        # A cut of no edges is what a shape can come to in a small cluster; it is told, and counts as a fault that did nothing.
        return Observation(seen.verified and bool(mine), {**seen.observed, "edges": down})

    def _states(self, names: list[str], right: Callable[[str, Json], bool], timeout_s: float) -> Observation:
        deadline_s = time.monotonic() + timeout_s
        while True:
            seen = require(ask(self.nodes, {name: {"do": "process"} for name in names}), "looking at the processes")
            good = [name for name in names if right(name, seen[name])]
            if len(good) == len(names) or time.monotonic() >= deadline_s:
                break
            time.sleep(0.02)
        states: dict[str, Any] = {name: seen[name]["state"] or "gone" for name in names}
        return Observation(bool(names) and len(good) == len(names), {"nodes": good, "states": states})

    def _clocks(self, wanted_ns: Mapping[str, int]) -> Observation:
        answers = require(ask(self.nodes, {name: {"do": "clock"} for name in wanted_ns}), "looking at the clocks")
        right = [
            abs(answers[name]["offset_ns"] - offset_ns) <= answers[name]["error_ns"] + CLOCK_TOLERANCE_NS
            # A process that is down takes the clock's file with it when it comes back.
            and (answers[name]["preloaded"] or answers[name]["pid"] is None)
            for name, offset_ns in wanted_ns.items()
        ]
        observed = {
            "offsets_ns": {name: answer["offset_ns"] for name, answer in answers.items()},
            "errors_ns": {name: answer["error_ns"] for name, answer in answers.items()},
            "preloaded": {name: answer["preloaded"] for name, answer in answers.items()},
        }
        return Observation(bool(right) and all(right), observed)


def _running(seen: Json) -> bool:
    return seen["pid"] is not None and seen["state"] not in "Tt"


def _as_paused(name: str, seen: Json, force: Force) -> bool:
    if seen["pid"] is None:
        # It cannot be stopped while it is down; another fault's doing, or the system's.
        return name not in force.paused
    return (seen["state"] in "Tt") == (name in force.paused)
