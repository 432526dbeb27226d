"""Time in which failure detectors of a simulated run must notice what happened, by their own configuration.

A simulated run knows true times, and whether only faults lose datagrams. Both nodes must be members by the observer's own views: the log may have
found out before the observer did, and then the observer adopts that. Where a fault may delay datagrams or slow nodes down, no time is promised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from ...base.result import Fault, RunRecord
from ...faults.kinds import stopped
from ...liveness.simulated_truth import Truth, known_truth
from ...traces.columns import of
from ...traces.traces import Traces
from ..liveness_bounds import Outage

_DELAY_NOTHING = frozenset({"kill", "power", "wipe", "cut", "voters", "transfer"})
"""Faults that end nodes or drop datagrams, but hold none back."""

Views = Mapping[str, Sequence[tuple[int, frozenset[str]]]]


@dataclass(frozen=True, slots=True)
class Promises:
    """Bounds that the detectors' own configuration promises. `halted` nodes have stopped for good after an error."""

    record: RunRecord
    truth: Truth
    views: Views
    halted: Set[str]

    def detection_ns(self, observer: str, outage: Outage) -> int | None:
        """Return the longest time from the outage to the observer's lasting suspicion; None: nothing is promised."""
        return self._within(observer, outage)

    def failed_ns(self, observer: str, outage: Outage) -> int | None:
        """Return the longest time from the outage to when the observer counts the node as failed; None: nothing is promised."""
        return self._within(observer, outage, self.truth.suspicion_ns) if self.truth.suspicion_ns else None

    def _within(self, observer: str, outage: Outage, more_ns: int = 0) -> int | None:
        calm_ns = min(self.truth.detection_ns, (1 + self._together(outage)) * self.truth.probing_ns)
        for allowed_ns, before_ns, harmless in (
            (calm_ns or self.truth.detection_ns, self.truth.detection_ns, frozenset[str]()),
            (self.truth.worst_detection_ns, self.truth.worst_detection_ns, _DELAY_NOTHING),
        ):
            stretch = (outage.start_ns, outage.start_ns + allowed_ns + more_ns)
            near = self._near(outage.begin_ns - before_ns, stretch[1])
            others = [fault for fault in near if fault.id != outage.fault]
            if all(fault.kind in harmless for fault in others):
                return allowed_ns + more_ns if self._may_judge(observer, outage.node, stretch) else None
        return None

    def _together(self, outage: Outage) -> int:
        """Return how many nodes the fault ended: an observer doubts itself once more for each that does not answer."""
        return max((len(stopped(fault)) for fault in self.record.faults if fault.id == outage.fault), default=1)

    def lasting_since_ns(self, observer: str, target: str, suspects_ns: int, end_ns: int) -> int | None:
        """Return from when on a suspicion that lasted to the end was wrong and should have been taken back long before the end; None: that is not certain."""
        healed_ns = self.record.phases.get("healed")
        overs_ns = [fault.over_ns for fault in self.record.faults]
        if healed_ns is None or None in overs_ns or not all(fault.undone for fault in self.record.faults):
            return None
        since_ns = max(suspects_ns, healed_ns, *(over_ns for over_ns in overs_ns if over_ns is not None), 0)
        allowed_ns = self.truth.detection_ns
        if end_ns - since_ns <= allowed_ns or target in self.halted:
            return None
        return since_ns if self._may_judge(observer, target, (since_ns, end_ns)) else None

    def _near(self, from_ns: int, to_ns: int) -> list[Fault]:
        return [
            fault
            for fault in self.record.faults
            if fault.start_ns <= to_ns and (fault.over_ns is None or not fault.undone or fault.over_ns >= from_ns)
        ]

    def _may_judge(self, observer: str, target: str, stretch: tuple[int, int]) -> bool:
        views, wanted = self.views.get(observer, ()), {observer, target}
        last = [members for at_ns, members in views if at_ns <= stretch[0]][-1:]
        during = [members for at_ns, members in views if stretch[0] < at_ns <= stretch[1]]
        members = bool(last) and all(wanted <= seen for seen in (*last, *during))
        return members and observer not in self.halted


def promises(record: RunRecord, traces: Traces) -> Promises | None:
    """Return the promises. None: on hosts, where true times are not known; without detectors; and where datagrams are lost or reordered without a
    fault.
    """
    truth = known_truth(record)
    if truth is None or not truth.detection_ns or not truth.fair or not truth.datagrams_lossless:
        return None
    lives = traces.incarnations
    halted = {node for node, mine in lives.items() if mine and mine[-1].lines[-1]["event"] == "halt"}
    return Promises(record, truth, _views(traces), halted)


def _views(traces: Traces) -> dict[str, list[tuple[int, frozenset[str]]]]:
    """Return by node its views of the members, each with the time from which on it is active. A boot ends the view before."""
    found: dict[str, list[tuple[int, frozenset[str]]]] = {}
    for incarnation in traces:
        mine = found.setdefault(incarnation.node, [])
        mine.append((traces.place(incarnation.lines[0]).low_ns, frozenset()))
        for line in of(incarnation.lines, ("view",)):
            mine.append((traces.place(line).high_ns, frozenset(line["members"])))
    return found
