"""Agent memory: all clients change records at any node, and at the end every client reads every record.

Every change can be found again: it adds an element that no other adds, or to a count, and some write a text that no other writes. Clients are dealt
to the nodes in turn, so with as many clients as nodes every node is asked at the end what it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from ..systems.base import Op
from .base import CHANGES, FINAL_GAP_NS, FINAL_TRIES, READS, Rate, Workload, WorkloadSpec
from .generators import Context, Generator, each, limit, listed, per_key, sequence, stagger, until_ok
from .register import unique_value

Kind = Literal["episode", "fact", "profile"]
Deed = Literal["learn", "forget", "recall"]
MEMORY_LEVELS = ("eventual", "quorum", "linearizable")

SETS: dict[Kind, tuple[str, ...]] = {
    "episode": ("agents", "modalities_in", "modalities_out"),
    "fact": ("sources",),
    "profile": (),
}
TEXTS: dict[Kind, tuple[str, ...]] = {
    "episode": ("goal", "outcome", "strategy"),
    "fact": ("concept", "knowledge"),
    "profile": (),
}
COUNTS: dict[Kind, tuple[str, ...]] = {
    "episode": (),
    "fact": ("times_used", "times_helpful"),
    "profile": ("attempts", "successes"),
}
MOST_ADDED = 3


def _usual_mix() -> dict[Deed, int]:
    return {"learn": 60, "forget": 4, "recall": 36}


def _usual_levels() -> dict[str, int]:
    return {"eventual": 70, "quorum": 20, "linearizable": 10}


class MemorySpec(WorkloadSpec):
    """`records` of each of the `kinds`; `mix` weights of operations; in a hundred changes of kinds that have them `texts` write one."""

    judged_by: ClassVar[tuple[str, ...]] = ("memory",)
    known_levels: ClassVar[Sequence[str]] = MEMORY_LEVELS

    clients: int = Field(default=5, ge=1, le=500)
    rate: Rate = 60.0
    kinds: tuple[Kind, ...] = Field(default=("episode", "fact", "profile"), min_length=1, description="of records")
    records: int = Field(default=6, ge=1, le=1000, description="records of each kind; of profiles at most 30")
    forgotten: int = Field(
        default=2,
        ge=0,
        le=1000,
        description="the number of these records that are deleted at times; the others keep everything",
    )
    mix: dict[Deed, int] = Field(default_factory=_usual_mix, description="weights of the operations")
    texts: int = Field(default=30, ge=0, le=100, description="per cent of changes that write a text")
    levels: dict[str, int] = Field(
        default_factory=_usual_levels, description="weights of the levels of reads: eventual, quorum, linearizable"
    )
    change_levels: dict[str, int] = Field(default_factory=_usual_levels, description="weights of the levels of changes")

    @model_validator(mode="after")
    def _deletions_have_records(self) -> MemorySpec:
        if self.mix.get("forget") and not self.forgotten:
            raise ValueError("`forget` is in the mix, but `forgotten: 0` leaves nothing to delete")
        return self

    @field_validator("mix", "change_levels", "levels")
    @classmethod
    def _some_weight(cls, weights: dict[str, int]) -> dict[str, int]:
        if any(weight < 0 for weight in weights.values()) or not sum(weights.values()):
            raise ValueError(f"the weights {weights!r} must be at least 0, one of them above")
        return weights


@dataclass(frozen=True)
class MemoryWorkload(Workload):
    operations: ClassVar = {"learn": CHANGES, "forget": CHANGES, "recall": READS, "memory-digest": READS}
    judged_apart = False
    needs = "agent memory of the reference cluster"

    name: str
    spec: MemorySpec

    def load(self) -> Generator:
        return self.spec.paced(each(self._operation))

    def final(self, keys: tuple[str, ...]) -> Generator:
        """Read every record by every client, whichever were touched: a value that no client wrote must be nowhere."""
        reads = per_key(self.records, lambda key: self._read(Op("recall", key, None, "eventual", self.name)))
        return sequence(reads, self._read(Op("memory-digest", None, None, "eventual", self.name)))

    @property
    def records(self) -> tuple[str, ...]:
        return tuple(f"{kind}/r{i}" for kind in self.spec.kinds for i in range(self._most(kind)))

    def _read(self, op: Op) -> Generator:
        """Read at once, and a few times more where a node does not answer yet."""
        again = stagger(FINAL_GAP_NS, each(lambda _: op))
        return until_ok(limit(FINAL_TRIES, sequence(listed([op]), again)))

    def _operation(self, context: Context) -> Op:
        spec, draw = self.spec, context.draw("op")
        deed = _drawn(draw, spec.mix)
        kind = draw.choice(spec.kinds)
        record = f"r{self._number(deed, kind, draw)}"
        key = f"{kind}/{record}"
        if deed == "recall":
            return Op("recall", key, None, _drawn(draw, spec.levels), self.name)
        value: dict[str, Any] = {"kind": kind, "record": record}
        if deed == "learn":
            value["fields"] = self._fields(kind, unique_value(context), draw)
        return Op(deed, key, value, _drawn(draw, spec.change_levels), self.name)

    def _fields(self, kind: Kind, number: int, draw: Random) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if SETS[kind]:
            fields[draw.choice(SETS[kind])] = [f"e{number}"]
        if COUNTS[kind]:
            fields[draw.choice(COUNTS[kind])] = 1 + draw.randrange(MOST_ADDED)
        if TEXTS[kind] and draw.randrange(100) < self.spec.texts:
            fields[draw.choice(TEXTS[kind])] = f"t{number}"
        return fields

    def _number(self, deed: Deed, kind: Kind, draw: Random) -> int:
        """Return the number of the record of an operation; only the last ones are deleted."""
        most = self._most(kind)
        kept = most - min(self.spec.forgotten, most) if deed == "forget" else 0
        return kept + draw.randrange(most - kept)

    def _most(self, kind: Kind) -> int:
        return min(self.spec.records, 30) if kind == "profile" else self.spec.records


def _drawn(draw: Random, weights: Any) -> Any:
    return draw.choices(list(weights), weights=list(weights.values()))[0]
