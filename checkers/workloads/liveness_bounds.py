"""Ground truth for failure detection and membership: when each node was down, or may have been, by the ledger's faults."""

from __future__ import annotations

from dataclasses import dataclass

from ..base.result import Fault, RunRecord
from ..faults.kinds import STOPS, may_be_down, stopped

FOREVER_NS = 2**62


@dataclass(frozen=True, slots=True)
class Outage:
    """`node` was down from `start_ns` to `end_ns` (run time), and certainly up before `begin_ns` and after `back_ns`.

    Unless it is `certain`, the node may or may not have been down: then a suspicion is no mistake, and none is no failure to detect.
    """

    node: str
    fault: str
    begin_ns: int
    start_ns: int
    end_ns: int
    back_ns: int
    certain: bool = True


def outages(record: RunRecord) -> list[Outage]:
    """Return the outages in order of their start. One that was never healed lasts without end."""
    found = [outage for fault in record.faults for outage in _outages(fault)]
    return sorted(found, key=lambda outage: (outage.start_ns, outage.node))


def down_at_end(record: RunRecord) -> frozenset[str]:
    return frozenset(outage.node for outage in outages(record) if outage.certain and outage.end_ns == FOREVER_NS)


def perhaps_down_at_end(record: RunRecord) -> frozenset[str]:
    """Return those that were certainly down to the end, and those that may have been."""
    return frozenset(outage.node for outage in outages(record) if outage.back_ns == FOREVER_NS)


def _outages(fault: Fault) -> list[Outage]:
    end_ns = FOREVER_NS if fault.heal_ns is None else fault.heal_ns
    back_ns = FOREVER_NS if fault.healed_ns is None else max(end_ns, fault.healed_ns)
    certain = fault.kind in STOPS and fault.verified and fault.injected_ns is not None
    nodes = stopped(fault) if fault.kind in STOPS else sorted(may_be_down(fault))
    start_ns = fault.start_ns if fault.injected_ns is None else fault.injected_ns
    return [Outage(node, fault.id, fault.start_ns, start_ns, end_ns, back_ns, certain) for node in nodes]
