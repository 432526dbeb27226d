"""Tasks: agents are spawned, then tasks for them submitted; at the end the ledger of effects is read.

Every acknowledged task must take effect once, for its newest claim. Agents may be moved about meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from ..systems.base import Op
from ..systems.reference.agent_calls import SETTLED
from ..systems.reference.task_name import TaskName
from .base import CHANGES, FINAL_GAP_NS, FINAL_TRIES, PREPARES, READS, Rate, Workload, WorkloadSpec
from .generators import Context, Generator, each, limit, per_key, sequence, shared, stagger, until_ok
from .register import unique_value

SPAWN_TRIES = 100
SPAWN_GAP_NS = 200_000_000
SETTLE_TRIES = 40
FAILURES = 2
"""Most failures of a task of the handler `fail` before it succeeds: fewer than the tries that a task has."""
SETTLE_GAP_NS = 250_000_000

Handler = Literal["echo", "sleep", "digest", "learn", "learn-much", "fail"]
Strategy = Literal["local-first", "latency-aware", "bandwidth-aware", "round-robin"]


def _usual_mix() -> dict[Handler, int]:
    return {"echo": 40, "sleep": 40, "learn": 20}


class TaskSpec(WorkloadSpec):
    """`agents` of type generic; `learn-much` learns keys of 32 KiB each, of at most `sleep_ms` names; `fail` fails once or twice before it succeeds;
    `mix` weights of handlers; in a hundred tasks `chains` have further steps; `migrations` in a hundred operations move an agent.
    """

    judged_by: ClassVar[tuple[str, ...]] = ("tasks", "fencing-tokens")

    clients: int = Field(default=4, ge=1, le=500)
    rate: Rate = 40.0
    agents: int = Field(default=6, ge=1, le=512, description="agents that are spawned before the first task")
    mix: dict[Handler, int] = Field(default_factory=_usual_mix, description="weights of the handlers")
    sleep_ms: int = Field(default=50, ge=1, le=60_000, description="longest duration of a sleeping task")
    chains: int = Field(default=20, ge=0, le=100, description="per cent of tasks that have one or two further steps")
    strategies: tuple[Strategy, ...] = Field(
        default=("local-first", "latency-aware", "bandwidth-aware", "round-robin"),
        min_length=1,
        description="routing strategies, used in turn",
    )
    migrations: int = Field(default=0, ge=0, le=99, description="per cent of operations that move an agent")
    nodes: tuple[str, ...] = Field(default=(), description="nodes to which agents are moved")

    @field_validator("mix")
    @classmethod
    def _some_weight(cls, mix: dict[Handler, int]) -> dict[Handler, int]:
        if any(weight < 0 for weight in mix.values()) or not sum(mix.values()):
            raise ValueError(f"the mix {mix!r} needs weights of at least 0, one of them above")
        return mix


@dataclass(frozen=True)
class TaskWorkload(Workload):
    operations: ClassVar = {"spawn": PREPARES, "migrate": CHANGES, "submit": CHANGES, "effects": READS}
    judged_apart = False
    needs = "agents and tasks of the reference cluster"

    name: str
    spec: TaskSpec

    def load(self) -> Generator:
        return sequence(shared(self.agents, self._spawned), self.spec.paced(each(self._operation)))

    def final(self, keys: tuple[str, ...]) -> Generator:
        """Read the effects when all tasks have ended, or, after a while, as they are: those that were submitted last may take their time."""
        settled = Op("effects", None, SETTLED, workload=self.name)
        read = Op("effects", workload=self.name)
        patient = until_ok(limit(SETTLE_TRIES, stagger(SETTLE_GAP_NS, each(lambda _: settled))))
        once = until_ok(limit(FINAL_TRIES, stagger(FINAL_GAP_NS, each(lambda _: read))))
        return per_key((self.name,), lambda _: sequence(patient, once))

    @property
    def agents(self) -> tuple[str, ...]:
        return tuple(f"a{i}.generic" for i in range(self.spec.agents))

    def _spawned(self, agent: str) -> Generator:
        """Spawn an agent, with further tries: at first there may be no member yet."""
        op = Op("spawn", None, agent, workload=self.name)
        return until_ok(limit(SPAWN_TRIES, stagger(SPAWN_GAP_NS, each(lambda _: op))))

    def _operation(self, context: Context) -> Op:
        spec, draw = self.spec, context.draw("op")
        if spec.nodes and draw.randrange(100) < spec.migrations:
            return Op("migrate", None, [draw.choice(self.agents), draw.choice(spec.nodes)], workload=self.name)
        handler = draw.choices(list(spec.mix), weights=list(spec.mix.values()))[0]
        number = unique_value(context)
        amount = draw.randrange(spec.sleep_ms)
        task = TaskName(
            number,
            handler=handler,
            amount=1 + (amount % FAILURES if handler == "fail" else amount),
            strategy=spec.strategies[number % len(spec.strategies)],
            priority=draw.randrange(3),
            steps=1 + draw.randrange(2) if draw.randrange(100) < spec.chains else 0,
        )
        return Op("submit", None, str(task), workload=self.name)
