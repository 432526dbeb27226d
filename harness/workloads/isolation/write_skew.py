"""Write skew: transactions that read two objects and write one of them, so that two of them may each miss the other's write.

`item`: registers. `predicate`: two tables; a row is inserted into one of them only if neither has a row for the key.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from ...systems.base import Op
from ..base import CHANGES, FINAL_GAP_NS, FINAL_TRIES, Rate, Workload, WorkloadSpec, final_try, in_parts
from ..generators import Context, Generator, each, limit, sequence, stagger, until_ok
from ..register import unique_value


class WriteSkewSpec(WorkloadSpec):
    """`per_key` transactions on each pair of objects; `of`: registers that are read and written, or rows that are looked for and inserted."""

    judged_by: ClassVar[tuple[str, ...]] = ("write-skew", "rw-register")

    clients: int = Field(default=6, ge=2, le=500)
    rate: Rate = 60.0
    of: Literal["item", "predicate"] = Field(
        default="item", description="the objects that are read: registers, or rows of a key"
    )
    per_key: int = Field(default=8, ge=2, le=10_000, description="transactions before a new pair of keys is used")


@dataclass(frozen=True)
class WriteSkew(Workload):
    operations: ClassVar = {"txn": CHANGES, "insert": CHANGES}
    needs = (
        "transactions: `txn` of parts `[r, key, null]` and `[w, key, value]`; with `of: predicate` `insert` of `[key, [a, null]]` or `[key, [null, b]]`, "
        "a row in one of two tables, which fails if either has one for the key"
    )

    name: str
    spec: WriteSkewSpec

    def load(self) -> Generator:
        return self.spec.paced(each(self._item if self.spec.of == "item" else self._predicate))

    def final(self, keys: tuple[str, ...]) -> Generator:
        if self.spec.of == "predicate":
            insert = each(lambda context: self._insert(f"{self.name}-final-{context.client}-{context.count}", context))
            return until_ok(limit(FINAL_TRIES, stagger(FINAL_GAP_NS, insert)))
        reads = ([["r", key, None] for key in some] for some in in_parts(keys))
        return sequence(*(final_try(Op("txn", None, parts, workload=self.name)) for parts in reads))

    def asked(self) -> frozenset[str]:
        return frozenset({"txn" if self.spec.of == "item" else "insert"})

    def checkers(self) -> tuple[str, ...]:
        return ("write-skew", "rw-register") if self.spec.of == "item" else ("write-skew",)

    def keys_of(self, op: Op) -> Iterable[Hashable]:
        return [part[1] for part in op.value] if op.f == "txn" else [op.value[0]]

    def _item(self, context: Context) -> Op:
        number = unique_value(context)
        pair = [f"{self.name}-{number // self.spec.per_key}-{member}" for member in "ab"]
        written = context.draw("op").choice(pair)
        parts = [*(["r", key, None] for key in pair), ["w", written, number]]
        return Op("txn", None, parts, workload=self.name)

    def _predicate(self, context: Context) -> Op:
        return self._insert(f"{self.name}-{unique_value(context) // self.spec.per_key}", context)

    def _insert(self, key: str, context: Context) -> Op:
        row = unique_value(context)
        rows = [row, None] if context.draw("op").randrange(2) else [None, row]
        return Op("insert", None, [key, rows], workload=self.name)
