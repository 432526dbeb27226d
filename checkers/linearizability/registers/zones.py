"""Registers whose written values are unique: the legal order follows from the values, in O(n log n), for all registers at once.

Every value has one writer. A cas from a to b makes b the direct successor of a, so values form *chains*. All operations of a chain are contiguous in
any legal order, and their order inside it is given. What remains are intervals (Gibbons & Korach, "Testing shared memories", 1997, here with cas and
with operations of unknown outcome):

* the *zone* of a chain lies between its first return f and its last invocation s. If f < s it is *forward*: the register held the chain's
  values during all of [f, s]. Otherwise it is *backward*: all its operations were open during (s, f);
* a legal order exists iff no two forward zones overlap and no backward zone lies inside a forward one.

Operations of unknown outcome whose value was never observed are dropped: they are optional. Those that were observed happened, at an unknown end.
Failed cas that do not report what they saw are not seen here; `mismatches` handles those.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tribulation.histories.model.columns import Int64

from .accesses import Mask
from .broken import VIRTUAL, Broken, Violated, firsts
from .chains import Chains
from .versions import Versions


@dataclass(slots=True)
class Zones:
    """Zones of all chains with an operation. `root` names the chain; forward ones are sorted by register and by `first` (f)."""

    chains: Chains
    root: Int64
    register: Int64
    first: Int64
    last: Int64
    forward: Int64
    key: Int64
    span: int

    def before(self, register: Int64, position: Int64) -> Int64:
        """Return the place in `forward` of the last forward zone of that register with f < position; -1 where there is none."""
        place = np.searchsorted(self.key, register * self.span + position + 1) - 1
        same = (place >= 0) & (self.register[self.forward[place]] == register) if len(self.forward) else place >= 0
        return np.where(same, place, -1)


def zones_of(chains: Chains) -> Zones:
    """Return the zones of all chains. Raises `Violated` where two chains cannot be ordered."""
    versions = chains.versions
    root = _roots_in_use(chains)
    register, first, last = versions.register[root], chains.first_end[root], chains.last_start[root]
    span = versions.registers.span
    forward = np.flatnonzero(first < last)
    key = register[forward] * span + first[forward] + 1
    order = np.argsort(key, kind="stable")
    zones = Zones(chains, root, register, first, last, forward[order], key[order], span)
    _check_forward(zones)
    _check_backward(zones)
    return zones


def _roots_in_use(chains: Chains) -> Int64:
    versions = chains.versions
    in_use = (chains.depth == 0) & versions.kept
    initial = np.arange(len(versions.written.value), versions.count)
    in_use[initial] = chains.last_start[initial] >= 0
    return np.flatnonzero(in_use)


def _check_forward(zones: Zones) -> None:
    ordered = zones.forward
    one, other = ordered[:-1], ordered[1:]
    wrong = np.flatnonzero((zones.first[other] < zones.last[one]) & (zones.register[one] == zones.register[other]))
    _refuse(zones, "zones-overlap", one[wrong], other[wrong])


def _check_backward(zones: Zones) -> None:
    """Refuse a backward zone (s, f) inside a forward one: the last forward zone that begins before s ends after f."""
    if not len(zones.forward):
        return
    backward = np.flatnonzero(zones.first >= zones.last)
    place = zones.before(zones.register[backward], zones.last[backward])
    around = zones.forward[place]
    wrong = np.flatnonzero((place >= 0) & (zones.last[around] > zones.first[backward]))
    _refuse(zones, "zone-inside", around[wrong], backward[wrong])


def _refuse(zones: Zones, kind: str, outer: Int64, inner: Int64) -> None:
    if not len(outer):
        return
    found = {}
    roots = _roots_of_accesses(zones.chains)
    by_root = np.argsort(roots, kind="stable")
    for register, at in firsts(zones.register[outer]).items():
        places = [int(outer[at]), int(inner[at])]
        begin, end = (np.searchsorted(roots, zones.root[places], side, sorter=by_root) for side in ("left", "right"))
        members = [by_root[one:other] for one, other in zip(begin.tolist(), end.tolist(), strict=True)]
        a1, a2, _, old = _ends(zones, places[0], members[0])
        b1, b2, new, _ = _ends(zones, places[1], members[1])
        found[register] = Broken(kind, (a1, a2, b1, b2), (old, new))
    raise Violated(found)


def _ends(zones: Zones, place: int, members: Int64) -> tuple[int, int, int, int]:
    """Return rows of the first to end and of the last to start of the accesses to a zone's chain, and the values that they show."""
    chains = zones.chains
    versions, accesses = chains.versions, chains.versions.accesses
    root = zones.root[place]
    last = int(members[accesses.start[members] == zones.last[place]][0])
    first = members[accesses.end[members] == zones.first[place]]
    last_row, last_value = int(accesses.row[last]), _shown(versions, last)
    if versions.is_initial(int(root)):
        # It existed before anything returned.
        return VIRTUAL, last_row, versions.value(int(root)), last_value
    return int(accesses.row[first[0]]), last_row, _shown(versions, int(first[0])), last_value


def _shown(versions: Versions, access: int) -> int:
    reads = int(versions.accesses.reads[access])
    return reads if reads >= 0 else int(versions.accesses.writes[access])


def _roots_of_accesses(chains: Chains) -> Int64:
    versions = chains.versions
    made: Mask = versions.made >= 0
    return chains.root[np.where(made, versions.made, versions.read)]
