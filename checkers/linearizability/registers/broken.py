"""The rule that a register breaks, and the few accesses that prove it: the result of the array code, before it becomes a sentence."""

from __future__ import annotations

from dataclasses import dataclass

from tribulation.histories.model.columns import Int64

VIRTUAL = -1
"""Row of the write of the initial value, which no operation made."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that a register breaks. `rows` are the proof, in the rule's own order; `values` (ids) are those concerned."""

    kind: str
    rows: tuple[int, ...]
    values: tuple[int, ...]


class Violated(Exception):
    """Exception that ends the check of registers that broke a rule; the check continues with the others."""

    def __init__(self, found: dict[int, Broken]) -> None:
        super().__init__()
        self.found = found


def firsts(registers: Int64) -> dict[int, int]:
    """Return for each register the place of its first entry in `registers`, which may be in any order."""
    found: dict[int, int] = {}
    for place, register in enumerate(registers.tolist()):
        found.setdefault(register, place)
    return found
