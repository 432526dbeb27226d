"""Long forks: independent writes of fresh keys, and reads of several of them together, which must agree on the order of the writes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import groupby
from random import Random
from typing import ClassVar

from pydantic import Field

from ...systems.base import Op
from ..base import CHANGES, Rate, Workload, WorkloadSpec, final_try
from ..generators import Context, Generator, each, sequence
from ..register import unique_value


class LongForkSpec(WorkloadSpec):
    """Keys in groups of `group`, each written once while others read the whole group, `reads` times for each write."""

    judged_by: ClassVar[tuple[str, ...]] = ("long-fork",)

    clients: int = Field(default=6, ge=2, le=500)
    rate: Rate = 60.0
    group: int = Field(default=2, ge=2, le=16, description="keys that are read together")
    reads: int = Field(default=3, ge=1, le=20, description="reads of a group for each write to it")


@dataclass(frozen=True)
class LongFork(Workload):
    operations: ClassVar = {"txn": CHANGES}
    needs = "transactions: `txn` of one `[w, key, value]`, and of several parts `[r, key, null]`"

    name: str
    spec: LongForkSpec

    def load(self) -> Generator:
        return self.spec.paced(each(self._operation))

    def final(self, keys: tuple[str, ...]) -> Generator:
        groups = groupby(sorted(keys), lambda key: key.rpartition("-")[0])
        return sequence(*(final_try(self._read(list(members))) for _, members in groups))

    def keys_of(self, op: Op) -> Iterable[Hashable]:
        return [part[1] for part in op.value]

    def _read(self, keys: Iterable[str]) -> Op:
        return Op("txn", None, [["r", key, None] for key in keys], workload=self.name)

    def _operation(self, context: Context) -> Op:
        """Return a client's next operation. Consecutive ones of all clients belong to one group; which of them write is drawn for each group."""
        spec, number = self.spec, unique_value(context)
        size = spec.group * (1 + spec.reads)
        group, place = divmod(number, size)
        order = list(range(size))
        Random(f"{context.seed}/{self.name}/{group}/order").shuffle(order)
        keys = [f"{self.name}-{group}-{member}" for member in range(spec.group)]
        if order[place] < spec.group:
            return Op("txn", None, [["w", keys[order[place]], 1]], workload=self.name)
        return self._read(context.draw("op").sample(keys, spec.group))
