"""Situation of the cluster at a moment, for the resolution of symbolic targets: from the service and the agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...hosts.base import Host
from ...hosts.parallel import on_all
from ...systems.answers import leader_of, status_of
from ...systems.base import Dial, Service
from ..faults.fault import Situation


def look(
    service: Service,
    hosts: Sequence[Host],
    dial: Dial,
    voters: Mapping[str, int],
    processes: Mapping[str, Mapping[str, Any]],
) -> Situation:
    """Look at the cluster; `voters` are the weights last known, `processes` each agent's report about its process. A stopped process is not up."""
    leader = leader_of(service, hosts, dial)
    up = [
        host.name
        for host in hosts
        if processes[host.name]["pid"] is not None and processes[host.name]["state"] not in "Tt"
    ]
    names = [host.name for host in hosts]
    known = weights(service, hosts, dial, leader) or voters
    return Situation(names, known, leader, up, roles=lambda: roles(service, [h for h in hosts if h.name in up], dial))


def roles(service: Service, hosts: Sequence[Host], dial: Dial) -> dict[str, str]:
    """Return each node's report of its role, all requested at once; a silent one is left out."""
    answers = on_all(hosts, lambda host: (status_of(service, host, dial) or {}).get("role")).values
    return {name: str(role) for name, role in answers.items() if role is not None}


def weights(service: Service, hosts: Sequence[Host], dial: Dial, leader: str | None) -> dict[str, int]:
    """Return the voters' weights as the leader has them; empty when there is none, or when the service does not report them."""
    for host in hosts:
        if host.name == leader:
            status = status_of(service, host, dial) or {}
            return {str(node): int(weight) for node, weight in (status.get("voters") or {}).items()}
    return {}
