"""UDP between simulated nodes: a datagram may be lost, repeated or overtaken, and the sender is not notified."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tribulation.node.core.interface.events import Datagram, Event

from ...wan import Regions
from .network import Network


class Datagrams:
    """Datagrams between hosts, which are distinguished by the address and port of their configurations. One broadcast domain holds all of them, or those
    of a region.
    """

    def __init__(
        self,
        network: Network,
        configs: Mapping[str, Any],
        deliver: Callable[[str, Event], None],
        regions: Regions | None = None,
    ) -> None:
        self._network, self._deliver, self._regions = network, deliver, regions
        self._places: dict[tuple[str, int], str] = {}
        self._of: dict[str, tuple[str, int]] = {}
        for name, config in configs.items():
            membership = getattr(config, "membership", None)
            if membership is not None:
                place = (config.peers[name][0], membership.udp_port)
                self._places[place], self._of[name] = name, place

    def place(self, node: str) -> tuple[str, int]:
        return self._of[node]

    def send(self, node: str, host: str, port: int, data: bytes) -> None:
        target = self._places.get((host, port))
        if target is not None and target != node:
            link = self._network.links[node, target]
            self._network.udp(link, self._deliver, target, Datagram(*self._of[node], data))

    def broadcast(self, node: str, port: int, data: bytes) -> None:
        for (host, theirs), other in self._places.items():
            if theirs == port and (self._regions is None or self._regions.of(other) == self._regions.of(node)):
                self.send(node, host, port, data)
