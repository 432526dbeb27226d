"""Results of a structure's check when the operations have no legal order, and when it cannot decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """A violation. `rows` are places in the view (in the sentence's order), `text` the sentence that follows "On key k, "."""

    kind: str
    rows: tuple[int, ...]
    text: str
    details: Mapping[str, Any] = field(default_factory=dict)


class Unsuitable(Exception):
    """The precondition of a fast method does not hold (a value used twice, say): the general search must judge.

    If `parts` are given, the history is legal iff each part (a list of row indices) is, and the search need only see them.
    """

    def __init__(self, reason: str, parts: Sequence[Sequence[int]] = ()) -> None:
        super().__init__(reason)
        self.parts = tuple(parts)


class Strange(Exception):
    """Nothing is wrong with the order, but an operation answered what this structure cannot answer: this proves no violation, and is not valid."""


class Doubt(Exception):
    """A fast method cannot decide. `suspects` are rows whose operations, if they have no legal order, prove that all have none."""

    def __init__(self, reason: str, suspects: Sequence[int] = ()) -> None:
        super().__init__(reason)
        self.suspects = tuple(suspects)
