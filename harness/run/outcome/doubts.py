"""Doubts that keep a run whose checkers found nothing from being valid: things that did not happen as planned, or for which there is no evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tribulation.checkers import Fault, Gap, RunRecord
from tribulation.checkers.faults.drawn import without_effect
from tribulation.checkers.faults.kinds import ONCE
from tribulation.checkers.faults.masked import masked
from tribulation.checkers.soundness.no_node import answered_by_no_node
from tribulation.histories import NEMESIS, Event, History, Type
from tribulation.histories.model.columns import ABSENT, OK

from ...evidence.nemesis_events import well_formed

WHOLE = frozenset({"run", "plan", "harness", "history", "ledger", "plugin"})
"""Parts without which nothing can be concluded about the whole run. Each checker says itself whether it needs traces."""

_SEEN_AT_THE_END = frozenset({"cut", "kill", "pause", "power"})
"""Kinds of fault that the observation of all links and processes after the last heal shows to be over, whatever was seen at their own heal."""

_SHAPED = frozenset({"link", "clog"})
"""Kinds of fault that the same observation shows to be over where every link was seen to carry packets as it does without faults. Of a link that
flaps, one observation shows nothing.
"""

_PUT_BACK = frozenset({"old-files"})
"""Effects on disks that come with the heal: a good disk at the end does not show that they happened."""


@dataclass(frozen=True, slots=True)
class Doubts:
    """Reasons why a run is not valid. `unverified` and `not_undone` are ids of faults; `masked` are those that could not show, with the faults that
    masked them; `without_effect` are those that a search drew, and that did nothing.
    """

    unverified: Sequence[str]
    not_undone: Sequence[str]
    masked: dict[str, tuple[str, ...]]
    gaps: Sequence[Gap]
    without_effect: Sequence[str] = ()
    none_took_place: int = 0
    """How many faults were skipped, when none took place; else 0."""
    answered_by_none: str | None = None
    """What shows that operations were answered by something else than the nodes."""

    @property
    def sentences(self) -> list[str]:
        return [
            *(f"fault {fault} was not seen to take effect" for fault in self.unverified),
            *(f"fault {fault} was not seen undone" for fault in self.not_undone),
            *(f"evidence is missing: {gap}" for gap in self.gaps if gap.part in WHOLE),
            *([self.answered_by_none] if self.answered_by_none else []),
            *([f"no fault took place: all {self.none_took_place} were skipped"] if self.none_took_place else []),
        ]


def doubts_of(record: RunRecord, skipped: int = 0) -> Doubts:
    """Return the doubts about a run. `skipped`: how many faults the campaign asked for that did not take place."""
    hidden = masked(record.faults)
    nothing = without_effect(record.faults, hidden)
    return Doubts(
        unverified=[fault.id for fault in record.faults if not fault.verified and fault.id not in {*hidden, *nothing}],
        not_undone=_not_undone(record) if record.is_run else (),
        masked=hidden,
        gaps=record.gaps,
        without_effect=nothing,
        none_took_place=0 if record.faults else skipped,
        answered_by_none=answered_by_no_node(record),
    )


def _not_undone(record: RunRecord) -> list[str]:
    still = [fault for fault in record.faults if _may_be_on(fault)]
    seen = _seen_at_the_end(record.history) if still else None
    return [fault.id for fault in still if seen is None or not _is_over(fault, seen)]


def _is_over(fault: Fault, seen: Mapping[str, Any]) -> bool:
    """Return whether the observation after the last heal shows that the fault is over. For a disk: every disk was checked and none had a problem.
    Only the simulator knows what is `still` active of other kinds.
    """
    still: Mapping[str, Any] = seen.get("still") or {}
    if fault.kind in still:
        return set(fault.intended.get("nodes") or still[fault.kind]).isdisjoint(still[fault.kind])
    if fault.kind in _SHAPED:
        return seen.get("altered") == []
    if fault.kind != "disk":
        return fault.kind in _SEEN_AT_THE_END
    disks, nodes = seen.get("disks") or {}, fault.intended.get("nodes") or ()
    return (
        fault.intended.get("effect") not in _PUT_BACK and bool(nodes) and all(disks.get(node) == [] for node in nodes)
    )


def _may_be_on(fault: Fault) -> bool:
    if fault.injected_ns is None or fault.kind in ONCE:
        return False
    return fault.healed_ns is None or not fault.undone


def _seen_at_the_end(history: History) -> Mapping[str, Any] | None:
    """Return what was observed after the last heal of everything, if all links and processes were seen to be healthy."""
    seen = [event.value for event in well_formed(history, "healed", "healed-all") if _is_of_all(event)]
    return (seen[-1].get("observed") or {}) if seen and seen[-1]["verified"] else None


def _is_of_all(event: Event) -> bool:
    """Return whether the event ends a heal of everything. The simulator writes it as the end of a heal that names no fault."""
    return event.f == "healed-all" or (event.f == "healed" and event.value.get("fault") is None)


def last_ok_ms(history: History) -> dict[str, float]:
    """Return by node when the last operation through it ended ok, in ms of the run."""
    last = {node: time_ns for node, time_ns, is_ok in _through_nodes(history) if is_ok}
    return {node: round(ns / 1e6, 1) for node, ns in sorted(last.items())}


def silent_after_heal(record: RunRecord) -> list[str]:
    """Return the nodes through which operations were tried after everything was healed, and none ended ok."""
    healed_ns = record.phases.get("healed")
    if healed_ns is None:
        return []
    tried: dict[str, bool] = {}
    for node, time_ns, is_ok in _through_nodes(record.history):
        if time_ns >= healed_ns:
            tried[node] = tried.get(node, False) or is_ok
    return sorted(node for node, ok in tried.items() if not ok)


def _through_nodes(history: History) -> Iterable[tuple[str, int, bool]]:
    """Return for each client event that names a node: the node, the time, and whether it is an ok completion; in order."""
    replies = None if history.loaded else history.columns.replies
    if replies is None:
        return [
            (event.node, event.time_ns, event.type is Type.OK)
            for event in history.events
            if event.node is not None and event.process != NEMESIS
        ]
    columns = history.columns
    nodes = np.concatenate([replies.asked, replies.answered])
    rows = np.flatnonzero(nodes != ABSENT)
    # Where a completion of unknown outcome stood is not known, and does not count.
    rows = rows[np.argsort(np.concatenate([columns.invoke, columns.complete])[rows], kind="stable")]
    is_ok = np.concatenate([np.zeros(len(columns), np.bool_), columns.type == OK])[rows]
    times_ns = np.concatenate([columns.invoke_ns, columns.complete_ns])[rows]
    names = [replies.names[number] for number in nodes[rows].tolist()]
    return zip(names, times_ns.tolist(), is_ok.tolist(), strict=True)
