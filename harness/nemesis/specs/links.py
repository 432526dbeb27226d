"""Faults of the links between vertices. A *shape* selects the links, and all these faults have the same shapes; `topology/partitions.py` computes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ...user_files.measured import PositiveDuration
from ...user_files.quantities import format_ns
from ..catalog.timing import Timing
from ..faults.targets import Target, target_names, validate_target

MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000_000_000


class Shape(str, Enum):
    """The partitions."""

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
    EVERY_LINK = "every-link"
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


class _OneOrMany:
    """Declares in the JSON Schema that a single item needs no list."""

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        many = handler(core)
        return {"anyOf": [many["items"], many]}


class Shaped(Timing):
    """Links by shape. A list of shapes is used in turn, one per start."""

    shape: Annotated[list[Shape], BeforeValidator(_one_or_many), Field(min_length=1), _OneOrMany()] = Field(
        description="which links are affected"
    )
    target: Target | None = Field(default=None, description="isolate-one, one-way, clients-cut: the affected nodes")
    direction: Literal["out", "in", "both"] | None = Field(
        default=None, description="one-way, clients-cut: packets from the target, to it, or both"
    )
    clients: Literal["all", "majority", "minority"] = Field(
        default="all", description="two-sided shapes: the side that clients still reach"
    )
    edges: list[tuple[str, str]] | None = Field(default=None, description="grudge: [from, to] pairs of vertices")

    _target_is_known = field_validator("target")(validate_target)

    @model_validator(mode="after")
    def _parameters_fit_the_shape(self) -> Shaped:
        shapes = set(self.shape)
        if (self.edges is not None) != (Shape.GRUDGE in shapes):
            raise ValueError("`edges` and shape `grudge` belong together: give both or neither")
        if self.edges is not None and any(a == b for a, b in self.edges):
            raise ValueError("an edge of `edges` goes from a vertex to itself, so it cuts nothing")
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


class Repeated(Shaped):
    """Faults that recur while they last."""

    period: PositiveDuration = Field(default=SECOND_NS, description="time between repetitions during the fault")

    @model_validator(mode="after")
    def _period_can_be_watched(self) -> Repeated:
        if not 10 * MILLISECOND_NS <= self.period <= 10 * SECOND_NS:
            raise ValueError(f"`period: {format_ns(self.period)}` is not between 10ms and 10s")
        return self

    def parameters(self) -> dict[str, Any]:
        parameters = super().parameters()
        parameters["period_ns"] = self.period
        del parameters["period"]
        return parameters
