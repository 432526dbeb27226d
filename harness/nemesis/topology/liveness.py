"""The liveness phase: a healthy core must work while the rest of the cluster stays broken; how it may be broken, and which nodes are the core.

    liveness: {core: majority, rest: bridged, within: 10s, for: 15s}

The core is a random quorum, chosen when its time has come from the weights that are then active, so a plan needs no names. The faults are of the
ordinary kinds. The resolved form names the `core` in addition to the nodes or edges; checkers read it there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, ConfigDict, Field, model_validator

from ...user_files.bounded_model import BoundedModel
from ...user_files.measured import PositiveDuration
from ...user_files.quantities import format_ns
from ..faults.fault import Intent, Situation
from ..faults.targets import majority
from .partitions import majorities_ring, missing

Edge = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Way:
    """Way in which the rest is broken: by faults of which kind, with which parameters; `leader`: it is aimed at the core's leader."""

    kind: str
    parameters: Mapping[str, Any]
    leader: bool = False


WAYS: Mapping[str, Way] = {
    "isolated": Way("cut", {}),
    "deaf": Way("cut", {}),
    "mute": Way("cut", {}),
    "bridged": Way("cut", {}, leader=True),
    "ring": Way("cut", {}),
    "clogged": Way("clog", {}),
    "flapping": Way("flap", {"period_ns": 1_000_000_000}),
    "down": Way("kill", {}),
    "paused": Way("pause", {}),
}
"""`deaf` receives nothing from the core but can send to it, `mute` is the reverse; `bridged` is cut off from the core's leader alone.

`ring` breaks no node but links: each node sees a majority and no two the same, so no possible leader is heard by all. Every node is in the core.
"""

Rest = Literal["isolated", "deaf", "mute", "bridged", "ring", "clogged", "flapping", "down", "paused"]

SETTLE_NS = 3_000_000_000
"""Delay after the heal before faults on a leader, so that there is a leader."""


class LivenessSpec(BoundedModel):
    """A campaign's `liveness:`."""

    model_config = ConfigDict(populate_by_name=True)

    core: Literal["majority"] | Annotated[list[str], Field(min_length=1)] = Field(
        default="majority", description="the healthy nodes: random voters, just enough for a quorum, or these nodes"
    )
    rest: Rest = Field(default="isolated", description="how the others stay broken")
    within: PositiveDuration = Field(default=10_000_000_000, description="the time in which the core must answer")
    for_ns: PositiveDuration = Field(
        default=15_000_000_000,
        validation_alias=AliasChoices("for", "for_ns"),
        serialization_alias="for",
        description="how long the phase lasts",
    )
    elections: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=4, description="terms that may begin in the core between `within` and the end"
    )

    @model_validator(mode="after")
    def _something_is_left_to_watch(self) -> LivenessSpec:
        if self.for_ns <= self.within:
            raise ValueError(
                f"`for: {format_ns(self.for_ns)}` is not longer than `within: {format_ns(self.within)}`: "
                "terms must not change in the time between them"
            )
        if self.rest == "ring" and self.core != "majority":
            raise ValueError("`rest: ring` has every node in the core; remove `core`")
        if isinstance(self.core, list) and len(set(self.core)) != len(self.core):
            raise ValueError(f"`core: {self.core}` names a node twice")
        return self

    def needs(self) -> frozenset[str]:
        """Return the abilities that hosts need."""
        return frozenset({WAYS[self.rest].kind})

    def intents(self) -> list[Intent]:
        way, key = WAYS[self.rest], f"liveness-{self.rest}"
        parameters = {"core": self.core, "rest": self.rest, **way.parameters}
        return [Intent(key, way.kind, parameters, 0, None, key)]

    def settle_ns(self) -> int | None:
        return SETTLE_NS if WAYS[self.rest].leader else None


def broken_rest(parameters: Mapping[str, Any], situation: Situation, seed: int | str) -> dict[str, Any]:
    """Return the resolved form of such an intent: `core`, the `nodes` or the `edges` that its kind needs, and the amounts of the way."""
    way = WAYS[parameters["rest"]]
    return {**_broken(parameters, way, situation, seed), **{name: parameters[name] for name in way.parameters}}


def _broken(parameters: Mapping[str, Any], way: Way, situation: Situation, seed: int | str) -> dict[str, Any]:
    random = Random(f"{seed}/liveness/core")
    if parameters["rest"] == "ring":
        links = majorities_ring(situation, random)
        cut = [list(edge) for edge in sorted(missing(links))]
        return {"edges": cut, "core": list(situation.nodes)}
    leader = situation.leader or random.choice(list(situation.nodes))
    core = _core(parameters["core"], leader if way.leader else None, situation, random)
    rest = [node for node in situation.nodes if node not in core]
    if way.kind in ("kill", "pause"):
        return {"nodes": rest, "core": core}
    ends = [leader] if way.leader else core
    out, into = [(a, b) for a in rest for b in ends], [(b, a) for a in rest for b in ends]
    edges = {"deaf": into, "mute": out}.get(parameters["rest"], out + into)
    return {"edges": [list(edge) for edge in sorted(edges)], "core": core}


def _core(wanted: str | Sequence[str], leader: str | None, situation: Situation, random: Random) -> list[str]:
    if not isinstance(wanted, str):
        return [node for node in situation.nodes if node in wanted]
    order = random.sample(list(situation.nodes), len(situation.nodes))
    if leader is not None:
        order = [leader, *(node for node in order if node != leader)]
    chosen = majority(order, situation)
    return [node for node in situation.nodes if node in chosen]
