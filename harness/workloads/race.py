"""Races: registers that are written at a new leader and read at the one before it, as soon as there are two.

Stale answers come from a node that does not yet know that another one leads. That lasts for milliseconds, and clients that try something now and then
miss it. These act on what the driver knows (`Rivals`), which only the simulator says. What they tried is in the plan that replays or shrinks a run,
as operations at their times.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from pydantic import Field

from ..systems.base import Op
from ..user_files.measured import PositiveDuration
from .base import CHANGES, READS, Rate, Workload, WorkloadSpec, final_reads
from .generators import WAIT, Context, Emit, Generator, Rivals
from .register import draw_level, unique_value

WRITES_AT_THE_OLD_IN = 4
"""Of the second half of the clients, one operation in so many at the former leader is a write: entries that no other node has."""


class RaceSpec(WorkloadSpec):
    """Races: clients act when leaders change, `gap` apart; `rate` has no meaning."""

    judged_by: ClassVar[tuple[str, ...]] = ("linearizable",)
    reactive: ClassVar[bool] = True

    clients: int = Field(default=10, ge=2, le=500, description="half of them write at new leaders")
    rate: Rate = Field(default=1.0, description="without meaning here")
    keys: int = Field(default=1, ge=1, le=100, description="number of registers")
    gap: PositiveDuration = Field(default=2_000_000, description="approximate time between two operations of a client")
    each: int = Field(
        default=12, ge=1, le=10_000, description="the most operations of a client for one change of leaders"
    )
    most: int = Field(default=40, ge=1, le=100_000, description="the most operations of a client in total")


@dataclass(frozen=True)
class Race(Workload):
    operations: ClassVar = {"read": READS, "write": CHANGES}
    judged_apart = False
    needs = "the simulator, which knows when leaders change"

    name: str
    spec: RaceSpec

    def load(self) -> Generator:
        return Racing(self.name, self.spec, self.spec.most)

    def final(self, keys: tuple[str, ...]) -> Generator:
        return final_reads(self.name, keys)


@dataclass(frozen=True)
class Racing(Generator):
    """Operations of one client: `left` in all, and `left_here` for the change of leaders that was `met` last."""

    name: str
    spec: RaceSpec
    left: int
    left_here: int = 0
    met: Rivals | None = None

    def next(self, context: Context) -> tuple[Emit | None, Generator]:
        rivals = context.rivals
        if not self.left:
            return None, self
        mine = self if rivals == self.met else replace(self, met=rivals, left_here=self.spec.each)
        if rivals is None or not mine.left_here or context.node not in (rivals.new, rivals.old):
            return WAIT, mine
        gap_ns = context.draw("gap").randrange(2 * self.spec.gap + 1) if mine is self else 0
        emit = Emit(self._operation(context, rivals), context.now_ns + gap_ns)
        return emit, replace(mine, left=mine.left - 1, left_here=mine.left_here - 1)

    def _operation(self, context: Context, rivals: Rivals) -> Op:
        draw = context.draw("op")
        key = f"{self.name}-{draw.randrange(self.spec.keys)}"
        first_half = 2 * context.client < context.clients
        if context.node == rivals.new:
            writes = first_half
        else:
            writes = not first_half and draw.randrange(WRITES_AT_THE_OLD_IN) == 0
        if writes:
            return Op("write", key, unique_value(context), workload=self.name)
        return Op("read", key, None, draw_level(self.spec, context), self.name)
