"""Unique identifiers: none is given out twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from ...systems.base import Op
from ..base import NEITHER, Rate, Workload, WorkloadSpec, final_try
from ..generators import Generator, each


class UniqueIdsSpec(WorkloadSpec):
    """Clients ask for identifiers, and nothing else."""

    judged_by: ClassVar[tuple[str, ...]] = ("unique-ids",)

    clients: int = Field(default=5, ge=1, le=500)
    rate: Rate = 50.0


@dataclass(frozen=True)
class UniqueIds(Workload):
    operations: ClassVar = {"generate": NEITHER}
    needs = "`generate`, which returns a number or a text that it never returned before"

    name: str
    spec: UniqueIdsSpec

    def load(self) -> Generator:
        return self.spec.paced(each(lambda _: self._generate))

    def final(self, keys: tuple[str, ...]) -> Generator:
        return final_try(self._generate)

    @property
    def _generate(self) -> Op:
        return Op("generate", workload=self.name)
