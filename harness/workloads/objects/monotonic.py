"""Monotonic values: each client writes growing values to a key of its own and reads the keys of all; no client may see a value fall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from ...systems.base import Op
from ..base import CHANGES, READS, Rate, Workload, WorkloadSpec, final_reads
from ..generators import Context, Generator, each
from ..register import draw_level


class MonotonicSpec(WorkloadSpec):
    """A key for each client; `reads` in a hundred operations read a key of anyone."""

    judged_by: ClassVar[tuple[str, ...]] = ("session-guarantees",)

    clients: int = Field(default=5, ge=1, le=500)
    rate: Rate = 60.0
    reads: int = Field(default=60, ge=1, le=99, description="per cent of operations that read")


@dataclass(frozen=True)
class Monotonic(Workload):
    operations: ClassVar = {"write": CHANGES, "read": READS}
    needs = "values by key, read and written one by one"

    name: str
    spec: MonotonicSpec

    def load(self) -> Generator:
        return self.spec.paced(each(self._operation))

    def final(self, keys: tuple[str, ...]) -> Generator:
        return final_reads(self.name, keys)

    def _operation(self, context: Context) -> Op:
        draw = context.draw("op")
        if draw.randrange(100) < self.spec.reads:
            key = f"{self.name}-{draw.randrange(context.clients)}"
            return Op("read", key, None, draw_level(self.spec, context), self.name)
        return Op("write", f"{self.name}-{context.client}", context.count + 1, workload=self.name)
