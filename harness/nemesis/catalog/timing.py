"""Common fields of every item of `faults:`: when it happens, how long it lasts, and, for most kinds, its target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, ConfigDict, Field, field_validator, model_validator

from ...user_files.bounded_model import BoundedModel
from ...user_files.measured import Duration, PositiveDuration
from ...user_files.quantities import format_ns
from ..faults.targets import Target, target_names, validate_target
from ..faults.triggers import EVENTS, RESERVED

RESTART = AliasChoices("restart_after", "for", "for_ns")
"""Names of the duration of a fault whose end restarts a process or host."""


class Timing(BoundedModel):
    """Timing of a fault. Without `every` it happens once, at `after`; with it, first at `after` (default: one period in). With `on` it happens each
    time that the event does, `after` later, as often as `times` allows and no more than one at a time.

    Each start is shifted later by a keyed random time from 0 to `stagger`. `for` is how long it lasts; without it, until the final heal. After its
    heal nothing of its kind starts for `recover`.
    """

    model_config = ConfigDict(populate_by_name=True)
    kind: ClassVar[str]
    later: ClassVar[frozenset[str]] = frozenset()
    """Words added after campaigns had been drawn: where one is omitted, the draw is the same as before it existed."""

    streams: ClassVar[Mapping[str, str]] = {}
    """Word → its first name, which keys random numbers: a renamed word draws what it drew before."""

    stays: ClassVar[bool] = False
    """Whether it happens once and is not undone, so that it ends at once."""

    moves_voters: ClassVar[bool] = False
    """Whether it may change the voters."""

    lane: ClassVar[str] = ""
    """Lane in which each fault must end before the next begins, even on slow hosts; with `overlap: true` they need not wait."""

    name: str | None = Field(
        default=None,
        max_length=64,
        pattern=r"^[a-z0-9][a-z0-9-]*$",
        description="its name in the ledger and the report",
    )
    after: Duration | None = Field(
        default=None, description="time of the first start; with `on`, the delay after the event"
    )
    on: str | None = Field(default=None, description="an event that triggers it")
    every: PositiveDuration | None = Field(default=None, description="period of starts")
    for_ns: PositiveDuration | None = Field(
        default=None,
        validation_alias=AliasChoices("for", "for_ns"),
        serialization_alias="for",
        description="how long it lasts",
    )
    stagger: Duration = Field(default=0, description="each start is delayed by a random time up to this")
    times: Annotated[int, Field(ge=1, le=100_000)] | None = Field(default=None, description="at most this many starts")
    recover: Duration = Field(default=0, description="time after its heal in which no fault of its kind starts")
    overlap: bool = Field(default=False, description="may be active together with others of its kind")

    @field_validator("on")
    @classmethod
    def _event_is_known(cls, event: str | None) -> str | None:
        if event in RESERVED:
            raise ValueError(f"`on: {event}` is reserved and never occurs yet; there are {', '.join(EVENTS)}")
        if event is not None and event not in EVENTS:
            raise ValueError(f"no event {event!r}; there are {', '.join(EVENTS)}")
        return event

    @model_validator(mode="after")
    def _times_fit(self) -> Timing:
        if self.on is not None:
            return self._fits_its_event()
        if getattr(self, "target", None) == "trigger":
            raise ValueError("target `trigger` is the node of the event in `on`: set `on`")
        if self.every is None:
            if self.times is not None and self.times > 1:
                raise ValueError(f"times: {self.times} needs `every`: without it the fault happens once")
            return self
        if self.for_ns is None:
            raise ValueError("`every` needs `for`: a fault that never ends cannot start again")
        needed_ns = self.for_ns + self.stagger + self.recover
        if needed_ns > self.every and not self.overlap:
            raise ValueError(
                f"for + stagger + recover is {format_ns(needed_ns)}, more than every: {format_ns(self.every)}; "
                "lengthen `every`, or allow overlaps with `overlap: true`"
            )
        return self

    def _fits_its_event(self) -> Timing:
        if self.every is not None or self.stagger:
            raise ValueError(
                "`on` cannot be combined with `every` or `stagger`: the event determines the starts, and `times` their number"
            )
        if self.for_ns is None and (self.times or 1) > 1:
            raise ValueError(f"`times: {self.times}` needs `for`: a fault that never ends cannot start again")
        return self

    def first_ns(self) -> int:
        return self.after if self.after is not None else (self.every or 0)

    def parameters(self) -> dict[str, Any]:
        """Return the input of resolution, as JSON values: everything except the timing."""
        return self.model_dump(mode="json", exclude=set(Timing.model_fields), exclude_none=True)

    def needs(self) -> frozenset[str]:
        """Return the abilities that hosts need; a kind with several forms names those that not all hosts have."""
        return frozenset({self.kind})

    def names(self) -> Iterable[str]:
        """Return every node named literally, so that the loader can refuse unknown names."""
        return ()

    def variant(self) -> str:
        """Return one word for the fault's name: its shape or its target."""
        return "all"


class Aimed(Timing):
    """A fault of nodes."""

    target: Target = Field(description="which nodes")

    _target_is_known = field_validator("target")(validate_target)

    def names(self) -> Iterable[str]:
        return target_names(self.target)

    def variant(self) -> str:
        return "named" if isinstance(self.target, list) else self.target.replace("(", "-").replace(")", "")
