"""A campaign's `all:` and `swarm:`: faults that the harness composes, of every sort that the hosts can do, or of a random subset.

faults: all                                              # the same as [all: {}]
faults:
  - swarm: {kinds: [partition, kill, clock], without: [drift], for: 2s}
  - recovery: {every: 30s, for: 10s}
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import AliasChoices, ConfigDict, Field, field_validator

from ...user_files.bounded_model import BoundedModel
from ...user_files.measured import PositiveDuration
from .draws import SORTS, names_of

SECOND_NS = 1_000_000_000


class MixSpec(BoundedModel):
    """Random mix of faults. Only when the hosts are up is it known which sorts they can do; what cannot be done is left out and named."""

    model_config = ConfigDict(populate_by_name=True)
    kind: ClassVar[str]

    kinds: Literal["all"] | list[str] = Field(default="all", description="kinds or sorts of faults")
    without: list[str] = Field(default_factory=list, description="but not these")
    for_ns: PositiveDuration = Field(
        default=3 * SECOND_NS,
        validation_alias=AliasChoices("for", "for_ns"),
        serialization_alias="for",
        description="longest duration of a fault; each is random between half of this and this",
    )
    rest: PositiveDuration = Field(
        default=4 * SECOND_NS, description="approximate time from the end of a fault to the next one, in each lane"
    )
    overlap: bool = Field(default=True, description="false: use one lane, so that no two faults are active together")

    @field_validator("kinds", "without")
    @classmethod
    def _are_known(cls, words: str | list[str]) -> str | list[str]:
        for word in words if isinstance(words, list) else ():
            if not names_of(word):
                kinds = dict.fromkeys(sort.fault for sort in SORTS.values())
                raise ValueError(
                    f"no kind or sort of fault {word!r}; kinds: {', '.join(kinds)}; sorts: {', '.join(SORTS)}"
                )
        return words

    def sorts(self) -> list[str]:
        """Return the names of the sorts, in the order of the table."""
        every = [name for name, sort in SORTS.items() if not sort.coarse]
        asked = every if self.kinds == "all" else [name for word in self.kinds for name in names_of(word)]
        refused = {name for word in self.without for name in names_of(word)}
        return [name for name in SORTS if name in asked and name not in refused]

    def names(self) -> Iterable[str]:
        """A mix names no node."""
        return ()


class AllSpec(MixSpec):
    """Every sort occurs, all equally often, in a new random order for each round."""

    kind: ClassVar[str] = "all"


class SwarmSpec(MixSpec):
    """Each sort is on in some seeds and off in others; how long faults last and how dense they are is random too."""

    kind: ClassVar[str] = "swarm"
