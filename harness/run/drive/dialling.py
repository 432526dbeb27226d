"""Connections from the clients of a run to a node: by its name, from the clients' place in the network."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from ...hosts.base import Provider


@dataclass(frozen=True, slots=True)
class NodeDial:
    """`PortDial` of one provider's hosts. `port` is where clients connect."""

    provider: Provider
    addresses: Mapping[str, str]
    port: int

    def __call__(self, node: str, timeout_s: float) -> socket.socket:
        return self.at(node, self.port, timeout_s)

    def at(self, node: str, port: int, timeout_s: float) -> socket.socket:
        return self.provider.dial(self.addresses[node], port, timeout_s=timeout_s)
