"""Queues: unique elements go in and come out; at the end every node's client takes out what is left until it finds nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from tribulation.histories.model.operation import FOUND_NOTHING

from ...systems.base import Op, Outcome
from ..base import CHANGES, Rate, Workload, WorkloadSpec
from ..generators import Context, Generator, each, limit, per_key, stagger, until
from ..register import unique_value

DRAIN_TRIES = 100_000
DRAIN_GAP_NS = 2_000_000


class QueueSpec(WorkloadSpec):
    """`keys` queues; `dequeues` in a hundred operations take an element out; `fifo`: in the order in which they went in."""

    judged_by: ClassVar[tuple[str, ...]] = ("total-queue", "queue")

    clients: int = Field(default=5, ge=1, le=500)
    rate: Rate = 50.0
    keys: int = Field(default=1, ge=1, le=1_000, description="number of queues")
    dequeues: int = Field(default=45, ge=1, le=99, description="per cent of operations that take out")
    fifo: bool = Field(default=False, description="whether the order is judged too")


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
            return until(found_nothing, limit(DRAIN_TRIES, stagger(DRAIN_GAP_NS, each(lambda _: dequeue))))

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
