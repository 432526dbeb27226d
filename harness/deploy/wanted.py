"""Desired state of each host of a cluster that is deployed to stay, derived from the inventory's hosts and the service's options."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from typing import Any

from tribulation.node.config.cluster import MembershipConfig
from tribulation.node.runtime.process import control

from ..hosts.base import Host
from ..hosts.printed import parsed_json
from ..nemesis.inject.injector import PROBE_PORT
from ..systems.reference.package import digest
from ..systems.reference.system import TLS_FILES, ReferenceService
from .firewall import Opening
from .observe import Observed, Port
from .plan import Wanted, digests
from .unit import Unit

ENVIRONMENT = json.dumps({}, sort_keys=True).encode()


def names_of(service: ReferenceService, host: Host, hosts: Sequence[Host]) -> list[str]:
    """The files that are compared on a host."""
    return [*service.files(host, hosts), control.ENVIRONMENT, TLS_FILES["ca"]]


def ports_of(service: ReferenceService, host: Host) -> list[Port]:
    """The ports of a node on its host: for the cluster, for members' datagrams, and for metrics."""
    options = service.options
    ports: list[Port] = [_port(options.listen) if options.listen is not None else ("tcp", service.port, host.address)]
    if options.membership is not None:
        ports.append(("udp", int(options.membership.get("udp_port", MembershipConfig().udp_port)), ""))
    if options.metrics is not None:
        ports.append(_port(options.metrics))
    return ports


def _port(place: str) -> Port:
    address, _, port = place.rpartition(":")
    return "tcp", int(port), address.strip("[]")


def wanted_of(
    service: ReferenceService, host: Host, hosts: Sequence[Host], observed: Observed, *, firewall: bool
) -> Wanted:
    files = service.control_of(host)
    text = Unit(
        node=host.name,
        cluster=service.cluster_id,
        command=service.supervise_words(host),
        directory=host.directory.rstrip("/"),
        folder=files.directory,
        executable=observed.executable,
    ).text()
    return Wanted(
        host=host.name,
        address=host.address,
        directory=host.directory.rstrip("/"),
        cluster=service.cluster_id,
        files=digests(service.files(host, hosts)),
        environment=digest(ENVIRONMENT),
        authority=None if service.authority is None else (TLS_FILES["ca"], digest(service.authority.certificate)),
        unit=text,
        firewall=firewall,
        openings=openings_of(service, hosts) if firewall else (),
    )


def openings_of(service: ReferenceService, hosts: Sequence[Host]) -> list[Opening]:
    """Openings from the other hosts and the harness: the cluster's ports, and those of the probes by which faults are verified. Metrics stay closed."""
    metrics = service.options.metrics
    served = None if metrics is None else _port(metrics)
    ports = [port[:2] for port in ports_of(service, hosts[0]) if port != served]
    ports += [("tcp", PROBE_PORT), ("udp", PROBE_PORT)]
    sources = {number for host in hosts for place in (host.address, host.control[0]) for number in _numbers(place)}
    return [Opening(source, kind, port) for source in sorted(sources) for kind, port in ports]


def deployed_timing(observed: Sequence[Observed]) -> Any:
    """The timing of the deployed cluster, so that the user need not repeat it; None where there is none."""
    for each in observed:
        try:
            return parsed_json(each.config)["timing"]
        except (ValueError, KeyError, TypeError):
            continue
    return None


def _numbers(address: str) -> list[str]:
    """Resolve a name, because firewall rules have no names."""
    try:
        found = socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({str(sockaddr[0]).partition("%")[0] for _, _, _, _, sockaddr in found})
