"""A legal order of registers that have one: the certificate, and where versions begin and end in it.

Chains follow each other: a forward one at the start of its zone, a backward one at a point of its window that no forward zone covers. This is right
after its last start, or right after the forward zone around that. Inside a chain the order is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tribulation.histories.model.columns import Int64

from .accesses import Mask
from .versions import NONE
from .zones import Zones

AT_ONCE = -1
"""Before everything: the point of the initial version."""


@dataclass(slots=True)
class Held:
    """Interval of each version: the points from which and up to which the register has it, and the place of the write that ends that (`NONE`: none does)."""

    since: Int64
    until: Int64
    ended_by: Int64

    @staticmethod
    def never(count: int, end_of_time: int) -> Held:
        return Held(
            np.full(count, end_of_time, np.int64),
            np.full(count, end_of_time, np.int64),
            np.full(count, NONE, np.int64),
        )


@dataclass
class Order:
    """`places` are the accesses (of `Versions.accesses`) in order, by register. `point` is the moment of each, in half positions: odd numbers lie
    between events.
    """

    zones: Zones
    places: Int64
    point: Int64

    @cached_property
    def register(self) -> Int64:
        """The register of each place."""
        return self.zones.chains.versions.accesses.register[self.places]

    def after(self, register: Int64, point: Int64) -> Int64:
        """Return the first place of each register whose point is not before the given one."""
        span = 2 * self.zones.span + 4
        return np.searchsorted(self.register * span + self.point + 2, register * span + point + 2)

    def held(self) -> Held:
        versions = self.zones.chains.versions
        made = versions.made[self.places]
        writes = np.flatnonzero(made != NONE)
        version, register = made[writes], versions.register[made[writes]]
        held = Held.never(versions.count, 2 * self.zones.span + 1)
        initial = np.arange(len(versions.written.value), versions.count)
        held.since[initial] = AT_ONCE
        held.since[version] = self.point[writes]
        # Every write ends the version before it; the first of a register ends the initial one.
        first = np.append(True, register[1:] != register[:-1]) if len(writes) else np.zeros(0, np.bool_)
        before = np.where(first, initial[register], np.append(NONE, version[:-1])) if len(writes) else version
        held.until[before] = self.point[writes]
        held.ended_by[before] = writes
        return held


def order_of(zones: Zones) -> Order:
    chains, versions = zones.chains, zones.chains.versions
    accesses = versions.accesses
    begin, forward = _begins(zones)
    writes: Mask = versions.made != NONE
    version = np.where(writes, versions.made, versions.read)
    root = chains.root[version]
    turn = 2 * chains.depth[version] + ~writes
    places = np.lexsort((accesses.start, turn, root, begin[root], accesses.register))
    root = root[places]
    chain = np.cumsum(np.append(True, root[1:] != root[:-1])) if len(root) else root
    far = zones.span
    latest = np.maximum.accumulate(accesses.start[places] + chain * far) - chain * far
    at_first = begin[root]
    point = np.where(forward[root], np.maximum(2 * at_first - 1, 2 * latest + 1), 2 * at_first + 1)
    return Order(zones, places, point)


def _begins(zones: Zones) -> tuple[Int64, Mask]:
    """Return per root the position at or right after which its chain begins, and whether it is forward."""
    count = zones.chains.versions.count
    begin, forward = np.full(count, AT_ONCE, np.int64), np.zeros(count, np.bool_)
    forward[zones.root[zones.forward]] = True
    begin[zones.root[zones.forward]] = zones.first[zones.forward]
    backward = np.flatnonzero(zones.first >= zones.last)
    place = zones.before(zones.register[backward], zones.last[backward])
    around = zones.last[zones.forward[place]] if len(zones.forward) else np.zeros(len(place), np.int64)
    begin[zones.root[backward]] = np.maximum(zones.last[backward], np.where(place >= 0, around, AT_ONCE))
    return begin, forward
