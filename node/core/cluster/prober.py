"""Measurement of distance and bandwidth to the others, over the links that all traffic uses.

Each `probe_ns` the node pings up to `PINGS` members in rotation, so that its traffic does not grow with the cluster. In every round at most one
member also gets a burst, a ping with padding. At most one burst is under way, so that the measurement does not become the load. A burst measures the
bandwidth that a message of its length gets on the existing connection. That includes TCP's slow start after a pause, which a task's payload meets
too.

Every node periodically sends the leader its table of measurements, because tasks are routed from the node of their submission. The leader emits all
tables as `Distances`, from → to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...config.cluster import AgentsConfig
from ...config.node import NodeConfig
from ..interface.cluster_messages import ProbePing, ProbePong, ProbeReport
from ..interface.events import Connected, Disconnected
from ..interface.machine import Member
from ..interface.messages import Message
from ..interface.outbox import Outbox
from ..interface.rng import Chance
from ..interface.signals import Changed, Distances, LeaderChanged, Measured
from .smoothing import BURST_MAX, Way

TIMER = "prober/round"
PINGS = 8
"""Members pinged in a round, at most."""
BURST_ROUNDS = 4
"""Rounds after which an unanswered burst is given up."""
REPORT_ROUNDS = 2
LOST_ROUNDS = 2
"""Rounds after which a ping is given up: what TCP delivers after a partition would not be a round trip."""
ROWS = 256
"""Entries in a report, at most."""
_FAILED = "FAILED"


class Prober(Member):
    name = "prober"

    def __init__(self, config: NodeConfig, out: Outbox, incarnation: int, chance: Chance) -> None:
        self._me = config.node
        self._out = out
        self._chance = chance
        self._period_ns = (config.agents or AgentsConfig()).probe_ns
        # Numbers of an earlier life must not match ours.
        self._number = incarnation << 32
        self._ways: dict[str, Way] = {}
        self._pings: dict[str, tuple[int, int]] = {}
        """Peer → number and time of its unanswered ping."""
        self._burst: tuple[str, int, int, int] | None = None
        """Peer, number, time and length of the burst that is under way."""
        self._round = 0
        self._next_ping, self._next_burst = 0, 0
        self._leader: str | None = None
        self._here = False
        self._reported: Measured | None = None
        self._reports: dict[str, Measured] = {}
        self._fresh_reports = False
        self.signals: Mapping[type[Any], Callable[[int, Any], None]] = {
            Changed: self._on_changed,
            LeaderChanged: self._on_leader,
        }

    def start(self, now_ns: int) -> None:
        """Start with a random delay: nodes that start at the same time must not probe at the same time."""
        self._out.set_timer(TIMER, now_ns + self._chance.between(self.name, "first", 0, self._period_ns))

    def on_timer(self, now_ns: int, key: str) -> None:
        self._round += 1
        peers = list(self._ways)
        if peers:
            self._ping_some(now_ns, peers)
            self._burst_one(now_ns, peers)
        self._report()
        self._out.set_timer(TIMER, now_ns + self._period_ns)

    def on_message(self, now_ns: int, peer: str, message: Message) -> None:
        if isinstance(message, ProbePing):
            self._out.send(peer, ProbePong(message.number))
        elif isinstance(message, ProbePong):
            self._on_pong(now_ns, peer, message.number)
        elif isinstance(message, ProbeReport) and self._here:
            report = _read(message.measured)
            if report is not None and peer in self._ways:
                self._reports[peer] = report
                self._fresh_reports = True

    def on_connection(self, now_ns: int, event: Connected | Disconnected) -> None:
        """Measure a new connection at once: the measurements of the old one may not apply to it. Forget the pings and the burst of a connection that
        broke.
        """
        peer = event.peer
        if isinstance(event, Connected) and peer in self._ways:
            self._ping(now_ns, peer)
        elif isinstance(event, Disconnected):
            self._pings.pop(peer, None)
            if self._burst is not None and self._burst[0] == peer:
                self._burst = None

    def status(self) -> dict[str, Any]:
        measured = self._measured()
        return {"rtt_ns": measured.rtt_ns, "bandwidth_bps": measured.bandwidth_bps}

    def check(self) -> None:
        assert self._me not in self._ways
        assert all(peer in self._ways for peer in self._pings)

    def fingerprint(self) -> Any:
        ways = [[peer, way.rtt_ns, way.byte_time_ps, way.burst_bytes] for peer, way in self._ways.items()]
        return [self._round, self._number, ways, self._pings, self._burst]

    def _ping_some(self, now_ns: int, peers: list[str]) -> None:
        for _ in range(min(PINGS, len(peers))):
            self._next_ping = (self._next_ping + 1) % len(peers)
            peer = peers[self._next_ping]
            waiting = self._pings.get(peer)
            if waiting is None or now_ns - waiting[1] > LOST_ROUNDS * self._period_ns:
                self._ping(now_ns, peer)

    def _ping(self, now_ns: int, peer: str) -> None:
        self._number += 1
        self._pings[peer] = (self._number, now_ns)
        self._out.send(peer, ProbePing(self._number, ""))

    def _burst_one(self, now_ns: int, peers: list[str]) -> None:
        """Send a burst to the next member whose round trip is known; members of unknown bandwidth come first."""
        if self._burst is not None:
            peer, _, sent_ns, _ = self._burst
            if now_ns - sent_ns <= BURST_ROUNDS * self._period_ns:
                return
            self._burst = None
            if peer in self._ways:
                self._ways[peer].burst_lost()
        self._next_burst += 1
        turned = [peers[(self._next_burst + i) % len(peers)] for i in range(len(peers))]
        known = [peer for peer in turned if self._ways[peer].rtt_ns]
        if not known:
            return
        peer = next((peer for peer in known if not self._ways[peer].byte_time_ps), known[0])
        length = self._ways[peer].burst_bytes
        self._number += 1
        self._burst = (peer, self._number, now_ns, length)
        self._out.send(peer, ProbePing(self._number, "=" * length))

    def _on_pong(self, now_ns: int, peer: str, number: int) -> None:
        way = self._ways.get(peer)
        if way is None:
            return
        waiting = self._pings.get(peer)
        if waiting is not None and waiting[0] == number:
            del self._pings[peer]
            is_first = not way.rtt_ns
            way.round_trip(now_ns - waiting[1])
            if is_first:
                # Later ones wait for the next round: a reader of a distance does not need the latest value.
                self._report_own()
        elif self._burst is not None and self._burst[:2] == (peer, number):
            _, _, sent_ns, length = self._burst
            self._burst = None
            way.burst(length, now_ns - sent_ns)

    def _report_own(self) -> Measured:
        measured = self._measured()
        if measured != self._reported:
            self._reported = measured
            self._out.emit(measured)
            self._fresh_reports = True
        return measured

    def _report(self) -> None:
        measured = self._report_own()
        if self._here:
            if self._fresh_reports:
                self._fresh_reports = False
                self._say_distances(measured)
        elif self._leader is not None and self._round % REPORT_ROUNDS == 0:
            report = {"rtt_ns": measured.rtt_ns, "bandwidth_bps": measured.bandwidth_bps}
            self._out.send(self._leader, ProbeReport(report))

    def _say_distances(self, own: Measured) -> None:
        tables = {self._me: own, **self._reports}
        rtt = {node: table.rtt_ns for node, table in tables.items()}
        bandwidth = {node: table.bandwidth_bps for node, table in tables.items()}
        self._out.emit(Distances(rtt, bandwidth))

    def _measured(self) -> Measured:
        rtt = {peer: way.rtt_ns for peer, way in self._ways.items() if way.rtt_ns}
        bandwidth = {peer: way.bandwidth_bps for peer, way in self._ways.items() if way.byte_time_ps}
        return Measured(rtt, bandwidth)

    def _on_changed(self, now_ns: int, signal: Changed) -> None:
        """Measure the members that have not failed; forget the others."""
        if signal.app != "members":
            return
        for name in signal.ids:
            member = signal.view.get(name)
            if name == self._me:
                continue
            if member is None or member["state"] == _FAILED:
                self._forget(name)
            elif name not in self._ways:
                self._ways[name] = Way()
                self._ping(now_ns, name)

    def _forget(self, name: str) -> None:
        for table in (self._ways, self._pings, self._reports):
            table.pop(name, None)
        if self._burst is not None and self._burst[0] == name:
            self._burst = None

    def _on_leader(self, now_ns: int, signal: LeaderChanged) -> None:
        if signal.here and not self._here:
            self._reports = {}
            self._fresh_reports = True
        self._leader, self._here = signal.leader, signal.here


def _read(measured: Any) -> Measured | None:
    """Return the report if it is valid: numbers above 0 by name."""
    tables = [measured.get(name) for name in ("rtt_ns", "bandwidth_bps")]
    for table in tables:
        if type(table) is not dict or len(table) > ROWS:
            return None
        if not all(type(value) is int and value > 0 for value in table.values()):
            return None
    return Measured(*tables)


assert BURST_MAX < 1 << 20, "a burst is one message, and fits a frame"
