"""Transactions of several operations on few keys: all of one happens at once, or nothing.

`lists`: appends of unique elements, and reads of whole lists (judged by `list-append`). `registers`: reads, writes, and a cas whose expectation fails
in some of them, which must leave nothing behind of what stands before it (judged by `rw-register` as far as there is no cas, else by search: keep
those few).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar, Literal

from pydantic import Field

from ..systems.base import Op
from .base import CHANGES, Rate, Workload, WorkloadSpec, final_try, in_parts
from .generators import Context, Generator, each, per_key, sequence
from .register import unique_value

NEVER_THERE = -1
"""A value that no register ever holds."""


class TransactionSpec(WorkloadSpec):
    """Transactions of `parts` operations on lists or registers (`of`); of those on registers `refused` percent fail by a cas."""

    judged_by: ClassVar[tuple[str, ...]] = ("list-append", "rw-register")

    clients: int = Field(default=4, ge=1, le=500)
    rate: Rate = 40.0
    keys: int = Field(default=3, ge=1, le=1_000, description="number of lists, or of registers")
    parts: int = Field(default=4, ge=1, le=8, description="operations of one transaction, at most")
    of: Literal["lists", "registers"] = Field(default="lists", description="the type of the keys")
    reads: int = Field(default=50, ge=0, le=100, description="per cent of operations that read")
    refused: int = Field(
        default=0, ge=0, le=100, description="with registers: per cent of transactions that end in a cas that fails"
    )


@dataclass(frozen=True)
class Transactions(Workload):
    operations: ClassVar = {"txn": CHANGES}
    judged_apart = False
    needs = "transactions of `r` and `append` on lists, or of `r`, `w` and `cas` on registers"

    name: str
    spec: TransactionSpec

    def load(self) -> Generator:
        return self.spec.paced(each(self._operation))

    def final(self, keys: tuple[str, ...]) -> Generator:
        """Read everything in one transaction."""
        op = Op("txn", None, [["r", key, None] for key in self._keys], workload=self.name)
        return per_key(keys, lambda _: final_try(op))

    @property
    def _keys(self) -> list[str]:
        return [f"{self.name}-{number}" for number in range(self.spec.keys)]

    def _operation(self, context: Context) -> Op:
        draw = context.draw("op")
        parts = [self._part(draw, context, place) for place in range(draw.randint(1, self.spec.parts))]
        if self.spec.of == "registers" and draw.randrange(100) < self.spec.refused:
            parts.append(["cas", draw.choice(self._keys), NEVER_THERE, NEVER_THERE])
        return Op("txn", None, parts, workload=self.name)

    def _part(self, draw: Random, context: Context, place: int) -> list[Any]:
        key = draw.choice(self._keys)
        if draw.randrange(100) < self.spec.reads:
            return ["r", key, None]
        value = unique_value(context) * self.spec.parts + place
        return ["append" if self.spec.of == "lists" else "w", key, value]


class ListAppendSpec(WorkloadSpec):
    """Transactions of up to `parts` reads of lists and appends to them; `keys` lists at a time, others after `per_key` transactions."""

    judged_by: ClassVar[tuple[str, ...]] = ("list-append",)

    clients: int = Field(default=4, ge=1, le=500)
    rate: Rate = 40.0
    keys: int = Field(default=3, ge=1, le=1_000, description="keys in use at a time")
    parts: int = Field(default=4, ge=1, le=8, description="operations of one transaction, at most")
    reads: int = Field(default=50, ge=0, le=100, description="per cent of operations that read")
    per_key: int = Field(default=100, ge=1, le=1_000_000, description="transactions before new keys are used")


@dataclass(frozen=True)
class ListAppend(Workload):
    operations: ClassVar = {"txn": CHANGES}
    needs = "transactions: `txn` of parts `[r, key, null]` and `[append, key, value]`, answered with the lists that were read"

    name: str
    spec: ListAppendSpec
    writes = "append"

    def load(self) -> Generator:
        return self.spec.paced(each(self._operation))

    def final(self, keys: tuple[str, ...]) -> Generator:
        return sequence(*(final_try(self._reads(some)) for some in in_parts(keys)))

    def keys_of(self, op: Op) -> Iterable[Hashable]:
        return [part[1] for part in op.value]

    def _reads(self, keys: Iterable[str]) -> Op:
        return Op("txn", None, [["r", key, None] for key in keys], workload=self.name)

    def _operation(self, context: Context) -> Op:
        draw, number, spec = context.draw("op"), unique_value(context), self.spec
        first = number // spec.per_key * spec.keys
        parts: list[list[Any]] = []
        for place in range(draw.randint(1, spec.parts)):
            key = f"{self.name}-{first + draw.randrange(spec.keys)}"
            reads = draw.randrange(100) < spec.reads
            parts.append(["r", key, None] if reads else [self.writes, key, number * spec.parts + place])
        return Op("txn", None, parts, workload=self.name)


class RwRegisterSpec(ListAppendSpec):
    """Workload like `list-append`, on registers: reads, and writes of unique values."""

    judged_by: ClassVar[tuple[str, ...]] = ("rw-register",)


class RwRegister(ListAppend):
    needs = (
        "transactions: `txn` of parts `[r, key, null]` and `[w, key, value]`, answered with the values that were read"
    )
    writes = "w"
