"""Other draws from a moment on: the same world up to then, bit by bit, and another chance after it.

What is salted are the world's draws: how long packets and disks take, what is lost, what a power loss leaves, and the seeds of processes that start
later. A process that runs keeps the draws of its own (election timeouts), as does whatever was drawn before, such as packets on their way.
"""

from __future__ import annotations

from .chance import draw
from .cluster import SimCluster
from .network import Stream

_SALT = 0x5A17


def salt_draws(cluster: SimCluster) -> None:
    """Arrange for what the options ask. To be called before anything happens in the cluster."""
    options = cluster.options
    if options.salt:
        # Scheduled first of all, so that it also comes first among what happens at that instant.
        cluster.schedule(options.salt_after_ns, _salt, cluster, options.salt)


def _salt(cluster: SimCluster, salt: int) -> None:
    for link in cluster.network.links.values():
        link.key = draw(link.key, _SALT, salt)
    for stream in _streams(cluster):
        stream.key = draw(stream.key, _SALT, salt)
    for node in cluster.nodes.values():
        node._seed = draw(node._seed, _SALT, salt)
        node.disk._seed = draw(node.disk._seed, _SALT, salt)
        if node.storage is not None:
            node.storage._key = draw(node.storage._key, _SALT, salt)


def _streams(cluster: SimCluster) -> list[Stream]:
    """Of the connections that there are; later ones take their keys from their links."""
    streams = [view.stream for view in cluster.peers._views.values()]
    clients = cluster.clients
    for connection in {id(c): c for held in (clients._connections, clients._at_node) for c in held.values()}.values():
        streams += [connection.up, connection.down]
    return [stream for stream in streams if stream is not None]
