"""Masking: a fault that cannot show because another fault, itself verified, stands before it.

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
from ..faults.disk_effects import CRASHES, HIDDEN_BY
from ..faults.fault import Observation, Resolved
from .topology import Edge

NO_PROCESS = frozenset({"kill", "power", "wipe", "disk", "memory", "membership"})
"""Kinds that end a process, or let it end itself."""

FREEZE = "freeze"
"""A `pause` of the whole host, which answers no question while it lasts."""

NO_PACKETS = frozenset({"cut", "clog", "power", FREEZE})
"""Kinds because of which nothing may arrive."""

_NO_WRITES = NO_PACKETS | NO_PROCESS | {"flap", "pause"}
"""Kinds because of which there may be nothing unsynced to lose: a process that does not run, or hears nothing, writes nothing."""

HIDES = {
    "pause": NO_PROCESS | {FREEZE},
    "clock": NO_PROCESS | {FREEZE},
    "cpu": NO_PROCESS | {"pause", FREEZE},
    "memory": NO_PROCESS | {"pause", FREEZE},
    "descriptors": NO_PROCESS | {"pause", FREEZE},
    "link": NO_PACKETS | {"flap", "link"},
    "disk": frozenset({"disk", "power", "wipe", FREEZE}),
}
"""Kind → those that may mask it. Packets are answered by hosts, not by processes: nothing that happens to a process masks a link."""

HIDES_ITS_END = {
    **HIDES,
    **dict.fromkeys(("cut", "clog"), NO_PACKETS | {"flap", "link"}),
    **dict.fromkeys(("kill", "power", "wipe"), NO_PROCESS | {"pause", FREEZE}),
}
"""Kind → those that may mask its end. A link that is cut or a process that is gone is certainly observed, whatever else there is."""


def hiding(kind: str, ending: bool = False) -> frozenset[str]:
    """The kinds behind which this one may not show, or not that it is over."""
    if (known := catalog.kind_of(kind)) is not None:
        own = known.hidden_by | (known.end_hidden_by if ending else frozenset())
    else:
        own = (HIDES_ITS_END if ending else HIDES).get(kind, frozenset())
    younger = (each.name for each in catalog.kinds() if kind in each.hides)
    return own.union(younger)


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
        """Return the faults that stood before these targets (nodes, or edges) at some time since then; () unless each target had one.

        `ending`: what does not show is that the fault is over.
        """
        kinds = hiding(fault.intent.kind, ending)
        if _loses_writes(fault):
            kinds |= _NO_WRITES
        others = [known for known in self._known.values() if _hides_as(known.fault) in kinds]
        found: dict[str, None] = {}
        for target in targets:
            before = [known for known in others if _stands_before(known, fault, target, since_ns, ending)]
            if not before:
                return ()
            # Those that were seen speak for themselves; of the others it is not known yet whether they did anything.
            seen = [known for known in before if known.seen] or before
            found.update(dict.fromkeys(known.fault.intent.id for known in seen))
        return tuple(found)


def _hides_as(fault: Resolved) -> str:
    return FREEZE if "whole" in fault.what else fault.intent.kind


def _stands_before(known: _On, fault: Resolved, target: str | Edge, since_ns: int, ending: bool) -> bool:
    other = known.fault
    if known.seen is False or other.intent.id == fault.intent.id:
        return False
    if known.ended_ns is not None and known.ended_ns < since_ns:
        return False
    if fault.intent.kind == "disk" == other.intent.kind and not ending and not _graver(other, fault):
        return False
    nodes = other.what.get("nodes", ())
    if isinstance(target, str):
        unheard = _loses_writes(fault) and any(sink == target for _, sink in other.what.get("edges", ()))
        return target in nodes or unheard
    if any(end in nodes for end in target):
        return True
    ways = {(source, sink) for source, sink in other.what.get("edges", ())}
    both = fault.intent.kind == "reset" or other.intent.kind == "reset"
    return target in ways or (both and target[::-1] in ways)


def unseen(fault: Resolved, observation: Observation) -> list[str | Edge]:
    """Return the targets that showed nothing, as packages report those that did: `nodes`, `edges`, or processes that the clock reaches."""
    what, observed = fault.what, observation.observed
    if "edges" in what:
        seen = {tuple(edge) for edge in observed.get("edges", ())}
        return [(source, sink) for source, sink in what["edges"] if (source, sink) not in seen]
    if fault.intent.kind == "clock":
        affected = observed.get("affected") or {}
        return [node for node, is_affected in affected.items() if not is_affected]
    return [node for node in what.get("nodes", ()) if node not in observed.get("nodes", ())]


def _loses_writes(fault: Resolved) -> bool:
    return fault.intent.kind == "disk" and fault.what.get("effect") in CRASHES


def _graver(other: Resolved, fault: Resolved) -> bool:
    """Whether what is wrong with a disk hides what else is. Damage at rest is hidden by such damage alone: the disks of a quorum are spared."""
    effect, of_other = fault.what.get("effect"), other.what.get("effect")
    if _loses_writes(fault):
        return of_other in HIDDEN_BY
    return of_other in HIDDEN_BY[effect] if effect in HIDDEN_BY else of_other not in HIDDEN_BY
