"""Clocks that are set, that drift, and that jump back and forth.

A drift is of the oscillator, unless it spares monotonic time (`monotonic: false`): then only the wall clock drifts, as can happen on hosts.
"""

from __future__ import annotations

from ...nemesis.faults.fault import Observation, Resolved
from ..options import MILLISECOND
from .ground import Ground, Then

TOLERANCE_NS = 50 * MILLISECOND
DRIFT_LOOK_NS = 20 * MILLISECOND
"""Over this time a nanosecond of difference is a twentieth of a part per million, and other drifts seldom begin or end in it."""


class ClockFaults:
    """Faults of clocks. `_offsets_ns`: what each fault adds to wall clocks now; `_drifts`: what it adds to rates, in parts per million."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._offsets_ns: dict[str, dict[str, int]] = {}
        self._drifts: dict[str, dict[str, int]] = {}

    def inject(self, fault: Resolved, then: Then) -> None:
        if _of_the_wall_alone(fault):
            self._drift_wall(fault, then)
        elif "drift_ppm" in fault.what:
            self._drift(fault, then)
        elif "strobe_ns" in fault.what:
            self._strobe(fault, then)
        else:
            self._shift(fault, then)

    def heal(self, fault: Resolved, then: Then) -> None:
        cluster = self._ground.cluster
        for node, offset_ns in self._offsets_ns.pop(fault.intent.id, {}).items():
            cluster.shift_wall(node, -offset_ns)
        for node, ppm in self._drifts.pop(fault.intent.id, {}).items():
            cluster.drift(node, -ppm)
        if _of_the_wall_alone(fault):
            for node in fault.what["drift_ppm"]:
                cluster.drift_wall(node, fault.intent.id, 0)
            self._measure_wall_rates(list(fault.what["drift_ppm"]), then)
            return
        if "drift_ppm" in fault.what:
            self._measure_rates(list(fault.what["drift_ppm"]), then)
            return
        nodes = list(fault.what["strobe_ns" if "strobe_ns" in fault.what else "offsets_ns"])
        seen = {node: self._ground.wall_offset_ns(node) for node in nodes}
        left = {node: sum(offsets.get(node, 0) for offsets in self._offsets_ns.values()) for node in nodes}
        back = all(abs(seen[node] - left[node]) < TOLERANCE_NS + self._gone_astray_ns(node) for node in nodes)
        self._ground.soon(then, Observation(back, {"offsets_ns": seen}))

    def forget(self) -> None:
        self._offsets_ns.clear()
        self._drifts.clear()

    def _shift(self, fault: Resolved, then: Then) -> None:
        offsets_ns = dict(fault.what["offsets_ns"])
        before = {node: self._ground.wall_offset_ns(node) for node in offsets_ns}
        self._add(fault.intent.id, offsets_ns)
        seen = {node: self._ground.wall_offset_ns(node) for node in offsets_ns}
        moved = all(abs(seen[n] - before[n] - offset_ns) < TOLERANCE_NS for n, offset_ns in offsets_ns.items())
        self._ground.soon(then, Observation(moved, {"offsets_ns": seen}))

    def _strobe(self, fault: Resolved, then: Then) -> None:
        amplitudes_ns, period_ns = dict(fault.what["strobe_ns"]), fault.what["period_ns"]
        seen: dict[str, list[int]] = {node: [] for node in amplitudes_ns}

        def look() -> None:
            for node, offsets in seen.items():
                offsets.append(self._ground.wall_offset_ns(node) - self._by_others_ns(node, fault.intent.id))

        look()
        self._offsets_ns[fault.intent.id] = {}
        self._turn(fault)

        def judged() -> Observation:
            spans = {node: max(offsets) - min(offsets) for node, offsets in seen.items()}
            moved = all(abs(spans[n] - abs(amplitude)) < TOLERANCE_NS for n, amplitude in amplitudes_ns.items())
            return Observation(moved, {"spans_ns": spans})

        cluster = self._ground.cluster
        for quarter in (1, 3, 5):
            cluster.schedule(cluster.now_ns + quarter * period_ns // 4, look)
        self._ground.later(3 * period_ns // 2, then, judged)

    def _by_others_ns(self, node: str, ident: str) -> int:
        """Return what other faults add to this wall clock now."""
        jumps_ns = sum(offsets.get(node, 0) for other, offsets in self._offsets_ns.items() if other != ident)
        return jumps_ns + self._gain_ns(node)

    def _turn(self, fault: Resolved) -> None:
        """Jump for half a period, and back."""
        now = self._offsets_ns.get(fault.intent.id)
        if now is None:
            return
        cluster = self._ground.cluster
        if now:
            for node, offset_ns in now.items():
                cluster.shift_wall(node, -offset_ns)
            now.clear()
        else:
            self._add(fault.intent.id, dict(fault.what["strobe_ns"]))
        cluster.schedule(cluster.now_ns + fault.what["period_ns"] // 2, self._turn, fault)

    def _add(self, ident: str, offsets_ns: dict[str, int]) -> None:
        for node, offset_ns in offsets_ns.items():
            self._ground.cluster.shift_wall(node, offset_ns)
        self._offsets_ns[ident] = offsets_ns

    def _drift(self, fault: Resolved, then: Then) -> None:
        drifts = self._drifts[fault.intent.id] = dict(fault.what["drift_ppm"])
        for node, ppm in drifts.items():
            self._ground.cluster.drift(node, ppm)
        self._measure_rates(list(drifts), then)

    def _drift_wall(self, fault: Resolved, then: Then) -> None:
        for node, ppm in fault.what["drift_ppm"].items():
            self._ground.cluster.drift_wall(node, fault.intent.id, ppm)
        self._measure_wall_rates(list(fault.what["drift_ppm"]), then)

    def _measure_wall_rates(self, nodes: list[str], then: Then) -> None:
        """Measure each wall clock against true time, without jumps: its rate must be that of its oscillator plus its own drifts."""
        cluster = self._ground.cluster

        def run_ns(node: str) -> int:
            return self._raw_wall_ns(node) + self._gain_ns(node)

        before = {node: run_ns(node) for node in nodes}

        def judged() -> Observation:
            seen, right = {}, True
            for node in nodes:
                clock = cluster.nodes[node].clock
                own_ppm = (run_ns(node) - before[node] - DRIFT_LOOK_NS) * 1_000_000 // DRIFT_LOOK_NS - clock.drift_ppm
                seen[node] = own_ppm
                # Rounded three times to whole nanoseconds.
                right = right and abs(own_ppm - sum(ppm for _, ppm in clock.wall_drifts.values())) <= 1
            return Observation(right, {"drift_ppm": seen})

        self._ground.later(DRIFT_LOOK_NS, then, judged)

    def _measure_rates(self, nodes: list[str], then: Then) -> None:
        """Measure both clocks of each node against true time: their rates must be those of the active faults, or the fault did not take effect."""
        cluster = self._ground.cluster
        before = {node: (cluster.nodes[node].mono_ns(), self._raw_wall_ns(node)) for node in nodes}
        boots = {node: cluster.nodes[node].clock.boots for node in nodes}

        def judged() -> Observation:
            seen, right = {}, True
            for node in nodes:
                clock = cluster.nodes[node].clock
                asked = clock.own_drift_ppm + sum(drifts.get(node, 0) for drifts in self._drifts.values())
                after = (cluster.nodes[node].mono_ns(), self._raw_wall_ns(node))
                gained = [now - then_ns - DRIFT_LOOK_NS for now, then_ns in zip(after, before[node], strict=True)]
                rates = [gain * 1_000_000 // DRIFT_LOOK_NS for gain in gained]
                seen[node] = rates[1]
                # A monotonic clock that started again meanwhile shows nothing.
                rates = rates if clock.boots == boots[node] else rates[1:]
                right = right and all(abs(rate - asked) <= 1 for rate in rates)
            return Observation(right, {"drift_ppm": seen})

        self._ground.later(DRIFT_LOOK_NS, then, judged)

    def _raw_wall_ns(self, node: str) -> int:
        """Return the wall clock without its offset and without its own drifts."""
        found = self._ground.cluster.nodes[node]
        return found.wall_ns() - found.clock.wall_offset_ns - self._gain_ns(node)

    def _gain_ns(self, node: str) -> int:
        """Return what this wall clock's own drifts have added to it."""
        return self._ground.cluster.nodes[node].clock.wall_gain_ns(self._ground.cluster.now_ns)

    def _gone_astray_ns(self, node: str) -> int:
        """Return what past and present drifts have added to this wall clock: not an error of the shift that is healed."""
        found = self._ground.cluster.nodes[node]
        return abs(self._ground.wall_offset_ns(node) - found.clock.wall_offset_ns)


def _of_the_wall_alone(fault: Resolved) -> bool:
    return "drift_ppm" in fault.what and not fault.what.get("monotonic", True)
