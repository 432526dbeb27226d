"""Queues: unique elements go in and come out; at the end every node's client takes out what is left until it finds nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from pydantic import Field

from tribulation.histories.model.operation import FOUND_NOTHING

from ...systems.base import Op, Outcome
from ..base import CHANGES, Rate, Workload, WorkloadSpec
from ..generators import Context, Emit, Generator, drawn, each, limit, per_key, stagger, until
from ..register import unique_value

DRAIN_TRIES = 100_000
DRAIN_GAP_NS = 2_000_000
REFUSED_GAP_NS, MOST_REFUSED_GAP_NS = 50_000_000, 1_000_000_000
"""The wait after a dequeue without an answer, which doubles with each further one, and its bound."""
REFUSED_NS = 30_000_000_000
"""For so long a queue may give no answer; then the next one is drained."""


class QueueSpec(WorkloadSpec):
    """`keys` queues; `dequeues` in a hundred operations take an element out; `fifo`: in the order in which they went in."""

    judged_by: ClassVar[tuple[str, ...]] = ("total-queue", "queue")

    clients: int = Field(default=5, ge=1, le=500)
    rate: Rate = 50.0
    keys: int = Field(default=1, ge=1, le=1_000, description="number of queues")
    dequeues: int = Field(default=45, ge=1, le=99, description="per cent of operations that dequeue")
    fifo: bool = Field(default=False, description="whether the order is checked too")


@dataclass(frozen=True)
class Queue(Workload):
    operations: ClassVar = {"enqueue": CHANGES, "dequeue": CHANGES}
    needs = "queues by key: `enqueue` of an element, `dequeue` of one, null (or a `fail` with error `empty`) where there is none"
    on_reference = False

    name: str
    spec: QueueSpec

    def load(self) -> Generator:
        return self.spec.paced(each(self._operation))

    def final(self, keys: tuple[str, ...]) -> Generator:
        def drained(key: str) -> Generator:
            dequeue = Op("dequeue", key, workload=self.name)
            drain = limit(DRAIN_TRIES, stagger(DRAIN_GAP_NS, each(lambda _: dequeue)))
            return until(found_nothing, Patient(drain, lambda op, outcome: outcome.type != "ok"))

        return per_key(keys, drained)

    def checkers(self) -> tuple[str, ...]:
        return ("total-queue", "queue") if self.spec.fifo else ("total-queue",)

    def _operation(self, context: Context) -> Op:
        draw = context.draw("op")
        key = f"{self.name}-{draw.randrange(self.spec.keys)}"
        if draw.randrange(100) < self.spec.dequeues:
            return Op("dequeue", key, workload=self.name)
        return Op("enqueue", key, unique_value(context), workload=self.name)


def found_nothing(op: Op, outcome: Outcome) -> bool:
    if outcome.type == "ok":
        return outcome.value is None
    return outcome.type == "fail" and outcome.error in FOUND_NOTHING


@dataclass(frozen=True)
class Patient(Generator):
    """The operations of `inner`, with longer and longer waits after those that were `refused`; exhausted when nothing but refusals came for
    `REFUSED_NS`.
    """

    inner: Generator
    refused: Callable[[Op, Outcome], bool]
    refusals: int = 0
    since_ns: int | None = None
    """When the first refusal of a row was known."""

    def next(self, context: Context) -> tuple[Emit | None, Generator]:
        wait_ns, since_ns = 0, None
        if self.refusals:
            since_ns = context.now_ns if self.since_ns is None else self.since_ns
            if context.now_ns - since_ns >= REFUSED_NS:
                return None, self
            most = min(REFUSED_GAP_NS << min(self.refusals - 1, 10), MOST_REFUSED_GAP_NS)
            wait_ns = context.draw("refused").randrange(most // 2, most + 1)
        emit, inner = drawn(self.inner, context)
        after = replace(self, inner=inner, since_ns=since_ns)
        return (None if emit is None else Emit(emit.op, max(emit.at_ns, context.now_ns + wait_ns))), after

    def update(self, op: Op, outcome: Outcome) -> Generator:
        refusals = self.refusals + 1 if self.refused(op, outcome) else 0
        return replace(self, inner=self.inner.update(op, outcome), refusals=refusals)
