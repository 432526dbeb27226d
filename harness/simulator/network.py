"""The graph of the network: directed links between vertices, each with its latency, cuts and clogs.

A packet is judged when it *arrives*, for a cut drops at the receiver. What a stream carries is not lost in a cut: it waits, as TCP
retransmits, and goes on after the heal in its order; a datagram is lost. The network carries calls, not messages, and knows nothing
of connections: `peers.py` and `clients.py` build those on it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .chance import draw, exponential, key_of, mix
from .kernel import Kernel
from .options import SimOptions

Call = Callable[..., None]


@dataclass(slots=True)
class Link:
    """One direction between two vertices. `cuts` counts the faults that cut it; `waiting` is what TCP will retransmit."""

    source: str
    target: str
    key: int
    cuts: int = 0
    cut_since_ns: int = 0
    clogged_until_ns: int = 0
    counter: int = 0
    retransmitting: bool = False
    waiting: deque[tuple[Stream, Call, tuple[Any, ...]]] = field(default_factory=deque)


@dataclass(slots=True)
class Stream:
    """One direction of one TCP connection: what is sent on it arrives in order, or not at all once it is `dead`."""

    link: Link
    last_ns: int = 0
    dead: bool = False


class Network:
    """Vertices are node names and whatever else shall be cut off, such as the clients."""

    def __init__(self, kernel: Kernel, seed: int, vertices: tuple[str, ...], options: SimOptions) -> None:
        self._kernel, self._seed, self._options = kernel, seed, options
        self.vertices = vertices
        self.off_since_ns: dict[str, int] = {}
        """Hosts without power: nothing arrives there and nothing answers."""
        self.links = {
            (a, b): Link(a, b, draw(seed, key_of(a), key_of(b))) for a in vertices for b in vertices if a != b
        }

    def bits(self, link: Link) -> int:
        """A draw for the next packet of this link."""
        link.counter += 1
        return mix(link.key ^ link.counter)

    def latency_ns(self, bits: int) -> int:
        return self._options.latency_min_ns + exponential(bits, self._options.latency_mean_ns)

    def cut(self, source: str, target: str) -> None:
        link = self.links[source, target]
        if link.cuts == 0:
            link.cut_since_ns = self._kernel.now_ns
        link.cuts += 1

    def heal(self, source: str, target: str) -> None:
        """Take back one cut of this edge; the edge is whole when no other fault cuts it."""
        link = self.links[source, target]
        if link.cuts == 0:
            return
        link.cuts -= 1
        if link.cuts == 0 and link.waiting:
            self._retransmit(link)

    def heal_all(self) -> None:
        for link in self.links.values():
            link.clogged_until_ns = 0
            while link.cuts:
                self.heal(link.source, link.target)

    def clog(self, source: str, target: str, until_ns: int) -> None:
        """Nothing arrives on this edge before `until_ns`; nothing is lost either."""
        link = self.links[source, target]
        link.clogged_until_ns = max(link.clogged_until_ns, until_ns)

    def power(self, vertex: str, on: bool) -> None:
        if on:
            self.off_since_ns.pop(vertex, None)
        else:
            self.off_since_ns[vertex] = self._kernel.now_ns
            for link in self.links.values():
                if vertex in (link.source, link.target):
                    link.waiting.clear()

    def blocked_since_ns(self, source: str, target: str) -> int | None:
        """Since when `source` hears no acknowledgement from `target`, or None when the round trip is whole."""
        since = [link.cut_since_ns for link in (self.links[source, target], self.links[target, source]) if link.cuts]
        if target in self.off_since_ns:
            since.append(self.off_since_ns[target])
        return min(since) if since else None

    def datagram(self, link: Link, call: Call, *arguments: Any, extra_ns: int = 0) -> None:
        """Deliver `call` once, out of order with everything, unless the link is cut or the host is off on arrival."""
        at_ns = max(self._kernel.now_ns + self.latency_ns(self.bits(link)) + extra_ns, link.clogged_until_ns)
        self._kernel.schedule(at_ns, self._datagram_arrives, link, call, arguments)

    def stream(self, stream: Stream, call: Call, *arguments: Any) -> None:
        """Deliver `call` after everything sent on this stream before it."""
        link = stream.link
        at_ns = max(self._kernel.now_ns + self.latency_ns(self.bits(link)), link.clogged_until_ns, stream.last_ns + 1)
        stream.last_ns = at_ns
        self._kernel.schedule(at_ns, self._stream_arrives, stream, call, arguments)

    def _datagram_arrives(self, link: Link, call: Call, arguments: tuple[Any, ...]) -> None:
        if not link.cuts and link.target not in self.off_since_ns:
            call(*arguments)

    def _stream_arrives(self, stream: Stream, call: Call, arguments: tuple[Any, ...]) -> None:
        link = stream.link
        if stream.dead or link.target in self.off_since_ns:
            return
        if link.cuts or link.retransmitting:
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
