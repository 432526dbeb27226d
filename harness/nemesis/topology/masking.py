"""Masking: a fault that has no visible effect because another, verified fault hides it.

A killed process cannot be paused, a link that is cut loses no packets, connections that do not exist do not break. A probe that finds nothing then
reports it: `hidden_by` in its observation names the faults behind which this one hides. That is no excuse for a fault that did nothing where nothing
masked it. No fault is accepted as a mask before it was verified itself (`tribulation.checkers.faults.masked` decides).

    covering.began(fault, now); …; covering.saw(fault, observation); …; covering.ended(fault, now)
    covering.hidden(pause, ["n2"], since)        # -> ("kill-leader-1f2e3d.1",), or () when n2 was free
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..catalog import catalog
from ..faults.fault import Observation, Resolved
from .partitions import Edge


def _masks_of(fault: Resolved, ending: bool) -> frozenset[str]:
    """The kinds and groups that may hide this fault, or its end."""
    kind = catalog.kind_of(fault.intent.kind)
    own = frozenset[str]() if kind is None else kind.masked_by(fault.what, ending)
    return own.union(each.name for each in catalog.kinds() if fault.intent.kind in each.hides)


@dataclass(frozen=True, slots=True)
class _On:
    fault: Resolved
    began_ns: int
    ended_ns: int | None = None
    seen: bool | None = None
    """None: not observed yet."""


class Covering:
    """Times are on any one clock that does not go back."""

    def __init__(self) -> None:
        self._known: dict[str, _On] = {}

    def began(self, fault: Resolved, now_ns: int) -> None:
        self._known[fault.intent.id] = _On(fault, now_ns)

    def saw(self, fault: Resolved, observation: Observation) -> None:
        """Record an observation. A fault that is masked itself masks nothing."""
        known = self._known.get(fault.intent.id)
        if known is not None:
            self._known[fault.intent.id] = replace(known, seen=observation.verified)

    def ended(self, fault: Resolved, now_ns: int) -> None:
        known = self._known.get(fault.intent.id)
        if known is not None:
            self._known[fault.intent.id] = replace(known, ended_ns=now_ns)

    def ended_all(self, now_ns: int) -> None:
        for known in list(self._known.values()):
            if known.ended_ns is None:
                self.ended(known.fault, now_ns)

    def hidden(
        self, fault: Resolved, targets: Iterable[str | Edge], since_ns: int, *, ending: bool = False
    ) -> tuple[str, ...]:
        """Return the faults that hid it on these targets (nodes, or edges) at some time since then; () unless each target had one.

        `ending`: it is the end of the fault that is not visible.
        """
        masks = _masks_of(fault, ending)
        others = [known for known in self._known.values() if masks & _acts_as(known.fault)]
        found: dict[str, None] = {}
        for target in targets:
            before = [known for known in others if _stands_before(known, fault, target, since_ns, ending)]
            if not before:
                return ()
            # Those that were seen speak for themselves; of the others it is not known yet whether they did anything.
            seen = [known for known in before if known.seen] or before
            found.update(dict.fromkeys(known.fault.intent.id for known in seen))
        return tuple(found)


def _acts_as(fault: Resolved) -> frozenset[str]:
    kind = catalog.kind_of(fault.intent.kind)
    return frozenset() if kind is None else kind.acts_as(fault.what)


def _stands_before(known: _On, fault: Resolved, target: str | Edge, since_ns: int, ending: bool) -> bool:
    other = known.fault
    if known.seen is False or other.intent.id == fault.intent.id:
        return False
    if known.ended_ns is not None and known.ended_ns < since_ns:
        return False
    kind, of_other = catalog.kind_of(fault.intent.kind), catalog.kind_of(other.intent.kind)
    if kind is None or of_other is None:
        return False
    if kind is of_other and not ending and not kind.is_masked_by_like(fault.what, other.what):
        return False
    nodes = other.what.get("nodes", ())
    if isinstance(target, str):
        edges = other.what.get("edges", ()) if kind.needs_traffic(fault.what) else ()
        return target in nodes or any(sink == target for _, sink in edges)
    if any(end in nodes for end in target):
        return True
    ways = {(source, sink) for source, sink in other.what.get("edges", ())}
    return target in ways or ((kind.both_ways or of_other.both_ways) and target[::-1] in ways)


def unseen(fault: Resolved, observation: Observation) -> list[str | Edge]:
    """Return the targets that showed nothing, as its package reports those that did."""
    kind = catalog.kind_of(fault.intent.kind)
    return [] if kind is None else kind.unseen(fault.what, observation.observed)


def unheard(fault: Resolved, observation: Observation) -> list[str | Edge]:
    """Return the targets of which nothing was learnt when the fault was to be over."""
    kind = catalog.kind_of(fault.intent.kind)
    return [] if kind is None else kind.unheard(fault.what, observation.observed)
