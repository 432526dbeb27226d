"""The interface of a workload: the operations that its clients try, the final reads, and its declarations to the code that runs and judges it.

Workloads are pure. Each has a spec (its part of the campaign), and turns it into a generator for the load and one for the final reads.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, ClassVar

from pydantic import (
    AliasChoices,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from ..errors import shown
from ..systems.base import Op
from ..user_files.bounded_model import BoundedModel
from ..user_files.measured import PositiveDuration
from ..user_files.quantities import format_ns
from ..user_files.yaml_loader import suggest
from .generators import Generator, each, limit, per_key, stagger, until_ok
from .surge import surge

LEAST_RATE, MOST_RATE = 0.001, 100_000.0
"""Operations a second: the maximum is more than any machine drives."""
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|m)", re.ASCII)

LEVELS = ("linearizable", "sequential", "stale")
MOST_CLIENTS = 500


def parse_rate(value: Any) -> float:
    """Return operations a second, of all clients together, from `"400/s"`, `"90/m"` or a number (per second). Raises `ValueError`."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        rate = float(min(value, 2 * MOST_RATE))  # a larger integer has no float
    else:
        match = _RATE.fullmatch(value.strip()) if isinstance(value, str) and len(value) <= 32 else None
        if match is None:
            raise ValueError(f"{shown(value)} is not a rate; write for example 400/s or 90/m")
        rate = float(match[1]) / (60 if match[2] == "m" else 1)
    if not LEAST_RATE <= rate <= MOST_RATE:
        raise ValueError(f"the rate {shown(value)} is not between {LEAST_RATE:g}/s and {MOST_RATE:g}/s")
    return rate


Rate = Annotated[
    float,
    BeforeValidator(parse_rate),
    PlainSerializer(lambda rate: f"{rate:g}/s"),
    WithJsonSchema({"type": ["string", "number"]}),
]


class BurstSpec(BoundedModel):
    """Bursts: at the end of each `every`, for this long, operations come at this rate instead."""

    model_config = ConfigDict(populate_by_name=True)

    every: PositiveDuration = Field(description="period of bursts")
    for_ns: PositiveDuration = Field(
        validation_alias=AliasChoices("for", "for_ns"), serialization_alias="for", description="how long each lasts"
    )
    rate: Rate = Field(description="operations a second in it, all clients together")

    @model_validator(mode="after")
    def _ends_before_the_next(self) -> BurstSpec:
        if self.for_ns >= self.every:
            raise ValueError(
                f"bursts: `for: {format_ns(self.for_ns)}` leaves no calm in `every: {format_ns(self.every)}`"
            )
        return self


class WorkloadSpec(BoundedModel):
    """The options that every workload has."""

    reactive: ClassVar[bool] = False
    """Whether its clients act only when something happens."""
    known_levels: ClassVar[Sequence[str]] = LEVELS
    judged_by: ClassVar[tuple[str, ...]] = ()
    """The checkers for which its operations are made."""

    clients: int = Field(default=5, ge=1, le=MOST_CLIENTS, description="clients of this workload")
    rate: Rate = Field(default=100.0, description="operations a second, all its clients together")
    levels: dict[str, int] = Field(
        default_factory=lambda: {"linearizable": 1}, description="weights of the consistency levels of reads"
    )

    operations: int | None = Field(
        default=None, ge=1, le=1_000_000_000, description="at most so many operations of each client"
    )
    bursts: BurstSpec | None = Field(default=None, description="times at which operations come faster")
    open_loop: bool = Field(
        default=False, description="an operation waits for no earlier one: `clients` grow to as many as may be open"
    )
    clients_at: list[str] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_CLIENTS,
        exclude_if=lambda given: given is None,  # it came later: plans of before are the same
        description="nodes to which its clients are dealt in turn; all of them by default",
    )

    @field_validator("levels", "change_levels", check_fields=False)
    @classmethod
    def _levels_are_known(cls, levels: dict[str, int]) -> dict[str, int]:
        for level, weight in levels.items():
            if level not in cls.known_levels:
                raise ValueError(f"no such level: {suggest(level, list(cls.known_levels))}")
            if weight < 0:
                raise ValueError(f"the weight of {level} is {weight}, less than 0")
        return levels

    @model_validator(mode="after")
    def _bursts_are_faster(self) -> WorkloadSpec:
        if self.bursts is not None and self.bursts.rate <= self.rate:
            raise ValueError(f"bursts: `rate: {self.bursts.rate:g}/s` is not above the rate of {self.rate:g}/s")
        return self

    @property
    def bytes_of_a_value(self) -> int | None:
        """The size of values on their way to the system; None: as in the history."""
        return None

    def paced(self, operations: Generator) -> Generator:
        """Return `operations` at the spec's rate and within its limit."""
        if self.bursts is None:
            paced = stagger(self.mean_gap_ns(), operations, self.open_loop)
        else:
            burst_ns = max(1, int(1e9 * self.clients / self.bursts.rate))
            paced = surge(
                self.mean_gap_ns(), burst_ns, self.bursts.every, self.bursts.for_ns, operations, self.open_loop
            )
        return paced if self.operations is None else limit(self.operations, paced)

    def opened(self, operation_ns: int) -> WorkloadSpec:
        """Return the spec; with `open_loop`, with clients for all operations that may be open at once, each for `operation_ns`. The rate stays."""
        if not self.open_loop or self.reactive:
            return self
        open_at_once = self.rate * operation_ns / 1e9
        if self.bursts is not None:
            open_at_once += self.bursts.rate * min(self.bursts.for_ns, operation_ns) / 1e9
        return self.model_copy(update={"clients": min(MOST_CLIENTS, self.clients + math.ceil(open_at_once))})

    def mean_gap_ns(self) -> int:
        """Return the mean time between two operations of one client."""
        return max(1, int(1e9 * self.clients / self.rate))


class Effect(str, Enum):
    """Effect of an operation on the system's state. `PREPARES`: a change that alone shows nothing. `NEITHER`: nodes need not agree, as on an
    identifier that each makes by itself.
    """

    READS = "reads"
    CHANGES = "changes"
    PREPARES = "prepares"
    NEITHER = "neither"


READS, CHANGES, PREPARES, NEITHER = Effect


class Workload:
    """Interface of a workload. `load` and `final` give each client's generator; `final` runs after the heal and the quiet period, with at least one
    client on each node.

    The rest is its declaration. A subclass is a frozen dataclass of `name` and `spec`.
    """

    name: str
    spec: Any
    Spec: ClassVar[type[WorkloadSpec]]
    """Its section of the campaign, for a workload in a plugin."""
    operations: ClassVar[Mapping[str, Effect]] = {}
    """Effect by name of each operation that it may use. A client has a method for each."""
    judged_apart: ClassVar[bool] = True
    """Whether `checkers: auto` gives its operations only to those of `spec.judged_by`; else to all that find what they need."""
    needs: ClassVar[str] = ""
    """What the system must offer, in one sentence."""
    on_reference: ClassVar[bool] = True
    """Whether these operations mean the same for the reference cluster."""

    def load(self) -> Generator:
        raise NotImplementedError

    def final(self, keys: tuple[str, ...]) -> Generator:
        """Return reads of `keys`, the keys that the load touched (of this workload)."""
        raise NotImplementedError

    def asked(self) -> frozenset[str]:
        """Return the names of the operations that it uses with these options."""
        return frozenset(self.operations)

    def checkers(self) -> tuple[str, ...] | None:
        """Return the checkers that alone judge its operations with these options; None: all that find what they need."""
        return (tuple(self.spec.judged_by) or None) if self.judged_apart else None

    def checker_options(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the checker options that follow from these options, by checker."""
        return {}

    def keys_of(self, op: Op) -> Iterable[Hashable]:
        """Return the keys that an operation touches: `final` is given all of them."""
        return (op.key,)


READ_TOGETHER = 16
"""At most so many keys are read by one final transaction."""


def in_parts(keys: Sequence[str], size: int = READ_TOGETHER) -> list[Sequence[str]]:
    return [keys[start : start + size] for start in range(0, len(keys), size)]


FINAL_TRIES = 8
FINAL_GAP_NS = 50_000_000


def final_try(op: Op) -> Generator:
    """Return the operation, repeated a few times until it is ok: a node may not answer yet."""
    return until_ok(limit(FINAL_TRIES, stagger(FINAL_GAP_NS, each(lambda _: op))))


def final_reads(workload: str, keys: tuple[str, ...]) -> Generator:
    """Return reads of each key in turn, each repeated until it is ok."""
    return per_key(keys, lambda key: final_try(Op("read", key, workload=workload)))
