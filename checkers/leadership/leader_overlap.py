"""Time for which several nodes believed to lead at once. Raft allows it as long as only one of them can commit, so it is a figure, no violation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..raft.facts import Reign
from ..traces.traces import FOREVER_NS, NEVER_NS


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two reigns; they overlapped for at least `surely_ns`. Unknown clocks make that 0."""

    first: Reign
    second: Reign
    surely_ns: int
    from_ns: int

    def about(self) -> dict[str, Any]:
        return {
            "leaders": [{"node": reign.node, "term": reign.term} for reign in (self.first, self.second)],
            "from_ms": round(self.from_ns / 1e6, 3),
            "surely_ms": round(self.surely_ns / 1e6, 3),
        }


def overlaps(reigns: list[Reign]) -> list[Overlap]:
    """Return the certain overlaps of different nodes' reigns, by a sweep: O(n log n) and the overlaps themselves.

    A reign certainly lasts from the latest moment at which it may have begun to the earliest at which it may have ended.
    """
    certain = [r for r in reigns if NEVER_NS < r.begins.high_ns < r.ends.low_ns < FOREVER_NS]
    certain.sort(key=lambda reign: reign.begins.high_ns)
    found: list[Overlap] = []
    current: list[Reign] = []
    for reign in certain:
        start_ns = reign.begins.high_ns
        current = [other for other in current if other.ends.low_ns > start_ns]
        for other in current:
            if other.node != reign.node:
                end_ns = min(other.ends.low_ns, reign.ends.low_ns)
                found.append(Overlap(other, reign, end_ns - start_ns, start_ns))
        current.append(reign)
    return found
