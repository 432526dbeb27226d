"""The leadership is handed over by request; who leads afterwards, leads: nothing is taken back."""

from __future__ import annotations

import time

from ....errors import DeployError, FaultError
from ....systems.answers import leader_of
from ...agent_client.agents import Json
from ...cluster.control import HandsOver
from ...faults.fault import Observation, Resolved
from ..base import Ground, Package

TRANSFER_S = 5.0
LOOK_S = 0.05


class Transfer(Package):
    kinds = ("transfer",)

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        cluster, to = ground.cluster, str(fault.what["to"])
        service, hosts = cluster.service, list(cluster.hosts.values())
        if not isinstance(service, HandsOver):
            hint = "leave it out, or give its service `hand_over`"
            raise FaultError(f"system {service.name!r} cannot hand its leadership over", hint)
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
            led = leader is not None and (leader == fault.what["to"] or leader != before)
            if led or time.monotonic() > deadline_s:
                return Observation(led, {"to": leader})
            time.sleep(LOOK_S)
