"""SWIM with suspicion (Das, Gupta and Motivala 2002) and Lifeguard (Dadgar, Phillips and Currey 2017), as pure state.

Each period one member is probed. Without an answer in time it is probed again, by this node and through others. Without an answer at the end of the
period it is suspected. Every member receives the suspicion, and the suspect receives it first. The suspect refutes it by raising its own number. A
suspicion that is not refuted ends in `failed`. A node's traffic is one probe and its answer per period, whatever the size of the cluster.

A number is `incarnation * INCARNATION + n`: the incarnation is the member's in the log, and n counts its refutations. A member that is believed
failed is still probed while it is a member in the log. It may refute that belief too: every belief can be revised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...config.cluster import MembershipConfig
from ...flaws.switch import Flaws
from .lifeguard import Health, Suspicion, make_suspicion
from .order import Order
from .probe import Probe, Relay, Relays
from .rumours import Rumour, Rumours, read_rows
from .watcher import ALIVE, FAILED, SUSPECT, Change, Draw, Send

PING, ACK, ASK, NACK = "detector.ping", "detector.ack", "detector.ask", "detector.nack"
INCARNATION = 1_000_000


@dataclass(slots=True)
class Peer:
    """A member as this node sees it. `belief` None: this node has not heard from it yet, and trusts it. `suspicion` is set while it is suspect."""

    incarnation: int
    number: int
    belief: str | None = None
    suspicion: Suspicion | None = None


class Swim:
    def __init__(self, me: str, options: MembershipConfig, flaws: Flaws, draw: Draw) -> None:
        self._me = me
        self._options = options
        self._flaws = flaws
        self._draw = draw
        self._number = 0
        self._member = False
        self._seq = 0
        self._order = Order(draw)
        self._rumours = Rumours()
        self._relays = Relays()
        self._probe: Probe | None = None
        self._period_ns: int | None = None
        """When the next period begins; None while this node is no member."""
        self.peers: dict[str, Peer] = {}
        self.health = Health()
        self.sends: list[Send] = []
        self.changes: list[Change] = []
        self._notes: Mapping[str, Callable[[int, str, list[Any]], None]] = {
            PING: self._on_ping,
            ACK: self._on_ack,
            ASK: self._on_ask,
            NACK: self._on_nack,
        }

    @property
    def next_ns(self) -> int | None:
        wave_ns = self._probe.wave_ns if self._probe is not None else None
        ends = [peer.suspicion.end_ns for peer in self.peers.values() if peer.suspicion is not None]
        times = [time for time in (self._period_ns, wave_ns, self._relays.next_ns) if time is not None]
        return min(times + ends, default=None)

    def watch(self, now_ns: int, members: Mapping[str, int]) -> None:
        own = members.get(self._me)
        if own is None:
            members = {}
        elif self._number // INCARNATION != own:
            self._number = own * INCARNATION
        for name in [name for name, peer in self.peers.items() if members.get(name) != peer.incarnation]:
            del self.peers[name]
            self._order.drop(name)
            self._rumours.forget(name)
        for name, incarnation in members.items():
            if name != self._me and name not in self.peers:
                self.peers[name] = Peer(incarnation, incarnation * INCARNATION)
                self._order.add(name)
        self._member = own is not None
        if not self._member:
            self._probe = self._period_ns = None
        elif self._period_ns is None:
            # Nodes that became members together do not probe together.
            self._period_ns = now_ns + self._draw("first-period", 0, self._options.swim_period_ns)

    def on_note(self, now_ns: int, sender: str, tag: str, body: Any) -> None:
        handler = self._notes.get(tag)
        if handler is None or not isinstance(body, list) or len(body) != (4 if tag == ASK else 3):
            raise ValueError(f"{tag[:64]!r} is not a note of this detector, or has another form")
        number, seq, rumours = body[0], body[1], read_rows(body[-1])
        if type(number) is not int or type(seq) is not int or number < 0 or not isinstance(body[2], (list, str)):
            raise ValueError("it does not hold numbers")
        if sender in self.peers:
            # A node that is no member may be answered, but its rumours do not count: it may be an earlier life.
            self._alive(sender, number)
            for rumour in rumours:
                self._hear(now_ns, rumour)
        handler(now_ns, sender, body)

    def on_time(self, now_ns: int) -> None:
        due_ns = self.next_ns
        if due_ns is None or now_ns < due_ns:
            return
        late_ns = now_ns - due_ns
        if late_ns > self._options.swim_timeout_ns // 2:
            self._starved(now_ns, late_ns)
        for relay in self._relays.due(now_ns):
            self._send(relay.asker, NACK, relay.seq)
        for name, peer in self.peers.items():
            if peer.suspicion is not None and now_ns >= peer.suspicion.end_ns:
                self._fail(name, peer, peer.number, self._me)
        if self._probe is not None and self._probe.wave_ns is not None and now_ns >= self._probe.wave_ns:
            self._ask_again(now_ns, self._probe)
        if self._period_ns is not None and now_ns >= self._period_ns:
            if self._probe is not None:
                self._conclude(now_ns, self._probe)
            self._begin(now_ns)

    def status(self) -> dict[str, Any]:
        return {"detector_health": self.health.score}

    def check(self) -> None:
        assert sorted(self._order.names) == sorted(self.peers) and self._me not in self.peers
        for name, peer in self.peers.items():
            assert (peer.belief == SUSPECT) == (peer.suspicion is not None), (name, peer)
            assert peer.number // INCARNATION >= peer.incarnation, (name, peer)

    def dump(self) -> Any:
        peers = [[name, peer.number, peer.belief] for name, peer in self.peers.items()]
        return [self._number, self._seq, self.health.score, peers, self._order.names, self._rumours.dump()]

    def _starved(self, now_ns: int, late_ns: int) -> None:
        """Handle a late timer of this node: it did not run. What others sent meanwhile still waits in its socket, and no member may be suspected before
        that is read.
        """
        self.health.worse()
        for peer in self.peers.values():
            if peer.suspicion is not None:
                peer.suspicion.start_ns += late_ns + self._options.swim_period_ns
        if self._probe is not None and not self._probe.answered and self._period_ns is not None:
            timeout_ns = self.health.scaled(self._options.swim_timeout_ns)
            self._probe.wave_ns = now_ns + timeout_ns
            self._period_ns = self._probe.end_ns = max(self._period_ns, now_ns + 3 * timeout_ns)

    def _begin(self, now_ns: int) -> None:
        options, target = self._options, self._order.next()
        self._period_ns = now_ns + self.health.scaled(options.swim_period_ns)
        self._probe = None
        if target is not None:
            self._seq += 1
            wave_ns = now_ns + self.health.scaled(options.swim_timeout_ns)
            fair = self.peers[target].belief in (None, ALIVE)
            self._probe = Probe(target, self._seq, self._period_ns, wave_ns, fair)
            self._send(target, PING, self._seq)

    def _ask_again(self, now_ns: int, probe: Probe) -> None:
        """Probe again without an answer so far, and let others probe, which may hear what this node does not. A datagram lost on one path is not lost on
        all.
        """
        peer = self.peers.get(probe.target)
        if probe.answered or peer is None:
            probe.wave_ns = None
            return
        if self._flaws.failed_by_one_vote:
            self._fail(probe.target, peer, peer.number, self._me)
        timeout_ns = self.health.scaled(self._options.swim_timeout_ns)
        probe.wave_ns = now_ns + timeout_ns if now_ns + 2 * timeout_ns <= probe.end_ns else None
        self._send(probe.target, PING, probe.seq)
        good = [name for name, other in self.peers.items() if name != probe.target and other.belief in (None, ALIVE)]
        new = [name for name in good if name not in probe.asked]
        for helper in self._order.some(new or good, self._options.swim_indirect):
            probe.asked.setdefault(helper, False)
            self._send(helper, ASK, probe.seq, probe.target)

    def _conclude(self, now_ns: int, probe: Probe) -> None:
        peer = self.peers.get(probe.target)
        if probe.answered or peer is None:
            return
        if probe.fair and not probe.heard_by_others:
            self.health.worse()
        if peer.belief in (None, ALIVE):
            self._suspect(now_ns, probe.target, peer, peer.number, self._me)
            # The suspect gets it at once, so that it can refute it before others hear of it.
            self._send(probe.target, PING, probe.seq)
        elif peer.belief == SUSPECT:
            self._suspect(now_ns, probe.target, peer, peer.number, self._me)

    def _on_ping(self, now_ns: int, sender: str, body: list[Any]) -> None:
        self._send(sender, ACK, body[1])

    def _on_ack(self, now_ns: int, sender: str, body: list[Any]) -> None:
        """Handle an answer. One that comes late, or through a helper, also counts for the probe under way if it has its number."""
        probe, seq = self._probe, body[1]
        if probe is not None and probe.seq == seq and not probe.answered:
            probe.answered, probe.wave_ns = True, None
            if not self._flaws.health_never_recovers:
                self.health.better()
        relay = self._relays.answered(seq)
        if relay is not None:
            self._send(relay.asker, ACK, relay.seq, about=sender)

    def _on_ask(self, now_ns: int, sender: str, body: list[Any]) -> None:
        target, options = body[2], self._options
        if sender not in self.peers or target not in self.peers:
            return
        self._seq += 1
        relay = Relay(sender, body[1], now_ns + options.swim_timeout_ns * 4 // 5, now_ns + 2 * options.swim_period_ns)
        if self._relays.begin(self._seq, relay):
            self._send(target, PING, self._seq)

    def _on_nack(self, now_ns: int, sender: str, body: list[Any]) -> None:
        if self._probe is not None and self._probe.seq == body[1] and sender in self._probe.asked:
            self._probe.asked[sender] = True

    def _hear(self, now_ns: int, rumour: Rumour) -> None:
        name, number = rumour.name, rumour.number
        if name == self._me:
            if rumour.kind != ALIVE:
                self._object(number)
            return
        peer = self.peers.get(name)
        if peer is None or number // INCARNATION != peer.incarnation:
            # Of another life, or of a node that the log does not know.
            return
        if rumour.kind == ALIVE:
            self._alive(name, number)
        elif rumour.kind == SUSPECT:
            self._suspect(now_ns, name, peer, number, rumour.source)
        else:
            self._fail(name, peer, number, rumour.source)

    def _object(self, number: int) -> None:
        """Refute a belief that this node is gone: only a greater number of its own does so (SWIM, 4.2)."""
        if number < self._number or number // INCARNATION != self._number // INCARNATION or not self._member:
            return
        if not self._flaws.incarnation_not_bumped:
            self._number = number + 1
        self.health.worse()
        self._rumours.put(Rumour(ALIVE, self._me, self._number, self._me))

    def _alive(self, name: str, number: int) -> None:
        """Handle a report that a member is alive, from itself or from a node that heard it. It clears a suspicion if its number is greater."""
        peer = self.peers[name]
        if number // INCARNATION != peer.incarnation:
            number = peer.number
        if number > peer.number:
            peer.number, peer.suspicion = number, None
            self._rumours.put(Rumour(ALIVE, name, number, self._me))
            self._believe(name, peer, ALIVE)
        elif peer.belief is None:
            self._believe(name, peer, ALIVE)

    def _suspect(self, now_ns: int, name: str, peer: Peer, number: int, source: str) -> None:
        if number < peer.number or (number == peer.number and peer.belief == FAILED):
            return
        if number == peer.number and peer.suspicion is not None and not self._flaws.suspicion_restarts:
            if peer.suspicion.confirm(source):
                self._rumours.put(Rumour(SUSPECT, name, number, source))
            return
        options = self._options
        members = len(self.peers) + 1
        peer.number = number
        peer.suspicion = make_suspicion(now_ns, source, members, options.suspicion_periods, options.swim_period_ns)
        self._rumours.put(Rumour(SUSPECT, name, number, source))
        self._believe(name, peer, SUSPECT)

    def _fail(self, name: str, peer: Peer, number: int, source: str) -> None:
        if number < peer.number or peer.belief == FAILED:
            return
        peer.number, peer.suspicion = number, None
        self._rumours.put(Rumour(FAILED, name, number, source))
        self._believe(name, peer, FAILED)

    def _believe(self, name: str, peer: Peer, belief: str) -> None:
        if peer.belief != belief:
            peer.belief = belief
            self.changes.append(Change(name, peer.incarnation, belief))

    def _send(self, to: str, tag: str, seq: int, target: str | None = None, about: str | None = None) -> None:
        """Send with this node's suspicion of the receiver, if any, before all other rumours (Lifeguard's buddy system, section IV.C)."""
        first = []
        name = to if about is None else about
        peer = self.peers.get(name)
        if peer is not None and peer.belief in (SUSPECT, FAILED):
            first = [Rumour(peer.belief, name, peer.number, self._me)]
        elif peer is not None and about is not None and peer.belief == ALIVE:
            first = [Rumour(ALIVE, name, peer.number, self._me)]
        body = [
            self._number,
            seq,
            *([] if target is None else [target]),
            self._rumours.take(len(self.peers) + 1, first),
        ]
        self.sends.append(Send(to, tag, body))
