"""Verdicts of the array method on many registers at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..search.by_key import Objects
from .accesses import Registers, registers_of
from .broken import Broken, Violated
from .chains import chains_of
from .mismatches import Mismatches, mismatches_of
from .order import Order, order_of
from .versions import Written, versions_of
from .zones import Zones, zones_of


@dataclass
class Judged:
    """Verdicts by the number of the object.

    `broken` ones have no legal order. Those with `repeated` values and `malformed` ones (with the faulty row) are not judged. The others have a legal
    order; those `in_doubt` have one except for their mismatches that do not report what they saw. `registers` are the broken ones and those with an
    order. `order` is None unless it was requested, or needed for mismatches.
    """

    registers: Registers
    broken: Mapping[int, Broken]
    repeated: frozenset[int]
    malformed: Mapping[int, int]
    order: Order | None = None
    mismatches: Mismatches | None = None

    @cached_property
    def in_doubt(self) -> frozenset[int]:
        return frozenset() if self.mismatches is None else self.mismatches.in_doubt


def judge(objects: Objects, certificate: bool = False) -> Judged:
    """Judge all registers at once; with `certificate`, keep their legal order."""
    registers = registers_of(objects)
    odd = registers.malformed
    malformed = dict(zip(odd.register.tolist()[::-1], odd.row.tolist()[::-1], strict=True))
    registers = registers.without(np.array(sorted(malformed), np.int64)) if malformed else registers
    repeated = Written.of(registers).repeated()
    registers = registers.without(repeated) if len(repeated) else registers
    broken: dict[int, Broken] = {}
    zones: Zones | None = None
    left = registers
    while zones is None and len(left.accesses):
        try:
            zones = zones_of(chains_of(versions_of(left)))
        except Violated as violated:
            broken |= violated.found
            left = left.without(np.array(list(violated.found), np.int64))
    order = mismatches = None
    if zones is not None and (certificate or len(left.silent)):
        order = order_of(zones)
        mismatches = mismatches_of(order) if len(left.silent) else None
        broken |= mismatches.broken if mismatches is not None else {}
    return Judged(registers, broken, frozenset(repeated.tolist()), malformed, order, mismatches)
