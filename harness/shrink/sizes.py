"""The size of a failing plan, in figures that a person compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..run.plan.plan import Pinned, Plan


@dataclass(frozen=True, slots=True)
class Size:
    """`seconds` is how long clients and faults are active, in run time."""

    faults: int
    operations: int
    clients: int
    keys: int
    nodes: int
    seconds: float

    def __str__(self) -> str:
        words = [f"{getattr(self, name)} {name}" for name in ("faults", "operations", "clients", "keys", "nodes")]
        return f"{', '.join(words)}, {self.seconds:g} s"


def size_of(plan: Plan, operations: Sequence[Pinned]) -> Size:
    """Measure a plan; `operations` are those of the load as they were tried, pinned or drawn."""
    return Size(
        faults=len(plan.intents),
        operations=len(operations),
        clients=len({op.slot for op in operations}),
        keys=len({(op.op.workload, op.op.key) for op in operations}),
        nodes=len(plan.nodes),
        seconds=round(plan.timing.load_ns / 1e9, 3),
    )
