"""The graph of the network: directed links between vertices, each with its latency, cuts, clogs and shaping.

Distances between regions are permanent (`apply_wan`): faults add to them, and no heal removes them.

A packet is judged when it *arrives*, because a cut drops at the receiver. A stream's data is not lost in a cut: it waits, as TCP
retransmits, and continues in order after the heal; a datagram is lost. A clogged link loses nothing and delivers nothing. The network
carries calls, not messages, and knows nothing of connections: `tcp.py` and `clients.py` build those on it.

Every draw is keyed by its purpose: the link and the number of the packet of its kind, or the stream and its number in that. So what
happens on one link, stream or probe changes no draw of another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ...keyed_random import ONE_MILLION, draw, exponential, happens, key_of, mix
from ...wan import Regions
from ..event_loop import Kernel
from ..options import MILLISECOND, SECOND, SimOptions

Call = Callable[..., None]

RETRANSMIT_NS = 200 * MILLISECOND
"""TCP retransmits a lost packet this much later, and then after twice as long (Linux' smallest RTO)."""
PACKET_BITS = 512 * 8
"""The size of every packet on a link with a rate: messages have no size here."""
BACKLOG_NS = SECOND
"""A packet that would wait longer for the rate is lost, as in the full buffer of a router."""

_STREAM, _DATAGRAM, _PROBE, _TAMPER = 0x57E4, 0xDA7A, 0x9B0B, 0x7A39

Tamper = Callable[[int, bytes], bytes]
"""Changes bytes that go over a link, by a draw: returns the same bytes, or others."""


@dataclass(frozen=True, slots=True)
class Shaping:
    """Shaping of a link's packets; chances in parts per million. Of several, the greatest chance and the lowest rate hold, and delays add."""

    loss_ppm: int = 0
    duplicate_ppm: int = 0
    reorder_ppm: int = 0
    delay_ns: int = 0
    jitter_ns: int = 0
    corrupt_ppm: int = field(default=0, repr=False)
    rate_bps: int = field(default=0, repr=False)
    """Bits per second; 0: no bound."""

    def __str__(self) -> str:
        """Return the repr, with corruption and rate only where they are requested: older digests were made without them."""
        more = {name: value for name in ("corrupt_ppm", "rate_bps") if (value := getattr(self, name))}
        return f"{self!r} {more}" if more else repr(self)

    @property
    def gone_ppm(self) -> int:
        """Chance that a packet is lost, or dropped for its checksum."""
        return self.loss_ppm + (ONE_MILLION - self.loss_ppm) * self.corrupt_ppm // ONE_MILLION

    def and_also(self, other: Shaping) -> Shaping:
        return Shaping(
            max(self.loss_ppm, other.loss_ppm),
            max(self.duplicate_ppm, other.duplicate_ppm),
            max(self.reorder_ppm, other.reorder_ppm),
            self.delay_ns + other.delay_ns,
            self.jitter_ns + other.jitter_ns,
            max(self.corrupt_ppm, other.corrupt_ppm),
            min(self.rate_bps or other.rate_bps, other.rate_bps or self.rate_bps),
        )


UNSHAPED = Shaping()


@dataclass(slots=True)
class Link:
    """One direction between two vertices.

    `cuts` and `clogs` count the faults that cut or clog it. `waiting` is what TCP will retransmit, `clogged` what is stuck on its way.
    `counter`, `datagrams`, `probes` and `streams` number what it carried of each kind, for the draws. `free_ns` is when a link with a
    rate has let through what came so far; `refused` counts packets dropped for their checksum. `shaping` combines the faults'
    `shapings` with what `lasts`.
    """

    source: str
    target: str
    key: int
    cuts: int = 0
    cut_since_ns: int = 0
    clogs: int = 0
    clogged_until_ns: int = 0
    shapings: dict[str, Shaping] = field(default_factory=dict)
    shaping: Shaping | None = None
    lasts: Shaping | None = None
    counter: int = 0
    datagrams: int = 0
    probes: int = 0
    streams: int = 0
    free_ns: int = 0
    refused: int = 0
    tampers: dict[str, Tamper] = field(default_factory=dict)
    tampered: int = 0
    damaged: int = 0
    """Messages between nodes that arrived damaged and were refused."""
    retransmitting: bool = False
    waiting: deque[tuple[Stream, Call, tuple[Any, ...]]] = field(default_factory=deque)
    clogged: deque[tuple[Call, tuple[Any, ...]]] = field(default_factory=deque)


@dataclass(slots=True)
class Stream:
    """One direction of one TCP connection: what is sent on it arrives in order, or not at all once it is `dead`.

    `identity` keys its draws; without one it is the link's next. `retransmits`: a lossy link delays it, as TCP does after a loss; without, its
    sender must deal with losses.
    """

    link: Link
    identity: int = 0
    retransmits: bool = True
    last_ns: int = 0
    dead: bool = False
    key: int = 0
    counter: int = 0

    def __post_init__(self) -> None:
        if not self.identity:
            self.link.streams += 1
        self.key = draw(self.link.key, _STREAM, self.identity or self.link.streams)


class Network:
    """The links between all vertices: node names and whatever else can be cut off, such as the clients. `cuts_on` counts the active cuts."""

    def __init__(self, kernel: Kernel, seed: int, vertices: tuple[str, ...], options: SimOptions) -> None:
        self._kernel, self._seed, self._options = kernel, seed, options
        self.vertices = vertices
        self.off_since_ns: dict[str, int] = {}
        """Hosts without power: nothing arrives there and nothing answers."""
        self.links = {
            (a, b): Link(a, b, draw(seed, key_of(a), key_of(b))) for a in vertices for b in vertices if a != b
        }
        self.cuts_on = 0
        self._latency_min_ns, self._latency_mean_ns = options.latency_min_ns, options.latency_mean_ns
        self._udp = Shaping(options.datagram_loss_ppm, options.datagram_duplicate_ppm, options.datagram_reorder_ppm)

    def bits(self, link: Link) -> int:
        """Return a draw for the next packet of this link."""
        link.counter += 1
        return mix(link.key ^ link.counter)

    def latency_ns(self, bits: int) -> int:
        return self._latency_min_ns + exponential(bits, self._latency_mean_ns)

    def apply_wan(self, regions: Regions) -> None:
        """Give links between regions these delays and rates, from now on and through every heal."""
        for edge, way in regions.links().items():
            link = self.links.get(edge)
            if link is not None:
                lasts = Shaping(delay_ns=way.delay_ns, jitter_ns=way.jitter_ns, rate_bps=way.rate_bps)
                link.lasts = link.shaping = lasts

    # What is done to links

    def cut(self, source: str, target: str) -> None:
        link = self.links[source, target]
        if link.cuts == 0:
            link.cut_since_ns = self._kernel.now_ns
        link.cuts += 1
        self.cuts_on += 1

    def heal(self, source: str, target: str) -> None:
        """Undo one cut of this edge; it is whole when no other fault cuts it."""
        link = self.links[source, target]
        if link.cuts == 0:
            return
        link.cuts -= 1
        self.cuts_on -= 1
        if link.cuts == 0 and link.waiting:
            self._retransmit(link)

    def heal_all(self) -> None:
        for link in self.links.values():
            link.clogged_until_ns = 0
            link.shapings.clear()
            link.shaping = link.lasts
            link.tampers.clear()
            while link.clogs:
                self.unclog(link.source, link.target)
            while link.cuts:
                self.heal(link.source, link.target)

    def altered(self) -> list[tuple[str, str]]:
        """Return the edges that a fault cuts, clogs, shapes or tampers with now."""
        return [
            edge
            for edge, link in self.links.items()
            if link.cuts or link.clogs or link.clogged_until_ns > self._kernel.now_ns or link.shapings or link.tampers
        ]

    def clog(self, source: str, target: str, until_ns: int | None = None) -> None:
        """Deliver nothing on this edge before `until_ns`, or `unclog`; nothing is lost."""
        link = self.links[source, target]
        if until_ns is None:
            link.clogs += 1
        else:
            link.clogged_until_ns = max(link.clogged_until_ns, until_ns)

    def unclog(self, source: str, target: str) -> None:
        """Undo one clog. What was stuck arrives now, in the order in which it would have."""
        link = self.links[source, target]
        link.clogs = max(0, link.clogs - 1)
        if not link.clogs:
            clogged, link.clogged = link.clogged, deque()
            for arrive, arguments in clogged:
                arrive(*arguments)

    def shape(self, source: str, target: str, name: str, shaping: Shaping | None) -> None:
        """Put a named shaping on this edge, or remove it (None)."""
        link = self.links[source, target]
        link.shapings.pop(name, None)
        if shaping is not None:
            link.shapings[name] = shaping
        link.shaping = link.lasts
        for part in link.shapings.values():
            link.shaping = part if link.shaping is None else link.shaping.and_also(part)

    def tamper(self, source: str, target: str, name: str, tamper: Tamper | None) -> None:
        """Pass what nodes send over this edge through a named `tamper`, or stop doing so (None)."""
        link = self.links[source, target]
        link.tampers.pop(name, None)
        if tamper is not None:
            link.tampers[name] = tamper

    def tampered(self, link: Link, data: bytes) -> bytes:
        """Return these bytes as they arrive."""
        for tamper in link.tampers.values():
            link.tampered += 1
            data = tamper(draw(link.key, _TAMPER, link.tampered), data)
        return data

    def power(self, vertex: str, on: bool) -> None:
        if on:
            self.off_since_ns.pop(vertex, None)
        else:
            self.off_since_ns[vertex] = self._kernel.now_ns
            for link in self.links.values():
                if vertex in (link.source, link.target):
                    link.waiting.clear()

    def blocked_since_ns(self, source: str, target: str) -> int | None:
        """Return since when `source` receives no acknowledgement from `target`; None when the round trip works."""
        since = [link.cut_since_ns for link in (self.links[source, target], self.links[target, source]) if link.cuts]
        if target in self.off_since_ns:
            since.append(self.off_since_ns[target])
        return min(since) if since else None

    # What links carry

    def datagram(self, link: Link, call: Call, *arguments: Any, extra_ns: int = 0, of: Stream | None = None) -> None:
        """Deliver `call` once, out of order with everything, unless the link is cut or the host is off on arrival.

        For packets of the transport itself: handshakes, resets. `of`: the stream that it belongs to, which then keys its draw.
        """
        bits = self.bits(link) if of is None else _next_of(of)
        at_ns = self._kernel.now_ns + self.latency_ns(bits) + extra_ns
        if link.shaping is not None:
            at_ns += _late_ns(link.shaping, bits)
            waits_ns = self._waits_ns(link, link.shaping)
            if waits_ns is None:
                return
            at_ns += waits_ns
        self._kernel.schedule(max(at_ns, link.clogged_until_ns), self._datagram_arrives, link, call, arguments)

    def udp(self, link: Link, call: Call, *arguments: Any) -> None:
        """Send a datagram of an application: it may be lost, arrive twice, or after later ones."""
        link.datagrams += 1
        shaping = self._udp if link.shaping is None else self._udp.and_also(link.shaping)
        self._scatter(link, draw(link.key, _DATAGRAM, link.datagrams), shaping, call, arguments)

    def probe(self, link: Link, call: Call, *arguments: Any, shaped: bool = False) -> None:
        """Send a datagram of an observer. Unless `shaped`, only cuts, clogs and power affect it."""
        link.probes += 1
        shaping = link.shaping if shaped else None
        self._scatter(link, draw(link.key, _PROBE, link.probes), shaping or UNSHAPED, call, arguments)

    def stream(self, stream: Stream, call: Call, *arguments: Any) -> None:
        """Deliver `call` after everything sent on this stream before it."""
        link, kernel = stream.link, self._kernel
        stream.counter += 1
        bits = mix(stream.key ^ stream.counter)
        at_ns = kernel.now_ns + self._latency_min_ns + exponential(bits, self._latency_mean_ns)
        if link.shaping is not None:
            at_ns += _late_ns(link.shaping, bits)
            if stream.retransmits:
                at_ns += _retransmission_ns(link.shaping, bits)
            waits_ns = self._waits_ns(link, link.shaping)
            # A full buffer loses a segment, which is sent again.
            at_ns += BACKLOG_NS + RETRANSMIT_NS if waits_ns is None else waits_ns
        if at_ns < link.clogged_until_ns:
            at_ns = link.clogged_until_ns
        if at_ns <= stream.last_ns:
            at_ns = stream.last_ns + 1
        stream.last_ns = at_ns
        kernel.schedule_step(link.key, at_ns, self._stream_arrives, stream, call, arguments)

    def _scatter(self, link: Link, bits: int, shaping: Shaping, call: Call, arguments: tuple[Any, ...]) -> None:
        """Apply chances to a packet. Each property has its own draw, so that changing a rate leaves the others' draws alone."""
        chance = mix(bits ^ 1)
        if happens(chance, shaping.gone_ppm):
            link.refused += not happens(chance, shaping.loss_ppm)
            return
        copies = 2 if happens(mix(bits ^ 2), shaping.duplicate_ppm) else 1
        for copy in range(copies):
            own = mix(bits ^ (3 + copy))
            at_ns = self._kernel.now_ns + self.latency_ns(own) + _late_ns(shaping, own)
            if happens(mix(own ^ 5), shaping.reorder_ppm):
                at_ns += own % (self._options.reorder_ns + 1)
            waits_ns = self._waits_ns(link, shaping)
            if waits_ns is None:
                continue
            at_ns += waits_ns
            self._kernel.schedule(max(at_ns, link.clogged_until_ns), self._datagram_arrives, link, call, arguments)

    def _waits_ns(self, link: Link, shaping: Shaping) -> int | None:
        """Return how long the next packet waits for the link's rate; None when there is no room for it in the buffer."""
        if not shaping.rate_bps:
            return 0
        now_ns = self._kernel.now_ns
        free_ns = max(now_ns, link.free_ns) + PACKET_BITS * SECOND // shaping.rate_bps
        if free_ns - now_ns > BACKLOG_NS:
            return None
        link.free_ns = free_ns
        return free_ns - now_ns

    def _datagram_arrives(self, link: Link, call: Call, arguments: tuple[Any, ...]) -> None:
        if link.clogs:
            link.clogged.append((self._datagram_arrives, (link, call, arguments)))
        elif not link.cuts and link.target not in self.off_since_ns:
            call(*arguments)

    def _stream_arrives(self, stream: Stream, call: Call, arguments: tuple[Any, ...]) -> None:
        link = stream.link
        if stream.dead or (self.off_since_ns and link.target in self.off_since_ns):
            return
        if link.clogs:
            link.clogged.append((self._stream_arrives, (stream, call, arguments)))
        elif link.cuts or link.retransmitting:
            link.waiting.append((stream, call, arguments))
        else:
            call(*arguments)

    def _retransmit(self, link: Link) -> None:
        link.retransmitting = True
        delay_ns = self.latency_ns(self.bits(link)) + self.bits(link) % (self._options.retransmit_max_ns + 1)
        self._kernel.schedule(self._kernel.now_ns + delay_ns, self._resume, link)

    def _resume(self, link: Link) -> None:
        link.retransmitting = False
        if link.cuts:
            return
        waiting, link.waiting = link.waiting, deque()
        for stream, call, arguments in waiting:
            if not stream.dead:
                call(*arguments)


def _next_of(stream: Stream) -> int:
    stream.counter += 1
    return mix(stream.key ^ stream.counter)


def _late_ns(shaping: Shaping, bits: int) -> int:
    return shaping.delay_ns + (mix(bits ^ 7) % (shaping.jitter_ns + 1) if shaping.jitter_ns else 0)


def _retransmission_ns(shaping: Shaping, bits: int) -> int:
    """Return the delay of a packet because its first copies were lost; at most five losses in a row."""
    late_ns, timeout_ns = 0, RETRANSMIT_NS
    for attempt in range(5):
        if not happens(mix(bits ^ (11 + attempt)) % ONE_MILLION, shaping.gone_ppm):
            break
        late_ns, timeout_ns = late_ns + timeout_ns, 2 * timeout_ns
    return late_ns
