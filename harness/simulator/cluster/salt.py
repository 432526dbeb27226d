"""Other draws from a moment on: the same run up to then, bit by bit, and other chances after it.

Salted are the simulation's draws (how long packets and disks take, what is lost, what a power loss leaves, the seeds of processes that start
later) and those of the running cores (their next election timeouts). What was drawn before stays: packets under way, timers that are set.
Faults and clients belong to the plan and do not change.

Only this module reaches for keys inside other classes, so that none of them needs a method for what happens to no real node, disk or network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tribulation.node.core.interface.rng import Chance

from ...keyed_random import draw
from ..network.clients import Clients
from ..network.network import Network, Stream
from ..network.tcp import Peers
from ..options import SimOptions
from .node import SimNode

_SALT = 0x5A17


def salt_draws(
    options: SimOptions,
    schedule: Callable[..., object],
    network: Network,
    peers: Peers,
    clients: Clients,
    nodes: Mapping[str, SimNode],
) -> None:
    """Schedule what the options ask for, before anything happens in the cluster of these parts."""
    if options.salt and not options.salt_after_ns:
        _salt(options.salt, network, peers, clients, nodes)
    elif options.salt:
        # Scheduled first of all, so that it also comes first among what happens at that instant.
        schedule(options.salt_after_ns, _salt, options.salt, network, peers, clients, nodes)


def _salt(salt: int, network: Network, peers: Peers, clients: Clients, nodes: Mapping[str, SimNode]) -> None:
    for link in network.links.values():
        link.key = draw(link.key, _SALT, salt)
    for stream in _streams(peers, clients):
        stream.key = draw(stream.key, _SALT, salt)
    for node in nodes.values():
        node._seed = draw(node._seed, _SALT, salt)
        node.disk._seed = draw(node.disk._seed, _SALT, salt)
        if node.storage is not None:
            node.storage._key = draw(node.storage._key, _SALT, salt)
        _salt_core(node.core, Chance(draw(node._seed, node.incarnation) >> 1, node.name, node.incarnation))


def _salt_core(core: Any, chance: Chance) -> None:
    """Salt a core; a stand-in for a core draws nothing."""
    raft = getattr(core, "_machines", {}).get("raft")
    if raft is not None and raft.state is not None:
        raft.state.chance = chance


def _streams(peers: Peers, clients: Clients) -> list[Stream]:
    """The streams of the open connections; later connections take their keys from their links."""
    streams = [view.stream for view in peers._views.values()]
    for connection in {
        (c.node, c.name): c for held in (clients._connections, clients._at_node) for c in held.values()
    }.values():
        streams += [connection.up, connection.down]
    return [stream for stream in streams if stream is not None]
