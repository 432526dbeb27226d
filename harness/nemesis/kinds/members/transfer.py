"""`transfer`: a leadership transfer by request; the resulting leader stays: nothing is undone.

Resolved: `{"to": "n2"}`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import Enum
from random import Random
from typing import Any, ClassVar

from pydantic import Field

from ....errors import DeployError, FaultError
from ....systems.answers import leader_of
from ....systems.reference import requests
from ...agent_client.agents import Json
from ...catalog.kind import FaultKind, Sort, Stream
from ...catalog.random_forms import LEADERS
from ...catalog.timing import Timing
from ...cluster.control import HandsOver
from ...faults.fault import Intent, Observation, Resolved, Situation
from ..base import Ground, Package

TRANSFER_S = 5.0
LOOK_S = 0.05
AGAIN_NS, MOST_NS = 100_000_000, 2_000_000_000
"""In the simulator: time between two requests, and until when they are made."""
DEADLINE_MS = 2_000


class Heir(str, Enum):
    ANY = "any"
    FORMER = "former"


class TransferSpec(Timing):
    """The leader is asked to transfer its leadership, again and again until another leads or the fault ends. Nothing is undone: the new leader stays."""

    kind: ClassVar[str] = "transfer"

    to: Heir = Field(default=Heir.ANY, description="the new leader: a random voter, or the previous leader")

    def variant(self) -> str:
        return self.to.value


class OnHosts(Package):
    kinds = ("transfer",)

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        cluster, to = ground.cluster, str(fault.what["to"])
        service, hosts = cluster.service, list(cluster.hosts.values())
        if not isinstance(service, HandsOver):
            hint = "remove the fault, or add `hand_over` to the service"
            raise FaultError(f"system {service.name!r} cannot transfer its leadership", hint)
        before = leader_of(service, hosts, cluster.dial)
        ground.notes[fault.intent.id] = {"before": before}
        try:
            service.hand_over(hosts, cluster.dial, to, TRANSFER_S)
        except DeployError as error:
            raise FaultError(error.message, error.hint) from None
        return {"leader_before": before}

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        if not on:
            return Observation(True, {})
        cluster, deadline_s = ground.cluster, time.monotonic() + TRANSFER_S
        before = ground.notes.get(fault.intent.id, {}).get("before")
        while True:
            leader = leader_of(cluster.service, list(cluster.hosts.values()), cluster.dial)
            # The target may have led before it was asked for: then nothing was handed over.
            led = leader is not None and before is not None and leader != before
            if led or time.monotonic() > deadline_s:
                return Observation(led, {"to": leader})
            time.sleep(LOOK_S)


class Simulated:
    """A `Family` of the simulator. It asks the current leader again and again, for `MOST_NS` at most, until a node leads that a leader had requested to stand.
    The fault's duration counts from then, so that a short fault does not end before there is a leader to ask. Answers do not count, and neither do leaders
    that were elected without a request. `_on` are the faults that still ask, `_stood` the nodes that such a request reached meanwhile.
    """

    def __init__(self, ground: Any) -> None:
        self._ground = ground
        self._on: dict[str, Any] = {}
        self._stood: dict[str, set[str]] = {}
        self._asked = 0
        ground.on_request_to_stand(self._requested)

    def inject(self, fault: Resolved, then: Any) -> None:
        ground, ident = self._ground, fault.intent.id
        self._on[ident], self._stood[ident] = then, set()
        ground.cluster.schedule(ground.cluster.now_ns + MOST_NS, self._give_up, ident)
        self._ask(fault)

    def heal(self, fault: Resolved, then: Any) -> None:
        self._give_up(fault.intent.id)
        self._ground.soon(then, Observation(True, {}))

    def forget(self) -> None:
        for ident in list(self._on):
            self._give_up(ident)

    def _requested(self, node: str) -> None:
        """Note that `node` received a leader's request. One that leads already was not made to lead by it."""
        if self._on and self._ground.situation().leader != node:
            for ident in self._on:
                self._stood[ident].add(node)

    def _ask(self, fault: Resolved) -> None:
        cluster, ident = self._ground.cluster, fault.intent.id
        if ident not in self._on:
            return
        leader, to = self._ground.situation().leader, fault.what["to"]
        if leader in self._stood[ident]:
            self._ground.soon(self._on.pop(ident), Observation(True, {"to": leader}))
            return
        if leader is not None:
            self._asked += 1
            body = {"id": self._asked, **requests.hand_over(self._willing(to), DEADLINE_MS)}
            cluster.request(f"transfer-{ident}", leader, body, lambda answer: None)
        cluster.schedule(cluster.now_ns + AGAIN_NS, self._ask, fault)

    def _willing(self, to: str) -> str:
        """Return the target; if it is down by now, the next voter that is up."""
        situation = self._ground.situation()
        nodes = [*situation.nodes, *situation.nodes]
        after = nodes[nodes.index(to) : nodes.index(to) + len(situation.nodes)]
        up = [node for node in after if node in situation.up and situation.voters.get(node, 0)]
        return next((node for node in up if node != situation.leader), to)

    def _give_up(self, ident: str) -> None:
        then = self._on.pop(ident, None)
        if then is not None:
            self._ground.soon(then, Observation(False, {}))


class Transfer(FaultKind):
    name, spec = "transfer", TransferSpec
    of_the_system: ClassVar[Mapping[str, str]] = {"transfer": "transfer"}
    sorts: ClassVar[Mapping[str, Sort]] = {
        "transfer": Sort("transfer", LEADERS, lambda knobs: {"to": knobs.choose("to", ("any", "any", "former"))}, 4)
    }

    def resolve(self, intent: Intent, situation: Situation, stream: Stream) -> Json:
        return {"to": _successor(intent.parameters["to"], situation, stream("target"))}

    def pinned(self, what: Mapping[str, Any]) -> list[Json]:
        return [{"to": what["to"]}]

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> Simulated:
        return Simulated(ground)


def _successor(to: str, situation: Situation, random: Random) -> str:
    """Return the node to which the leadership goes. A node given by name stays that one: replay pins it so."""
    if to in situation.nodes:
        return to
    voters = [node for node in situation.nodes if situation.voters.get(node, 0)] or list(situation.nodes)
    others = [node for node in voters if node != situation.leader] or voters
    drawn = random.choice(others)
    return situation.former if to == "former" and situation.former in others else drawn


KIND = Transfer()
