"""Append-only logs: values are sent, get offsets, and are polled from an offset on. At the end every node's client reads each log from its beginning
to its end.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from pydantic import Field

from ...systems.base import Op, Outcome
from ..base import CHANGES, READS, Rate, Workload, WorkloadSpec
from ..generators import Context, Emit, Generator, limit, per_key, stagger, until
from ..register import unique_value

FINAL_TRIES = 1_000
FINAL_GAP_NS = 10_000_000


class LogSpec(WorkloadSpec):
    """`keys` logs at a time; `polls` in a hundred operations read on in one; other logs after `per_key` operations."""

    judged_by: ClassVar[tuple[str, ...]] = ("kafka",)

    clients: int = Field(default=5, ge=1, le=500)
    rate: Rate = 50.0
    keys: int = Field(default=2, ge=1, le=1_000, description="logs in use at a time")
    polls: int = Field(default=50, ge=1, le=99, description="per cent of operations that poll")
    per_key: int = Field(default=400, ge=1, le=1_000_000, description="operations before new logs are used")


@dataclass(frozen=True)
class Log(Workload):
    operations: ClassVar = {"send": CHANGES, "poll": READS}
    needs = (
        "logs by key: `send` of parts `[send, key, value]` returns them as `[send, key, [offset, value]]`; `poll` of `[[poll, {key: offset}]]` returns "
        "`[[poll, {key: [[offset, value], …]}]]`, what each log holds from that offset on"
    )

    name: str
    spec: LogSpec

    def load(self) -> Generator:
        return self.spec.paced(Reading(self))

    def final(self, keys: tuple[str, ...]) -> Generator:
        def to_its_end(key: str) -> Generator:
            reading = limit(FINAL_TRIES, stagger(FINAL_GAP_NS, Reading(self, only=key)))
            return until(lambda _, outcome: outcome.type == "ok" and not any(polled(outcome).values()), reading)

        return per_key(keys, to_its_end)

    def keys_of(self, op: Op) -> Iterable[Hashable]:
        return [op.value[0][1]] if op.f == "send" else op.value[0][1]


@dataclass(frozen=True)
class Reading(Generator):
    """Operations of one client. `positions`: of each log that it has read from, the offset after the last that it got. `only`: this log is polled,
    and nothing is sent.
    """

    log: Log
    only: str | None = None
    positions: Mapping[str, int] = field(default_factory=dict)

    def next(self, context: Context) -> tuple[Emit | None, Generator]:
        spec, name, draw, number = self.log.spec, self.log.name, context.draw("op"), unique_value(context)
        key = self.only or f"{name}-{number // spec.per_key * spec.keys + draw.randrange(spec.keys)}"
        if self.only or draw.randrange(100) < spec.polls:
            return Emit(Op("poll", None, [["poll", {key: self.positions.get(key, 0)}]], workload=name)), self
        return Emit(Op("send", None, [["send", key, number]], workload=name)), self

    def update(self, op: Op, outcome: Outcome) -> Generator:
        if op.f != "poll" or outcome.type != "ok":
            return self
        after = {key: found[-1][0] + 1 for key, found in polled(outcome).items() if found}
        return replace(self, positions={**self.positions, **after}) if after else self


def polled(outcome: Outcome) -> Mapping[str, list[list[int]]]:
    """Return the messages of each log. Anything but the answer of a poll has none; the checker reports it."""
    try:
        ((_, found),) = outcome.value
        return {key: [[int(offset), value] for offset, value in messages] for key, messages in found.items()}
    except (TypeError, ValueError, AttributeError):
        return {}
