"""Who votes changes through the log: weights are moved once, and stay."""

from __future__ import annotations

import time
from collections.abc import Mapping

from ...errors import FaultError
from ..agents import Json
from ..control import Reconfigurable
from ..faults import Observation, Resolved
from ..situation import weights
from .base import Ground, Package

VOTERS_S = 20.0


class Voters(Package):
    kinds = ("voters",)
    heals = False

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        before = dict(ground.cluster.voters)
        move(ground, fault.what["voters"])
        return {"voters_before": before}

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        return look_at(ground, fault.what["voters"])


def move(ground: Ground, voters: Mapping[str, int], timeout_s: float = VOTERS_S) -> None:
    """Nodes that are not named keep the weight that they have."""
    cluster = ground.cluster
    service, hosts = cluster.service, list(cluster.hosts.values())
    if not isinstance(service, Reconfigurable):
        hint = "leave it out, or give its service `set_voters`"
        raise FaultError(f"system {service.name!r} cannot change its voters", hint)
    known = weights(service, hosts, cluster.dial, service.leader(hosts, cluster.dial)) or cluster.voters
    service.set_voters(hosts, cluster.dial, {**known, **voters}, timeout_s)


def look_at(ground: Ground, voters: Mapping[str, int], timeout_s: float = 3.0) -> Observation:
    """By the leader's word, asked for a moment if there is none."""
    cluster = ground.cluster
    service, hosts = cluster.service, list(cluster.hosts.values())
    wanted = {**cluster.voters, **voters}
    deadline_s = time.monotonic() + timeout_s
    while True:
        now = weights(service, hosts, cluster.dial, service.leader(hosts, cluster.dial))
        if now or time.monotonic() > deadline_s:
            break
        time.sleep(0.05)
    cluster.voters = now or cluster.voters
    return Observation({node: now.get(node, 0) for node in wanted} == wanted, {"voters": now})
