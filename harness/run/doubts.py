"""What keeps a run whose checkers found nothing from being valid: things that did not happen as planned, or that nothing vouches for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from checkers import Fault, Gap, RunRecord
from checkers.covered import covered
from checkers.fault_kinds import ONCE
from histories import NEMESIS, Event, History

WHOLE = frozenset({"run", "plan", "harness", "history", "ledger"})
"""Parts without which nothing can be said of the whole run. Which checkers need traces is theirs to say."""

_SEEN_AT_THE_END = frozenset({"cut", "kill", "pause", "power"})
"""Kinds of which the look at all links and processes after the last heal shows that they are over, whatever was seen at their own heal."""


@dataclass(frozen=True, slots=True)
class Doubts:
    """`unverified` and `not_undone` are ids of faults, `covered` those that could not show, with what stood before them."""

    unverified: Sequence[str]
    not_undone: Sequence[str]
    covered: dict[str, tuple[str, ...]]
    gaps: Sequence[Gap]

    @property
    def sentences(self) -> list[str]:
        return [
            *(f"fault {fault} was not seen to take effect" for fault in self.unverified),
            *(f"fault {fault} was not seen undone" for fault in self.not_undone),
            *(f"evidence is missing: {gap}" for gap in self.gaps if gap.part in WHOLE),
        ]


def doubts_of(record: RunRecord) -> Doubts:
    hidden = covered(record.faults)
    return Doubts(
        unverified=[fault.id for fault in record.faults if not fault.verified and fault.id not in hidden],
        not_undone=_not_undone(record) if record.is_run else (),
        covered=hidden,
        gaps=record.gaps,
    )


def _not_undone(record: RunRecord) -> list[str]:
    still = [fault for fault in record.faults if _may_be_on(fault)]
    seen = _seen_at_the_end(record.history) if still else False
    return [fault.id for fault in still if not (seen and fault.kind in _SEEN_AT_THE_END)]


def _may_be_on(fault: Fault) -> bool:
    if fault.injected_ns is None or fault.kind in ONCE:
        return False
    return fault.healed_ns is None or not fault.undone


def _seen_at_the_end(history: History) -> bool:
    """Whether all links and processes were seen to be whole after the last heal of everything."""
    seen = [event.value for event in history.events if event.process == NEMESIS and _is_of_all(event)]
    return bool(seen) and bool(seen[-1]["verified"])


def _is_of_all(event: Event) -> bool:
    """The simulator writes it as the end of a heal of no fault in particular."""
    return event.f == "healed-all" or (event.f == "healed" and event.value.get("fault") is None)


def last_ok_ms(history: History) -> dict[str, float]:
    """Node → when the last operation through it ended ok."""
    last: dict[str, int] = {}
    for event in history.events:
        if event.node is not None and event.process != NEMESIS and event.type.value == "ok":
            last[event.node] = event.time_ns
    return {node: round(ns / 1e6, 1) for node, ns in sorted(last.items())}


def silent_after_heal(record: RunRecord) -> list[str]:
    """Nodes through which operations were tried after everything was healed, and none ended ok."""
    healed_ns = record.phases.get("healed")
    if healed_ns is None:
        return []
    tried: dict[str, bool] = {}
    for event in record.history.events:
        if event.node is not None and event.process != NEMESIS and event.time_ns >= healed_ns:
            tried[event.node] = tried.get(event.node, False) or event.type.value == "ok"
    return sorted(node for node, ok in tried.items() if not ok)
