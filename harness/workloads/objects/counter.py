"""Counters: additions, and reads of the sum, which lies between what must and what may have been added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from ...systems.base import Op
from ..base import CHANGES, READS, Rate, Workload, WorkloadSpec, final_reads
from ..generators import Context, Generator, each
from ..register import draw_level


class CounterSpec(WorkloadSpec):
    """`keys` counters; `reads` in a hundred operations read one; of the others `decrements` in a hundred add less than 0."""

    judged_by: ClassVar[tuple[str, ...]] = ("counter-bounds",)

    clients: int = Field(default=5, ge=1, le=500)
    rate: Rate = 50.0
    keys: int = Field(default=1, ge=1, le=1_000, description="number of counters")
    reads: int = Field(default=40, ge=1, le=99, description="per cent of operations that read")
    amount: int = Field(default=5, ge=1, le=1_000_000, description="the largest amount of one operation")
    decrements: int = Field(default=0, ge=0, le=100, description="per cent of additions with a negative amount")


@dataclass(frozen=True)
class Counter(Workload):
    operations: ClassVar = {"add": CHANGES, "read": READS}
    needs = "counters by key, at first 0: `add` of a number, `read` of the sum"
    on_reference = False

    name: str
    spec: CounterSpec

    def load(self) -> Generator:
        return self.spec.paced(each(self._operation))

    def final(self, keys: tuple[str, ...]) -> Generator:
        return final_reads(self.name, keys)

    def _operation(self, context: Context) -> Op:
        draw = context.draw("op")
        key = f"{self.name}-{draw.randrange(self.spec.keys)}"
        if draw.randrange(100) < self.spec.reads:
            return Op("read", key, None, draw_level(self.spec, context), self.name)
        amount = 1 + draw.randrange(self.spec.amount)
        return Op("add", key, -amount if draw.randrange(100) < self.spec.decrements else amount, workload=self.name)
