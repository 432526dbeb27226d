"""Agents: spawned singly and in groups, moved, stopped, and listed; at the end the pool is read.

Every acknowledged spawn that was not stopped must be in the pool, once, and run. A client names its own agents, each name once, and remembers which
may be there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from ..systems.base import Op, Outcome
from ..systems.reference.agent_calls import SETTLED
from .base import CHANGES, FINAL_GAP_NS, FINAL_TRIES, PREPARES, READS, Rate, Workload, WorkloadSpec
from .generators import Context, Emit, Generator, each, limit, per_key, sequence, stagger, until_ok
from .register import draw_level, unique_value

FIRST_TRIES = 100
FIRST_GAP_NS = 200_000_000
SETTLE_TRIES = 40
SETTLE_GAP_NS = 250_000_000
TYPES = ("generic", "code", "data", "system")

Verb = Literal["spawn", "deploy", "migrate", "stop", "pool"]


def _usual_mix() -> dict[Verb, int]:
    return {"spawn": 20, "deploy": 5, "migrate": 30, "stop": 20, "pool": 25}


class AgentSpec(WorkloadSpec):
    """Agents, at most `agents` at a time; `mix`: weights of the operations; `deployed`: how many with one command; `nodes`: where they are moved to,
    none: nowhere.
    """

    judged_by: ClassVar[tuple[str, ...]] = ("agents", "pool")

    clients: int = Field(default=4, ge=1, le=500)
    rate: Rate = 20.0
    agents: int = Field(default=24, ge=1, le=512, description="the most agents at one time")
    mix: dict[Verb, int] = Field(default_factory=_usual_mix, description="weights of the operations")
    deployed: int = Field(default=3, ge=1, le=64, description="agents that are spawned with one command")
    nodes: tuple[str, ...] = Field(default=(), description="nodes to which agents are moved")

    @field_validator("mix")
    @classmethod
    def _some_weight(cls, mix: dict[Verb, int]) -> dict[Verb, int]:
        if any(weight < 0 for weight in mix.values()) or not sum(mix.values()):
            raise ValueError(f"the mix {mix!r} needs weights of at least 0, one of them above")
        return mix

    @model_validator(mode="after")
    def _enough_for_all(self) -> AgentSpec:
        if self.agents < self.clients:
            raise ValueError(
                f"agents: {self.agents} are fewer than the {self.clients} clients, each of which has its own"
            )
        return self


@dataclass(frozen=True)
class Lives(Generator):
    """Operations of one client. `alive`: its agents that may be there: it requested them, was not refused, and has not asked to stop them."""

    workload: AgentWorkload
    alive: tuple[str, ...] = ()

    def next(self, context: Context) -> tuple[Emit | None, Generator]:
        spec, draw, alive = self.workload.spec, context.draw("op"), self.alive
        verb = draw.choices(list(spec.mix), weights=list(spec.mix.values()))[0]
        room = spec.agents // context.clients - len(alive)
        if not alive and verb in ("migrate", "stop"):
            verb = "spawn"
        elif room < (spec.deployed if verb == "deploy" else 1) and verb in ("spawn", "deploy"):
            verb = "stop" if alive else "spawn"
        if verb == "migrate" and not spec.nodes:
            verb = "pool"
        if verb == "pool":
            return Emit(Op("pool", None, None, draw_level(spec, context), self.workload.name)), self
        if verb == "migrate":
            return self._emit(verb, [draw.choice(alive), draw.choice(spec.nodes)], alive)
        if verb == "stop":
            agent = draw.choice(alive)
            return self._emit(verb, agent, tuple(other for other in alive if other != agent))
        number = unique_value(context)
        if verb == "spawn":
            agent = f"a{number}.{TYPES[number % len(TYPES)]}"
            return self._emit(verb, agent, (*alive, agent))
        agents = [f"a{number}-{i}.{TYPES[i % len(TYPES)]}" for i in range(spec.deployed)]
        return self._emit(verb, agents, (*alive, *agents))

    def update(self, op: Op, outcome: Outcome) -> Generator:
        """Take in an outcome: a refused operation did not happen."""
        if outcome.type != "fail" or op.f not in ("spawn", "deploy", "stop"):
            return self
        agents = op.value if op.f == "deploy" else [op.value]
        others = tuple(agent for agent in self.alive if agent not in agents)
        return replace(self, alive=(*others, *agents) if op.f == "stop" else others)

    def _emit(self, verb: str, value: object, alive: tuple[str, ...]) -> tuple[Emit, Generator]:
        return Emit(Op(verb, None, value, workload=self.workload.name)), replace(self, alive=alive)


@dataclass(frozen=True)
class AgentWorkload(Workload):
    operations: ClassVar = {"spawn": PREPARES, "deploy": CHANGES, "migrate": CHANGES, "stop": CHANGES, "pool": READS}
    judged_apart = False
    needs = "agents of the reference cluster"

    name: str
    spec: AgentSpec

    def load(self) -> Generator:
        """Start with reads of the pool until one is answered: at the beginning there may be no member yet."""
        op = Op("pool", workload=self.name)
        first = until_ok(limit(FIRST_TRIES, stagger(FIRST_GAP_NS, each(lambda _: op))))
        return sequence(first, self.spec.paced(Lives(self)))

    def final(self, keys: tuple[str, ...]) -> Generator:
        """Read the pool when all agents run, or, after a while, as it is: agents of failed hosts need time."""
        settled = Op("pool", None, SETTLED, workload=self.name)
        read = Op("pool", workload=self.name)
        patient = until_ok(limit(SETTLE_TRIES, stagger(SETTLE_GAP_NS, each(lambda _: settled))))
        once = until_ok(limit(FINAL_TRIES, stagger(FINAL_GAP_NS, each(lambda _: read))))
        return per_key((self.name,), lambda _: sequence(patient, once))
