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
    """Exception of a fast method whose precondition does not hold (a value used twice, for example): the general search must judge.

    If `parts` are given, the history is legal iff each part (a list of row indices) is, and the search need only see them.
    """

    def __init__(self, reason: str, parts: Sequence[Sequence[int]] = ()) -> None:
        super().__init__(reason)
        self.parts = tuple(parts)


class Strange(Exception):
    """Exception for an answer that this structure cannot give, where nothing is wrong with the order: no violation is proven, but it is not valid either."""


class Doubt(Exception):
    """Exception of a fast method that cannot decide. `suspects` are rows whose operations, if they have no legal order, prove that all have none."""

    def __init__(self, reason: str, suspects: Sequence[int] = ()) -> None:
        super().__init__(reason)
        self.suspects = tuple(suspects)
