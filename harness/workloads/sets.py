"""Sets: adds of unique elements, and reads of the whole; a new set every `per_key` adds, so that reads stay small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from ..systems.base import Op
from .base import CHANGES, READS, Rate, Workload, WorkloadSpec, final_reads
from .generators import Context, Generator, each
from .register import draw_level, unique_value


class SetSpec(WorkloadSpec):
    """`reads` in a hundred operations are reads of the current set; the others add one element to it."""

    judged_by: ClassVar[tuple[str, ...]] = ("set",)

    clients: int = Field(default=2, ge=1, le=500)
    rate: Rate = 20.0
    per_key: int = Field(default=1000, ge=1, le=10_000, description="adds before a new key is used")
    reads: int = Field(default=25, ge=0, le=99, description="per cent of operations that read the whole set")


class SetFullSpec(SetSpec):
    """Workload like `set`, read more often: an element may come late, and none that was acknowledged is ever missing from then on."""

    judged_by: ClassVar[tuple[str, ...]] = ("set-full",)

    reads: int = Field(default=50, ge=1, le=99, description="per cent of operations that read the whole set")


@dataclass(frozen=True)
class Set(Workload):
    operations: ClassVar = {"add": CHANGES, "read": READS}
    judged_apart = False
    needs = "sets by key: `add` of one element, and `read` of all as a list"

    name: str
    spec: SetSpec

    def load(self) -> Generator:
        return self.spec.paced(each(self._operation))

    def final(self, keys: tuple[str, ...]) -> Generator:
        return final_reads(self.name, keys)

    def _operation(self, context: Context) -> Op:
        element = unique_value(context)
        key = f"{self.name}-{element // self.spec.per_key}"
        if context.draw("op").randrange(100) < self.spec.reads:
            return Op("read", key, None, draw_level(self.spec, context), self.name)
        return Op("add", key, element, workload=self.name)


class SetFull(Set):
    judged_apart = True
