"""`voters`: changes of voters through the log. Weights are moved once, and stay.

Resolved: `{"voters": {"n5": 1}}`: weights to move to (no heal).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from ....errors import DeployError, FaultError
from ....systems.answers import leader_of
from ...agent_client.agents import Json
from ...catalog.kind import FaultKind, Stream
from ...catalog.timing import Timing
from ...cluster.control import Reconfigurable
from ...cluster.situation import weights
from ...faults.fault import Intent, Observation, Resolved, Situation
from ..base import Ground, Package

VOTERS_S = 20.0
ATTEMPT_S = 5.0
LOOK_S = 0.05


class VotersSpec(Timing):
    """Weights to move to through the log, one step per entry: `set: {n5: 1}` adds n5, `{n5: 0}` removes it. It is not healed."""

    kind: ClassVar[str] = "voters"
    later: ClassVar[frozenset[str]] = frozenset({"optional"})
    stays: ClassVar[bool] = True
    moves_voters: ClassVar[bool] = True

    set: dict[str, Annotated[int, Field(ge=0, le=9)]] = Field(min_length=1, description="node → weight")
    optional: bool | None = Field(
        default=None, description="true: it is not an error if the change is not made in time"
    )

    @model_validator(mode="after")
    def _once(self) -> VotersSpec:
        if self.every is not None or self.for_ns is not None:
            raise ValueError(
                "a change of voters happens once and stays: use `after`, and another item to change it back"
            )
        return self

    def names(self) -> Iterable[str]:
        return self.set

    def variant(self) -> str:
        return "-".join(self.set)


class OnHosts(Package):
    kinds = ("voters",)
    heals = False

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        before = dict(ground.cluster.voters)
        move(ground, fault.what["voters"])
        return {"voters_before": before}

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        return look_at(ground, fault.what["voters"])


Check = Callable[[Mapping[str, int]], None]
"""Checks the weights before a change, and raises `FaultError` to prevent it."""


def move(
    ground: Ground, voters: Mapping[str, int], check: Check = lambda known: None, timeout_s: float = VOTERS_S
) -> None:
    """Give these nodes these weights; others keep theirs. One change at a time is tried again until it is made. Raises `FaultError` when its time is over."""
    deadline_s = time.monotonic() + timeout_s
    if not ground.moving.acquire(timeout=timeout_s):
        raise FaultError(
            f"voters {dict(voters)}: another change of voters took all of {timeout_s:g} s", "is there a quorum?"
        )
    try:
        _move_alone(ground, voters, check, deadline_s)
    finally:
        ground.moving.release()


def _move_alone(ground: Ground, voters: Mapping[str, int], check: Check, deadline_s: float) -> None:
    service, hosts, dial = ground.cluster.service, list(ground.cluster.hosts.values()), ground.cluster.dial
    if not isinstance(service, Reconfigurable):
        hint = "remove the fault, or add `set_voters` to the service"
        raise FaultError(f"system {service.name!r} cannot change its voters", hint)
    while True:
        known = known_weights(ground)
        left_s = deadline_s - time.monotonic()
        if known is not None:
            check(known)
            try:
                return service.set_voters(hosts, dial, {**known, **voters}, max(0.1, min(ATTEMPT_S, left_s)))
            except DeployError as error:
                # Perhaps another leader, which knows other weights.
                if left_s <= ATTEMPT_S:
                    raise FaultError(error.message, error.hint) from None
        elif left_s <= 0:
            raise FaultError(f"voters {dict(voters)}: there was no leader that could change them", "is there a quorum?")
        time.sleep(LOOK_S)


def known_weights(ground: Ground) -> dict[str, int] | None:
    """Return the weights as the leader has them; those last known where services do not report them. None without a leader."""
    service, hosts, dial = ground.cluster.service, list(ground.cluster.hosts.values()), ground.cluster.dial
    leader = leader_of(service, hosts, dial)
    known = weights(service, hosts, dial, leader)
    if not known and leader is None and _reports_leaders(ground):
        return None
    ground.cluster.voters = known or ground.cluster.voters
    return dict(ground.cluster.voters)


def _reports_leaders(ground: Ground) -> bool:
    """Return whether the service reports its leader. One that does not is asked to change its voters all the same."""
    return "status" in ground.cluster.service.capabilities


def look_at(ground: Ground, voters: Mapping[str, int], timeout_s: float = 3.0) -> Observation:
    """Return whether the leader reports these weights of these nodes, waiting briefly for a leader."""
    cluster = ground.cluster
    service, hosts = cluster.service, list(cluster.hosts.values())
    deadline_s = time.monotonic() + timeout_s
    while True:
        now = weights(service, hosts, cluster.dial, leader_of(service, hosts, cluster.dial))
        if now or time.monotonic() > deadline_s:
            break
        time.sleep(LOOK_S)
    cluster.voters = now or cluster.voters
    return Observation(bool(now) and all(now.get(node, 0) == held for node, held in voters.items()), {"voters": now})


class Voters(FaultKind):
    name, spec = "voters", VotersSpec
    of_the_system: ClassVar[Mapping[str, str]] = {"voters": "voters"}

    def resolve(self, intent: Intent, situation: Situation, stream: Stream) -> Json:
        return {"voters": dict(intent.parameters["set"])}

    def pinned(self, what: Mapping[str, Any]) -> list[Json]:
        return [{"set": what["voters"]}]

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> Any:
        from ....simulator.faults.voters import VoterChanges

        return VoterChanges(ground)


KIND = Voters()
