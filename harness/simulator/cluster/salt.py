"""Other draws from a moment on: the same world up to then, bit by bit, and another chance after it.

What is salted are the world's draws (how long packets and disks take, what is lost, what a power loss leaves, the seeds of processes that start
later) and those of the cores that run (their next election timeouts). What was drawn before stays: packets on their way, timers that are set.
Faults and clients are the plan's, and do not change.

This module alone reaches for the keys that others hold, so that none of them has a verb for what happens to no real node, disk or network.
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
    """Arrange for what the options ask, before anything happens in the cluster of these parts."""
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
    """Nothing for a stand-in of a core, which draws nothing."""
    raft = getattr(core, "_machines", {}).get("raft")
    if raft is not None and raft.state is not None:
        raft.state.chance = chance


def _streams(peers: Peers, clients: Clients) -> list[Stream]:
    """Of the connections that there are; later ones take their keys from their links."""
    streams = [view.stream for view in peers._views.values()]
    for connection in {
        (c.node, c.name): c for held in (clients._connections, clients._at_node) for c in held.values()
    }.values():
        streams += [connection.up, connection.down]
    return [stream for stream in streams if stream is not None]
