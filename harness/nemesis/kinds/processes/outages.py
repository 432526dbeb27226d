"""Outages: hosts that do not answer for a while because of a fault from outside: no power, or frozen completely.

It handles the consequences. Their agents receive no requests and their links count as down (`_silence`), until `bring_back` has connected the agent and
started the service again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ....errors import FaultError
from ....hosts.base import Powered
from ....hosts.parallel import on_all
from ...agent_client.agents import connect_all
from ...cluster.control import boots_by_itself

if TYPE_CHECKING:
    from ..base import Ground


def powered(ground: Ground) -> Powered:
    """Return the provider, if it can do this to its hosts."""
    provider = ground.cluster.provider
    if not isinstance(provider, Powered):
        name = getattr(provider, "name", type(provider).__name__)
        hint = "use local hosts; on others, no process inside the host could undo this"
        raise FaultError(f"provider {name!r} cannot power off or freeze its hosts", hint)
    return provider


def power_off(ground: Ground, nodes: Sequence[str]) -> None:
    """Switch all of them off at once, on a lease."""
    provider = powered(ground)
    _silence(ground, nodes)
    for name in nodes:
        # Its connection would only time out.
        ground.cluster.nodes[name].close()
    provider.power_off(*nodes, lease_s=ground.cluster.lease_s)
    ground.cluster.leased = ground.cluster.leased.union(nodes)


def freeze(ground: Ground, nodes: Sequence[str]) -> None:
    """Freeze hosts. Agents keep their connections: they are frozen with the rest, and continue with it."""
    provider = powered(ground)
    _silence(ground, nodes)
    provider.freeze(*nodes, lease_s=ground.cluster.lease_s)
    ground.cluster.leased = ground.cluster.leased.union(nodes)


def bring_back(ground: Ground, nodes: Iterable[str]) -> None:
    """Boot or thaw hosts after an outage, connect their agents and start their services. A host that came back by itself, because its lease was not
    renewed, is not booted again.
    """
    cluster = ground.cluster
    nodes = sorted(cluster.off.intersection(nodes))
    if not nodes:
        return
    provider = powered(ground)
    cluster.leased = cluster.leased.difference(nodes)
    dark = [name for name in nodes if not cluster.nodes[name].attached]
    if frozen := [name for name in nodes if name not in dark]:
        provider.thaw(*frozen)
    if dark:
        provider.boot(*dark)
    connect_all({name: cluster.nodes[name] for name in nodes})
    cluster.off, cluster.back = cluster.off.difference(nodes), cluster.back.difference(nodes)
    ground.reachability.off = cluster.off
    if dark:
        _start_services(ground, dark)


def _silence(ground: Ground, nodes: Sequence[str]) -> None:
    """First no new request is sent, then a request under way gets its answer: later ones find them silent."""
    cluster = ground.cluster
    cluster.off = cluster.off.union(nodes)
    ground.reachability.off = cluster.off
    for name in nodes:
        with cluster.nodes[name].lock:
            cluster.nodes[name].silent = True


def _start_services(ground: Ground, nodes: Sequence[str]) -> None:
    """Start services that no boot hook started, also those that a fault keeps down: only a running process can be killed, and restarted by
    the heal.
    """
    cluster = ground.cluster

    def start(name: str) -> None:
        if not boots_by_itself(cluster.hosts[name]):
            cluster.start_service(name)

    hosts = [cluster.hosts[name] for name in nodes]
    on_all(hosts, lambda host: start(host.name)).require("starting the service after a boot", FaultError)
    cluster.await_pids(nodes)
