"""Registers: reads, writes and compare-and-sets on many keys; every written value is unique.

Unique values are what makes histories checkable in near-linear time and every stale read attributable to its write.
A cas expects the value that was last *seen* on its key (`SEEN`, resolved by the runner from the history so far).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from ..systems.base import Op
from ..user_files.quantities import format_bytes
from .base import CHANGES, LEVELS, READS, Rate, Workload, WorkloadSpec, final_reads
from .generators import Context, Generator, each
from .sized import LARGEST_BYTES, ValueBytes

SEEN = "$seen"
"""Placeholder of the last value that any client saw on the operation's key."""

Kind = Literal["read", "write", "cas"]


def _usual_mix() -> dict[Kind, int]:
    return {"read": 50, "write": 35, "cas": 15}


class RegisterSpec(WorkloadSpec):
    """`keys` registers; `mix` weights of the operations."""

    judged_by: ClassVar[tuple[str, ...]] = ("linearizable",)

    clients: int = Field(default=10, ge=1, le=500)
    rate: Rate = 400.0
    keys: int = Field(default=8, ge=1, le=10_000, description="number of registers")
    mix: dict[Kind, int] = Field(default_factory=_usual_mix, description="weights of the operations")
    value_bytes: ValueBytes | None = Field(default=None, description="size of each written value on the wire")

    @field_validator("mix")
    @classmethod
    def _some_weight(cls, mix: dict[Kind, int]) -> dict[Kind, int]:
        if any(weight < 0 for weight in mix.values()) or not sum(mix.values()):
            raise ValueError(f"the mix {mix!r} needs weights of at least 0, one of them above")
        return mix

    @model_validator(mode="after")
    def _values_fit_a_message(self) -> RegisterSpec:
        # A cas carries the expected value together with the new one.
        values = 2 if self.mix.get("cas") else 1
        if self.value_bytes is not None and values * self.value_bytes > LARGEST_BYTES:
            most = format_bytes(LARGEST_BYTES // values)
            raise ValueError(
                f"`value_bytes: {format_bytes(self.value_bytes)}` is more than a command takes: at most {most} with this mix"
            )
        return self

    @property
    def bytes_of_a_value(self) -> int | None:
        return self.value_bytes


@dataclass(frozen=True)
class Register(Workload):
    operations: ClassVar = {"read": READS, "write": CHANGES, "cas": CHANGES}
    judged_apart = False
    needs = "values by key, read and written one by one; a compare-and-set where the mix has `cas`"

    name: str
    spec: RegisterSpec

    def asked(self) -> frozenset[str]:
        """Return the operations of the mix, and `read`, which the final reads need."""
        return frozenset({"read", *(kind for kind, weight in self.spec.mix.items() if weight)})

    def load(self) -> Generator:
        return self.spec.paced(each(self._operation))

    def final(self, keys: tuple[str, ...]) -> Generator:
        return final_reads(self.name, keys)

    def _operation(self, context: Context) -> Op:
        draw = context.draw("op")
        kind = draw.choices(list(self.spec.mix), weights=list(self.spec.mix.values()))[0]
        key = f"{self.name}-{draw.randrange(self.spec.keys)}"
        value = unique_value(context)
        if kind == "write":
            return Op("write", key, value, workload=self.name)
        if kind == "cas":
            return Op("cas", key, [SEEN, value], workload=self.name)
        return Op("read", key, None, draw_level(self.spec, context), self.name)


def _mostly_cas() -> dict[Kind, int]:
    return {"read": 40, "write": 20, "cas": 40}


class CasRegisterSpec(RegisterSpec):
    """Registers as in `register`, most of whose changes are compare-and-sets."""

    judged_by: ClassVar[tuple[str, ...]] = ("linearizable",)

    mix: dict[Kind, int] = Field(default_factory=_mostly_cas)


class CasRegister(Register):
    judged_apart = True
    needs = "one value per key: reads, writes and compare-and-set"


def unique_value(context: Context) -> int:
    """Return a value that is unique among all operations of the workload, and never the initial value."""
    return context.count * context.clients + context.client + 1


def draw_level(spec: WorkloadSpec, context: Context) -> str:
    levels = [level for level in LEVELS if spec.levels.get(level)]
    if len(levels) < 2:
        return levels[0] if levels else "linearizable"
    return context.draw("level").choices(levels, weights=[spec.levels[level] for level in levels])[0]
