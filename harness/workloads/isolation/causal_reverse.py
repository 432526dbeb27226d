"""Causal reverse: rows are written one by one, and reads return all of them. A read that has a row must have those that were acknowledged before that row was begun."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from ...systems.base import Op
from ..base import CHANGES, READS, Rate, Workload, WorkloadSpec, final_reads
from ..generators import Context, Generator, each
from ..register import draw_level, unique_value


class CausalReverseSpec(WorkloadSpec):
    """`reads` in a hundred operations read all rows of the current key; another key after `per_key` operations."""

    judged_by: ClassVar[tuple[str, ...]] = ("causal-reverse",)

    clients: int = Field(default=6, ge=1, le=500)
    rate: Rate = 60.0
    reads: int = Field(default=40, ge=1, le=99, description="per cent of operations that read")
    per_key: int = Field(default=200, ge=1, le=100_000, description="operations before a new key is used")


@dataclass(frozen=True)
class CausalReverse(Workload):
    operations: ClassVar = {"write": CHANGES, "read": READS}
    needs = "rows by key: `write` adds one, in a table or on a node of its own, `read` returns all of the key as a list"
    on_reference = False

    name: str
    spec: CausalReverseSpec

    def load(self) -> Generator:
        return self.spec.paced(each(self._operation))

    def final(self, keys: tuple[str, ...]) -> Generator:
        return final_reads(self.name, keys)

    def _operation(self, context: Context) -> Op:
        number = unique_value(context)
        key = f"{self.name}-{number // self.spec.per_key}"
        if context.draw("op").randrange(100) < self.spec.reads:
            return Op("read", key, None, draw_level(self.spec, context), self.name)
        return Op("write", key, number, workload=self.name)
