"""Discovery: nodes find each other by beacons, sent by broadcast and to seed addresses. Each beacon names other nodes.

A node that starts sends several beacons at once, because datagrams are lost, and then one every `beacon_ns`. A node that hears a beacon from an
unknown node, or from one that does not know it, answers that node at once. So a new node hears from all within a round trip. It also contacts the
nodes that beacons name, so one seed is enough to find the rest. Each regular beacon also goes to one known node, a different one each time: this
keeps subnets connected that no broadcast joins.

Only the announced address of a node is used. Membership and permission to connect are decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...config.cluster import MS, MembershipConfig
from ...config.node import NodeConfig
from ...flaws.switch import Flaws
from ..interface.datagrams import LIMIT, Note, encode_datagram
from ..interface.events import Datagram
from ..interface.machine import Member
from ..interface.outbox import Outbox
from ..interface.rng import Chance
from ..interface.signals import Found
from .beacon import make_body, read_body
from .table import Place, Table, mark

BEACON, ANSWER = "discovery.beacon", "discovery.answer"
"""An answer is never answered, so that two nodes do not answer each other without end."""
TIMER = "discovery/beacon"
FIRST_NS = (20 * MS, 40 * MS, 80 * MS, 160 * MS, 320 * MS)
"""Pauses between the first beacons."""
REPLY_GAP_NS = 10 * MS
"""Time between two datagrams that beacons caused, to one node."""
REPLIES = 64
REPLIES_PER_NS = 100 * MS
"""At most `REPLIES` such datagrams in any `REPLIES_PER_NS`, to all nodes together."""
FORGET_BEACONS = 30


class Discovery(Member):
    name = "discovery"

    def __init__(self, config: NodeConfig, out: Outbox, incarnation: int, chance: Chance) -> None:
        assert config.membership is not None
        self._config = config
        self._flaws = Flaws.from_names(config.flaws)
        self._options: MembershipConfig = config.membership
        self._out = out
        self._chance = chance
        host, port = config.peers[config.node]
        self._place = Place(host, port, self._options.udp_port, self._options.role, incarnation)
        beacon_ns = self._options.beacon_ns
        self.table = Table(fresh_ns=3 * beacon_ns, forget_ns=FORGET_BEACONS * beacon_ns)
        self._sent = 0
        self._replied_ns: dict[str, int] = {}
        """When each node was last answered or greeted."""
        self._window_ns = 0
        self._window = 0
        """Answers and greetings since `_window_ns`."""
        self.ignored = 0
        """Invalid beacons."""
        self.signals: Mapping[type[Any], Callable[[int, Any], None]] = {}

    def start(self, now_ns: int) -> None:
        self._window_ns = now_ns
        self._beacon(now_ns)

    def on_datagram(self, now_ns: int, datagram: Datagram, note: Note) -> None:
        if note.sender == self._config.node:
            return
        try:
            if note.tag not in (BEACON, ANSWER):
                raise ValueError(f"there is no {note.tag[:64]!r}")
            beacon = read_body(note.body, datagram.host, note.incarnation)
        except ValueError:
            self.ignored += 1
            return
        news = self._hear(now_ns, note.sender, beacon.place, now_ns)
        unknown = mark(self._config.node, self._place.incarnation) not in beacon.have
        if note.tag == BEACON and (news or unknown):
            self._speak_to(now_ns, note.sender, beacon.place, ANSWER)
        for name, place, age_ns in beacon.others:
            if self._flaws.ghost_member:
                age_ns = 0
            if name != self._config.node and self._hear(now_ns, name, place, now_ns - age_ns):
                self._speak_to(now_ns, name, place, BEACON)

    def on_timer(self, now_ns: int, key: str) -> None:
        self.table.forget(now_ns)
        for name in [name for name in self._replied_ns if name not in self.table.places]:
            del self._replied_ns[name]
        self._beacon(now_ns)

    def status(self) -> dict[str, Any]:
        return {"discovered": len(self.table.places), "beacons_ignored": self.ignored}

    def check(self) -> None:
        table = self.table
        assert table.places.keys() == table.heard_ns.keys()
        assert self._config.node not in table.places
        assert self._window <= REPLIES

    def fingerprint(self) -> Any:
        return [self.table.dump(), self._sent, self._window, self.ignored]

    def _beacon(self, now_ns: int) -> None:
        """Send a beacon by broadcast, to the seeds, and to one known node in turn, which may be far."""
        turn = self.table.next_in_turn()
        data = self._encode(BEACON, now_ns, turn)
        if self._options.broadcast:
            self._out.broadcast(self._options.udp_port, data)
        for host, port in () if self._flaws.seeds_ignored else self._options.seeds:
            self._out.datagram(host, port, data)
        if turn is not None:
            place = self.table.places[turn]
            self._out.datagram(place.host, place.udp_port, data)
        delay_ns = FIRST_NS[self._sent] if self._sent < len(FIRST_NS) else self._options.beacon_ns
        delay_ns = min(delay_ns, self._options.beacon_ns)
        self._sent += 1
        # Random, so that nodes that started together do not keep sending together.
        delay_ns += self._chance.between("discovery", "jitter", -delay_ns // 8, delay_ns // 8)
        self._out.set_timer(TIMER, now_ns + delay_ns)

    def _hear(self, now_ns: int, name: str, place: Place, heard_ns: int) -> bool:
        news = self.table.hear(now_ns, name, place, heard_ns)
        if news:
            host, port, incarnation = place.host, place.port, place.incarnation
            self._out.trace("discovered", peer=name, host=host, port=port, peer_incarnation=incarnation)
        if news or (self._flaws.ghost_member and name in self.table.places):
            self._out.emit(Found(name, place.host, place.port, place.udp_port, place.role, place.incarnation))
        return news

    def _speak_to(self, now_ns: int, name: str, place: Place, tag: str) -> None:
        """Send within both bounds: whatever this node receives, it sends little."""
        if name in self._replied_ns and now_ns - self._replied_ns[name] < REPLY_GAP_NS:
            return
        if now_ns - self._window_ns >= REPLIES_PER_NS:
            self._window_ns, self._window = now_ns, 0
        if self._window >= REPLIES:
            return
        self._window += 1
        if name in self.table.places:
            self._replied_ns[name] = now_ns
        self._out.datagram(place.host, place.udp_port, self._encode(tag, now_ns, name))

    def _encode(self, tag: str, now_ns: int, but: str | None) -> bytes:
        cluster, node, incarnation = self._config.cluster, self._config.node, self._place.incarnation
        room = LIMIT - len(encode_datagram(cluster, Note(node, incarnation, tag, "")))
        body = make_body(now_ns, room, self._place, self.table, but)
        return encode_datagram(cluster, Note(node, incarnation, tag, body))
