"""Observations of a simulated cluster that are independent of the code that changed it.

Reachability is probed as on real hosts: numbered UDP datagrams under the rules that traffic meets, sent over every directed edge;
the result is what arrived. Hosts answer probes, not processes: a killed node's host is reachable, one without power is not. A disk is
probed by a test process that writes and syncs on the same device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from tribulation.node.core.interface.effects import Append, Fsync, FsyncDir

from ...keyed_random import draw
from ..disk.disk import SECTOR, Disk
from ..disk.storage import Storage
from ..network.network import BACKLOG_NS
from ..options import MICROSECOND, MILLISECOND
from .cluster import Edge, SimCluster

Matrix = dict[Edge, bool]
Arrivals = dict[Edge, set[int]]
"""Which of the numbered probes came over each edge; late ones are added when they come."""

LOOK_NS = 200 * MICROSECOND
"""Time between two probes of a link's quality."""
LATE_LOOKS = 8
"""Further looks at a slow disk that has not answered in the time of its probe."""


class Probes:
    """Datagrams over all edges: `rounds` of them, `every_ns` apart, and a last wait for what is still under way."""

    def __init__(self, cluster: SimCluster, rounds: int = 3, every_ns: int = 10 * MILLISECOND) -> None:
        self._cluster = cluster
        self._rounds, self._every_ns = rounds, every_ns

    def reachability(self, then: Callable[[Matrix], None]) -> Arrivals:
        """Probe now, and call `then(matrix)` when the answer is known; an edge is reachable when any probe arrived."""
        arrived: Arrivals = {edge: set() for edge in self._cluster.network.links}
        kernel = self._cluster.kernel
        for sequence in range(self._rounds):
            kernel.schedule(kernel.now_ns + sequence * self._every_ns, self._send_round, sequence, arrived)
        end_ns = kernel.now_ns + self._rounds * self._every_ns + self._slowest_ns()
        kernel.schedule(end_ns, lambda: then({edge: bool(seen) for edge, seen in arrived.items()}))
        return arrived

    def quality(
        self,
        edges: Iterable[Edge],
        rounds: int,
        then: Callable[[dict[Edge, list[tuple[int, int]]]], None],
        every_ns: int = LOOK_NS,
    ) -> None:
        """Call `then` with what came over each edge, in the order of arrival, as (number, time under way in ns). Probes are shaped as traffic is."""
        seen: dict[Edge, list[tuple[int, int]]] = {edge: [] for edge in edges}
        kernel, links, late_ns = self._cluster.kernel, self._cluster.network.links, 0

        def arrive(edge: Edge, number: int, sent_ns: int) -> None:
            seen[edge].append((number, kernel.now_ns - sent_ns))

        def send(number: int) -> None:
            for edge in seen:
                if edge[0] not in self._cluster.network.off_since_ns:
                    self._cluster.network.probe(links[edge], arrive, edge, number, kernel.now_ns, shaped=True)

        for number in range(rounds):
            kernel.schedule(kernel.now_ns + number * every_ns, send, number)
        for edge in seen:
            shaping = links[edge].shaping
            if shaping is not None:
                late_ns = max(late_ns, shaping.delay_ns + shaping.jitter_ns + self._cluster.options.reorder_ns)
                late_ns += BACKLOG_NS if shaping.rate_bps else 0
        kernel.schedule(kernel.now_ns + rounds * every_ns + late_ns + self._slowest_ns(), lambda: then(seen))

    def _slowest_ns(self) -> int:
        options = self._cluster.options
        return options.latency_min_ns + 8 * options.latency_mean_ns

    def _send_round(self, sequence: int, arrived: Arrivals) -> None:
        network = self._cluster.network
        for edge, link in network.links.items():
            if edge[0] not in network.off_since_ns:
                network.probe(link, arrived[edge].add, sequence)


def unreachable(matrix: Mapping[Edge, bool]) -> list[list[str]]:
    """Return the edges over which nothing arrived, as JSON."""
    return sorted([source, target] for (source, target), open_ in matrix.items() if not open_)


@dataclass(frozen=True, slots=True)
class DeviceSeen:
    """Answer of a device. `error` is the first; `took_ns` is None when the device did not answer in time; `durable`: what was synced would survive."""

    error: str | None
    took_ns: int | None
    durable: bool


def probe_device(cluster: SimCluster, node: str, patience_ns: int, then: Callable[[DeviceSeen], None]) -> None:
    """Append, sync and sync the directory on the device of `node`, in files of our own."""
    kernel, found, data = cluster.kernel, cluster.nodes[node], b"probe" * SECTOR
    disk = Disk(cluster.seed, found.key)
    disk.trouble = found.disk.trouble
    began_ns, errors, answered = kernel.now_ns, [], []

    def finished(op: int, error: str | None) -> None:
        answered.append(kernel.now_ns)
        if error is not None:
            errors.append(error)

    options = replace(cluster.options, fsync_error_ppm=0)
    key = draw(cluster.seed, found.key, 0x9B0B, began_ns)
    storage = Storage(kernel, disk, key, options, finished)
    for effect in (Append(1, "probe", data), Fsync(2, "probe"), FsyncDir(3, (2,))):
        storage.submit(effect)
    storage.pump()

    def look(looks_left: int) -> None:
        trouble = disk.trouble
        if len(answered) < 3 and trouble.slow_ns and not (trouble.stalled or trouble.held) and looks_left:
            # A slow disk that answers late is no disk that does not answer.
            kernel.schedule(kernel.now_ns + 8 * trouble.slow_ns, look, looks_left - 1)
            return
        storage.end(torn=False)
        took_ns = answered[-1] - began_ns if len(answered) == 3 else None
        then(DeviceSeen(errors[0] if errors else None, took_ns, disk.durable_bytes("probe") == data))

    kernel.schedule(began_ns + patience_ns, look, LATE_LOOKS)
