"""What a campaign may say under `faults:`, one pydantic model a kind; docs/reference/faults.md is the prose.

    faults:
      - partition: {shape: [halves, bridge], every: 8s, for: 4s}
      - kill: {target: leader, after: 20s, restart_after: 2s}
      - clock: {target: minority, offset: 60s, every: 10s, for: 5s}
      - recovery: {every: 15s, for: 5s}

Each list item is a mapping with one key, the kind. Nothing here knows the nodes of a cluster: names are checked against them when the
campaign is loaded (`names()`), and targets are resolved at run time (`resolve.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal, Union

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from ..durations import Duration, PositiveDuration, SignedDuration, format_ns
from .targets import Target, target_names, validate_target


class Shape(str, Enum):
    """The partitions; `topology.py` draws each."""

    HALVES = "halves"
    RANDOM_HALVES = "random-halves"
    ISOLATE_ONE = "isolate-one"
    MAJORITIES_RING = "majorities-ring"
    BRIDGE = "bridge"
    MINORITY_THIRD = "minority-third"
    ONE_WAY = "one-way"
    LEADER_MINORITY = "leader-minority"
    LEADER_MAJORITY = "leader-majority"
    CLIENTS_CUT = "clients-cut"
    GRUDGE = "grudge"


TWO_SIDED = frozenset(
    {
        Shape.HALVES,
        Shape.RANDOM_HALVES,
        Shape.ISOLATE_ONE,
        Shape.MINORITY_THIRD,
        Shape.LEADER_MINORITY,
        Shape.LEADER_MAJORITY,
    }
)
"""Shapes that split the nodes into two sides, so that clients can be put on one of them."""

AIMED = frozenset({Shape.ISOLATE_ONE, Shape.ONE_WAY, Shape.CLIENTS_CUT})
"""Shapes that take a `target`."""


def _one_or_many(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


class Timing(BaseModel):
    """When a fault happens. Without `every` it happens once, at `after`; with it, first at `after` (default: one period in).

    Each start is shifted later by a keyed draw from 0 to `stagger`. `for` is how long it lasts; without it, until the final heal. After
    its heal nothing of its kind starts for `recover`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    kind: ClassVar[str]

    name: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9-]*$", description="names it in ledger and report")
    after: Duration | None = Field(default=None, description="first start")
    every: PositiveDuration | None = Field(default=None, description="period of starts")
    for_ns: PositiveDuration | None = Field(
        default=None,
        validation_alias=AliasChoices("for", "for_ns"),
        serialization_alias="for",
        description="how long it lasts",
    )
    stagger: Duration = Field(default=0, description="each start is up to this much later")
    times: Annotated[int, Field(ge=1)] | None = Field(default=None, description="at most this many starts")
    recover: Duration = Field(default=0, description="time after its heal before the next of its kind")
    overlap: bool = Field(default=False, description="may be on together with others of its kind")

    @model_validator(mode="after")
    def _times_fit(self) -> Timing:
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
                "lengthen `every` or allow it with `overlap: true`"
            )
        return self

    def first_ns(self) -> int:
        return self.after if self.after is not None else (self.every or 0)

    def parameters(self) -> dict[str, Any]:
        """What resolution needs, as JSON values: everything but the timing."""
        return self.model_dump(mode="json", exclude=set(Timing.model_fields), exclude_none=True)

    def names(self) -> Iterable[str]:
        """Every node named literally, so that the loader can refuse names that are no nodes."""
        return ()

    def variant(self) -> str:
        """One word for the fault's name: its shape or its target."""
        return "all"


class PartitionSpec(Timing):
    """Packets between vertices are dropped at the receiver. A list of shapes is gone through in turn, one a start."""

    kind: ClassVar[str] = "cut"

    shape: Annotated[list[Shape], BeforeValidator(_one_or_many), Field(min_length=1)] = Field(
        description="which links are cut"
    )
    target: Target | None = Field(default=None, description="isolate-one, one-way, clients-cut: which nodes")
    direction: Literal["out", "in", "both"] | None = Field(
        default=None, description="one-way, clients-cut: packets from, to, or both ways, seen from the target"
    )
    clients: Literal["all", "majority", "minority"] = Field(
        default="all", description="two-sided shapes: the side that clients still reach"
    )
    edges: list[tuple[str, str]] | None = Field(default=None, description="grudge: [from, to] pairs that are cut")

    _target_is_known = field_validator("target")(validate_target)

    @model_validator(mode="after")
    def _parameters_fit_the_shape(self) -> PartitionSpec:
        shapes = set(self.shape)
        if (self.edges is not None) != (Shape.GRUDGE in shapes):
            raise ValueError("`edges` and shape `grudge` belong together: give both or neither")
        if self.edges is not None and any(a == b for a, b in self.edges):
            raise ValueError("an edge of `edges` goes from a vertex to itself; nothing is cut by that")
        if self.target is not None and not shapes & AIMED:
            raise ValueError(f"`target` needs one of the shapes {', '.join(sorted(s.value for s in AIMED))}")
        if self.direction is not None and not shapes & {Shape.ONE_WAY, Shape.CLIENTS_CUT}:
            raise ValueError("`direction` needs the shape one-way or clients-cut")
        if self.direction == "both" and Shape.ONE_WAY in shapes:
            raise ValueError("`direction: both` contradicts the shape one-way; use isolate-one or grudge")
        if self.clients != "all" and not shapes <= TWO_SIDED:
            raise ValueError(f"`clients` needs only shapes of {', '.join(sorted(s.value for s in TWO_SIDED))}")
        return self

    def names(self) -> Iterable[str]:
        yield from target_names(self.target)
        for edge in self.edges or ():
            yield from edge

    def variant(self) -> str:
        return self.shape[0].value if len(self.shape) == 1 else "mix"


class _Aimed(Timing):
    target: Target = Field(description="which nodes")

    _target_is_known = field_validator("target")(validate_target)

    def names(self) -> Iterable[str]:
        return target_names(self.target)

    def variant(self) -> str:
        return "named" if isinstance(self.target, list) else self.target.replace("(", "-").replace(")", "")


class KillSpec(_Aimed):
    """SIGKILL, and started again after `restart_after` (or `for`, the same)."""

    kind: ClassVar[str] = "kill"

    for_ns: PositiveDuration | None = Field(
        default=None,
        validation_alias=AliasChoices("restart_after", "for", "for_ns"),
        serialization_alias="restart_after",
        description="how long it stays down",
    )


class PauseSpec(_Aimed):
    """SIGSTOP, and SIGCONT when it ends."""

    kind: ClassVar[str] = "pause"


class ClockSpec(_Aimed):
    """The wall clock of the targets is off while it lasts; monotonic time stays true. Exactly one of the three says by how much."""

    kind: ClassVar[str] = "clock"

    offset: SignedDuration | None = Field(default=None, description="every target by this much")
    jump: PositiveDuration | None = Field(
        default=None, description="each target by this much, forward or back as drawn"
    )
    spread: PositiveDuration | None = Field(
        default=None, description="each target by a draw between minus this and this"
    )

    @model_validator(mode="after")
    def _one_amount(self) -> ClockSpec:
        if sum(value is not None for value in (self.offset, self.jump, self.spread)) != 1:
            raise ValueError("a clock fault needs exactly one of `offset`, `jump` and `spread`")
        if self.offset == 0:
            raise ValueError("`offset: 0s` changes nothing")
        return self

    def parameters(self) -> dict[str, Any]:
        amounts = {"offset_ns": self.offset, "jump_ns": self.jump, "spread_ns": self.spread}
        return {"target": self.target, **{name: value for name, value in amounts.items() if value is not None}}


class VotersSpec(Timing):
    """Weights to move to through the log, one step an entry: `set: {n5: 1}` adds n5, `{n5: 0}` removes it. It is not healed."""

    kind: ClassVar[str] = "voters"

    set: dict[str, Annotated[int, Field(ge=0)]] = Field(min_length=1, description="node → weight")

    @model_validator(mode="after")
    def _once(self) -> VotersSpec:
        if self.every is not None or self.for_ns is not None:
            raise ValueError("a change of voters happens once and stays: use `after`, and another item to change back")
        return self

    def names(self) -> Iterable[str]:
        return self.set

    def variant(self) -> str:
        return "-".join(self.set)


class RecoverySpec(BaseModel):
    """Windows in which no fault is on: a start whose fault could reach into one is left out (once-only faults are refused)."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    kind: ClassVar[str] = "recovery"

    every: PositiveDuration = Field(description="period of windows; the first starts one period in")
    for_ns: PositiveDuration = Field(
        validation_alias=AliasChoices("for", "for_ns"), serialization_alias="for", description="length of each window"
    )

    def names(self) -> Iterable[str]:
        return ()


class _Item(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def spec(self) -> Timing | RecoverySpec:
        """The one model in this item, whatever its kind."""
        spec: Timing | RecoverySpec = getattr(self, next(iter(type(self).model_fields)))
        return spec


class PartitionItem(_Item):
    partition: PartitionSpec


class KillItem(_Item):
    kill: KillSpec


class PauseItem(_Item):
    pause: PauseSpec


class ClockItem(_Item):
    clock: ClockSpec


class VotersItem(_Item):
    voters: VotersSpec


class RecoveryItem(_Item):
    recovery: RecoverySpec


FAULT_NAMES = ("partition", "kill", "pause", "clock", "voters", "recovery")


def _fault_name(item: Any) -> str | None:
    keys = list(item) if isinstance(item, Mapping) else list(getattr(type(item), "model_fields", ()))
    return keys[0] if keys and keys[0] in FAULT_NAMES else None


FaultSpec = Annotated[
    Union[
        Annotated[PartitionItem, Tag("partition")],
        Annotated[KillItem, Tag("kill")],
        Annotated[PauseItem, Tag("pause")],
        Annotated[ClockItem, Tag("clock")],
        Annotated[VotersItem, Tag("voters")],
        Annotated[RecoveryItem, Tag("recovery")],
    ],
    Discriminator(
        _fault_name,
        custom_error_type="unknown_fault",
        custom_error_message=f"a fault is a mapping with one key of: {', '.join(FAULT_NAMES)}",
    ),
]
"""An item of the campaign's `faults:` list."""
