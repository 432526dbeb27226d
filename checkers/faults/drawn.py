"""Faults without effect that a search drew: they are counted, and cause no doubt as long as most faults that the search drew for the run took effect.

A user who writes a fault asks what the system does under that fault, so a run in which it did nothing has no answer. A search draws dozens of
faults a trial at random, and asks what the system does under any of them: a drawn fault without effect makes the trial a sample of fewer faults. That is not
less sound: no checker concludes anything from a fault that was not seen, except that it may have been active.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..base.result import Fault


def without_effect(faults: Sequence[Fault], hidden: Collection[str]) -> tuple[str, ...]:
    """Return drawn faults that were injected but not observed, and not masked (`hidden`); none if they are more than the observed ones."""
    drawn = [fault for fault in faults if fault.drawn and fault.injected_ns is not None]
    idle = [fault.id for fault in drawn if not fault.verified and not _lapsed(fault) and fault.id not in hidden]
    seen = sum(fault.verified for fault in drawn)
    return tuple(idle) if len(idle) <= seen else ()


def _lapsed(fault: Fault) -> bool:
    """Return whether the fault ended early: it had an effect, but too little is known about it."""
    return bool((fault.observed or {}).get("lapsed"))
