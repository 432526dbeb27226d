"""Faults that a search drew and that did nothing: noted and counted, no doubt, as long as most of what the same search drew for the run took effect.

A user who writes a fault asks what the system does under that fault, so a run in which it did nothing has no answer. A search draws dozens of
faults a trial at random, and asks what the system does under any of them: a drawn fault without effect makes the trial a sample of fewer faults. That is not
less sound: no checker concludes anything from a fault that was not seen, except that it may have been active.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..base.result import Fault


def without_effect(faults: Sequence[Fault], hidden: Collection[str]) -> tuple[str, ...]:
    """Return drawn faults that were carried out and not seen, and that nothing masked (`hidden`); none where they are more than those that were seen."""
    drawn = [fault for fault in faults if fault.drawn and fault.injected_ns is not None]
    idle = [fault.id for fault in drawn if not fault.verified and not _lapsed(fault) and fault.id not in hidden]
    seen = sum(fault.verified for fault in drawn)
    return tuple(idle) if len(idle) <= seen else ()


def _lapsed(fault: Fault) -> bool:
    """Return whether it ended before its time: it did something, of which too little is known."""
    return bool((fault.observed or {}).get("lapsed"))
