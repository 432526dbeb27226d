"""Masked faults: not observed to take effect, because another verified fault hid them.

A probe that finds nothing names in `hidden_by` the faults behind which this one hides (a killed process cannot be paused, a link that is cut loses no
packets). That is accepted only as far as the ledger confirms it: each of them was verified, at that time, and at the same place. A masked fault had no
effect that a run could have shown anyway. A fault that is not masked and was not observed counts as without effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..base.result import Fault
from ..traces.traces import FOREVER_NS
from .kinds import touched

AFTERMATH_NS = 5_000_000_000
"""The longest time after a heal until processes and connections are back: before, there may be nothing to stop or to break."""


def masked(faults: Sequence[Fault]) -> dict[str, tuple[str, ...]]:
    """Return, for each fault that was injected and not verified, the faults that mask it."""
    known = {fault.id: fault for fault in faults}
    found = {}
    for fault in faults:
        hiding = _hidden_by(fault)
        if hiding and all(ident in known and _masks(known[ident], fault) for ident in hiding):
            found[fault.id] = hiding
    return found


def _hidden_by(fault: Fault) -> tuple[str, ...]:
    observed: Mapping[str, object] = fault.observed or {}
    hiding = observed.get("hidden_by")
    if fault.verified or fault.injected_ns is None or observed.get("lapsed") or not isinstance(hiding, Sequence):
        return ()
    return tuple(str(ident) for ident in hiding)


def _masks(other: Fault, fault: Fault) -> bool:
    if other.id == fault.id or not other.verified or other.injected_ns is None:
        return False
    seen_ns = FOREVER_NS if fault.seen_ns is None else fault.seen_ns
    over_ns = FOREVER_NS if other.over_ns is None else other.over_ns + AFTERMATH_NS
    # A disk is spared when other nodes' disks have suffered.
    at_rest = fault.kind == "disk" and other.kind in ("disk", "wipe")
    return (
        other.injected_ns <= seen_ns
        and over_ns >= fault.start_ns
        and (at_rest or not touched(other).isdisjoint(touched(fault)))
    )
