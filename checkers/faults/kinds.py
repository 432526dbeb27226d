"""Meaning of a kind of fault for checkers: the nodes it touches, those it certainly holds down, and those it may.

A fault may declare itself that no process stops or ends because of it (`leaves_running` in what was intended). The harness's newer kinds do, so run
folders show it without a list here. A kind that does not declare it and is not listed here may do anything to the nodes it names: it is no evidence
against the system, and none for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..base.result import Fault
from ..traces.traces import FOREVER_NS

ONCE = frozenset({"voters"})
"""Kinds that end at once; their change stays."""

LINKS = frozenset({"cut", "link", "clog", "flap", "reset"})
"""Kinds that affect only packets. Only a cut stops all of them, and only its edges count as certainly cut."""

STOPS = frozenset({"kill", "pause", "power", "wipe", "power-off", "poweroff", "crash", "stop"})
"""Kinds that hold their nodes down or paused, from injection to heal."""

STAYS = frozenset({"kill", "power", "wipe", "disk", "memory", "voters", "membership"})
"""Kinds whose effects last longer than the fault: the content of memory or disk, or the voters, have changed."""

_LEAVES_RUNNING = LINKS | ONCE | {"clock", "transfer"}
_ENDS_NOTHING = LINKS | ONCE | {"clock", "pause", "cpu"}

MAY_END = {
    "kill": frozenset({"power", "membership"}),
    "wipe": frozenset({"power", "membership"}),
    "pause": frozenset({"kill", "power", "wipe", "disk", "memory", "membership"}),
    "cut": frozenset({"power"}),
    "power": frozenset[str](),
}
"""Kind → other kinds that, on the same node, may briefly end its effect: the process is started and only then stopped again, or the host boots and only then
has its firewall.
"""

_STARTS_NOTHING_UNLESS_SAID = frozenset({"cpu", "descriptors", "disk", "memory", "membership"})

_AT_ITS_HEAL = frozenset({"kill", "power", "wipe"})
"""The kinds among these that do so at their own heal."""


CALLED = {
    "cut": "partition",
    "power": "power-loss",
    "cpu": "cpu-limit",
    "memory": "memory-limit",
    "descriptors": "fd-limit",
}
"""Kinds whose internal name (in ledgers and plans, and as the key of random numbers) differs from the key that users write in campaigns."""


def called(kind: str) -> str:
    """Return the user's name of a kind of fault: its key in a campaign."""
    return CALLED.get(kind, kind)


def touched(fault: Fault) -> frozenset[str]:
    """Return every vertex of the network that the fault names, including `clients`."""
    intended = fault.intended
    ends = [vertex for edge in intended.get("edges", ()) for vertex in edge]
    return frozenset((*ends, *_named(fault)))


def targets(fault: Fault) -> frozenset[str]:
    """Return the targeted nodes; for a change of membership, the nodes that leave or return, not all voters."""
    named = _named(fault)
    if not named:
        named = [vertex for edge in fault.intended.get("edges", ()) for vertex in edge]
    return frozenset(named)


def stopped(fault: Fault) -> list[str]:
    """Return the nodes of a fault that stops nodes, as resolved; for a symbolic target, as observed."""
    for fields in (fault.intended, fault.observed or {}):
        nodes = fields.get("nodes") or fields.get("node")
        if isinstance(nodes, str):
            return [nodes]
        if isinstance(nodes, Sequence):
            return list(dict.fromkeys(nodes))
    return []


def may_be_down(fault: Fault) -> frozenset[str]:
    """Return the nodes whose process may or may not run during the fault. A process that meets a failing disk, a limit or the end of its memory may stop
    itself or be killed; one that starves is as good as stopped to others.
    """
    return frozenset() if leaves_running(fault) else targets(fault)


def leaves_running(fault: Fault) -> bool:
    """Return whether the fault stops no process and ends none."""
    return fault.kind in _LEAVES_RUNNING or fault.intended.get("leaves_running") is True


def ends_processes(fault: Fault) -> bool:
    """Return whether the fault may end a process."""
    return fault.kind not in _ENDS_NOTHING and not leaves_running(fault)


def may_end(fault: Fault, kind: str) -> bool:
    """Return whether `fault` may briefly end the effect of a fault of `kind` on the same nodes."""
    known = leaves_running(fault) or fault.kind in STOPS | _STARTS_NOTHING_UNLESS_SAID
    return not known or fault.kind in MAY_END.get(kind, ())


def may_end_from_ns(fault: Fault) -> int:
    """Return the time from which the fault may end the effect of another one. A fault that was not verified may have ended at any time."""
    if fault.kind in _AT_ITS_HEAL and fault.verified:
        return FOREVER_NS if fault.heal_ns is None else fault.heal_ns
    return fault.start_ns


def forgets(fault: Fault) -> frozenset[str]:
    """Return nodes that lose synced data and cannot notice it. Faults that calibrate checkers are left out, because their purpose is an alarm."""
    if fault.intended.get("calibration"):
        return frozenset()
    replaced = fault.kind == "membership" and fault.intended.get("action") == "replace"
    shortened = fault.kind == "disk" and fault.intended.get("effect") == "truncate"
    return targets(fault) if replaced or shortened else frozenset()


def losses(faults: Iterable[Fault]) -> dict[str, list[tuple[int, int]]]:
    """Return, by node, the intervals of the run (ns) in which it may boot without data that it had synced."""
    found: dict[str, list[tuple[int, int]]] = {}
    for fault in faults:
        for node in forgets(fault):
            found.setdefault(node, []).append((fault.start_ns, FOREVER_NS if fault.over_ns is None else fault.over_ns))
    return found


def changes_voters(fault: Fault) -> bool:
    return fault.kind in ("voters", "membership")


def _named(fault: Fault) -> list[str]:
    for field in ("nodes", "node", "offsets_ns", "drift_ppm", "strobe_ns", "voters"):
        named = fault.intended.get(field)
        if named:
            return [named] if isinstance(named, str) else list(named)
    return []
