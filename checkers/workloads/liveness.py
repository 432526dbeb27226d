"""The ground truth for failure detection and membership: when each node was certainly down, by the ledger's faults."""

from __future__ import annotations

from dataclasses import dataclass

from ..result import Fault, RunRecord

STOPS = ("kill", "pause", "power", "wipe", "power-off", "poweroff", "crash", "stop")
"""Kinds of faults that stop their nodes."""

FOREVER_NS = 2**62


@dataclass(frozen=True, slots=True)
class Outage:
    """`node` was certainly down from `start_ns` to `end_ns` (run time), and certainly up before `begin_ns` and after `back_ns`."""

    node: str
    fault: str
    begin_ns: int
    start_ns: int
    end_ns: int
    back_ns: int


def outages(record: RunRecord) -> list[Outage]:
    """In order of their start. One that nobody healed lasts for ever."""
    found = []
    for fault in record.faults:
        if fault.kind in STOPS and fault.injected_ns is not None:
            end_ns = FOREVER_NS if fault.heal_ns is None else fault.heal_ns
            back_ns = FOREVER_NS if fault.healed_ns is None else fault.healed_ns
            found += [
                Outage(node, fault.id, fault.start_ns, fault.injected_ns, end_ns, max(end_ns, back_ns))
                for node in _stopped(fault)
            ]
    return sorted(found, key=lambda outage: (outage.start_ns, outage.node))


def down_at_end(record: RunRecord) -> frozenset[str]:
    return frozenset(outage.node for outage in outages(record) if outage.end_ns == FOREVER_NS)


def _stopped(fault: Fault) -> list[str]:
    told = fault.intended.get("nodes") or fault.intended.get("node") or ()
    return [told] if isinstance(told, str) else list(told)
