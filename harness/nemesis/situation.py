"""What the cluster is like at a moment, for the resolution of symbolic targets: by asking the service and the agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..hosts.base import Host
from ..systems.base import Dial, Service
from .faults import Situation


def look(
    service: Service,
    hosts: Sequence[Host],
    dial: Dial,
    voters: Mapping[str, int],
    processes: Mapping[str, Mapping[str, Any]],
) -> Situation:
    """`voters` are the weights last known, `processes` what each agent says of its process. A stopped process is not up."""
    leader = service.leader(hosts, dial)
    up = [
        host.name
        for host in hosts
        if processes[host.name]["pid"] is not None and processes[host.name]["state"] not in "Tt"
    ]
    return Situation([host.name for host in hosts], weights(service, hosts, dial, leader) or voters, leader, up)


def weights(service: Service, hosts: Sequence[Host], dial: Dial, leader: str | None) -> dict[str, int]:
    """The voters' weights as the leader has them; empty when there is none, or when the service does not tell."""
    for host in hosts:
        if host.name == leader:
            status = service.status(host, dial) or {}
            return {str(node): int(weight) for node, weight in (status.get("voters") or {}).items()}
    return {}
