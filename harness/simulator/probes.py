"""What can be observed of a simulated cluster without trusting whoever did something to it.

Reachability is probed as on real hosts: numbered UDP datagrams under the very rules that traffic meets, sent over every directed edge,
and what arrived is the answer. Hosts answer probes, not processes: a killed node's host is reachable, one without power is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .cluster import Edge, SimCluster
from .options import MILLISECOND

Matrix = dict[Edge, bool]


class Probes:
    """Datagrams over all edges: `rounds` of them, `every_ns` apart, and a last wait for what is still under way."""

    def __init__(self, cluster: SimCluster, rounds: int = 3, every_ns: int = 10 * MILLISECOND) -> None:
        self._cluster = cluster
        self._rounds, self._every_ns = rounds, every_ns

    def reachability(self, then: Callable[[Matrix], None]) -> None:
        """Probe now, and call `then(matrix)` when the answer is known; an edge is reachable when any probe arrived."""
        arrived: dict[Edge, set[int]] = {edge: set() for edge in self._cluster.network.links}
        kernel, options = self._cluster.kernel, self._cluster.options
        for sequence in range(self._rounds):
            kernel.schedule(kernel.now_ns + sequence * self._every_ns, self._send_round, sequence, arrived)
        slowest_ns = options.latency_min_ns + 8 * options.latency_mean_ns
        end_ns = kernel.now_ns + self._rounds * self._every_ns + slowest_ns
        kernel.schedule(end_ns, lambda: then({edge: bool(seen) for edge, seen in arrived.items()}))

    def _send_round(self, sequence: int, arrived: dict[Edge, set[int]]) -> None:
        network = self._cluster.network
        for edge, link in network.links.items():
            if edge[0] not in network.off_since_ns:
                network.datagram(link, arrived[edge].add, sequence)


def unreachable(matrix: Mapping[Edge, bool]) -> list[list[str]]:
    """The edges over which nothing arrived, as JSON."""
    return sorted([source, target] for (source, target), open_ in matrix.items() if not open_)
