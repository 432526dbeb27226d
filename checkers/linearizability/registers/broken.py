"""Which rule a register breaks, and the few accesses that show it: what the array code finds, before it is told to a person."""

from __future__ import annotations

from dataclasses import dataclass

from tribulation.histories.model.columns import Int64

VIRTUAL = -1
"""The row of the write of the initial value, which no operation made."""


@dataclass(frozen=True, slots=True)
class Broken:
    """`rows` are the proof, in the rule's own order; `values` (ids) the ones at issue."""

    kind: str
    rows: tuple[int, ...]
    values: tuple[int, ...]


class Violated(Exception):
    """Ends the judgement of registers that broke a rule; the others go on without them."""

    def __init__(self, found: dict[int, Broken]) -> None:
        super().__init__()
        self.found = found


def firsts(registers: Int64) -> dict[int, int]:
    """Register → place of its first entry. Entries are by register or not; places are those in `registers`."""
    found: dict[int, int] = {}
    for place, register in enumerate(registers.tolist()):
        found.setdefault(register, place)
    return found
