"""The effect of a shaped link on an arriving packet: pure, so that every case can be tested without a packet.

A link is one vertex as the receiver sees it, by all its addresses. Its *shape* is a JSON object with any of

    loss_ppm, corrupt_ppm, reorder_ppm    chances in parts per million
    delay_ns, jitter_ns                   the delay of every packet, and the maximum of its further random delay
    rate_bps                              bits per second; packets that would wait longer than a second are lost
    and the fields in `REWRITES`, also chances
    clogged                               true: nothing arrives while it is set
    flaps_ns                              periods: down for the first half of each, by the wall clock, so that several hosts change at the same time

Duplication is not among them: a queue gives one verdict per packet, so copies are made by the sender (`duplicates`).
"""

from __future__ import annotations

import ipaddress
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

Shape = Mapping[str, Any]
ONE_MILLION = 1_000_000
SECOND_NS = 1_000_000_000
NUMBER_LIMIT = 1 << 62
OVERTAKEN_NS = (10_000_000, 50_000_000)
"""The range of the random additional delay of a packet that others must overtake."""
BACKLOG_NS = SECOND_NS
"""A packet that would wait longer for the rate is lost, as in the full buffer of a router."""


@dataclass(slots=True)
class Link:
    """`held` are the numbers of packets that a clog holds, in the order in which they came."""

    vertex: str
    shape: Shape
    free_ns: int = 0
    held: deque[int] = field(default_factory=deque)
    seen: int = 0
    dropped: int = 0
    rewritten: int = 0


@dataclass(frozen=True, slots=True)
class Fate:
    """`at_ns` is when the packet is released; None: it is lost, or, if `held`, waits for the end of a clog."""

    at_ns: int | None
    rewrites: tuple[str, ...] = ()
    """The changes of `REWRITES` that apply to the packet."""
    held: bool = False


LOST = Fate(None)
HELD = Fate(None, held=True)


class Links:
    """All links of this host; a change keeps the state of links that stay."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._links: dict[str, Link] = {}
        self._by_address: dict[bytes, Link] = {}

    def change(self, shapes: Mapping[str, Shape]) -> list[int]:
        """Shape exactly these vertices; return the packets that no clog holds any more, in order."""
        freed: list[int] = []
        for vertex, link in self._links.items():
            if not shapes.get(vertex, {}).get("clogged"):
                freed += link.held
                link.held.clear()
        kept = {vertex: self._links.get(vertex) or Link(vertex, {}) for vertex in shapes}
        for vertex, link in kept.items():
            link.shape = shapes[vertex]
        self._links = kept
        self._by_address = {
            packed: link for link in kept.values() for packed in packed_addresses(link.shape.get("addresses", ()))
        }
        return sorted(freed)

    @property
    def rewriting(self) -> bool:
        return any(link.shape.get(name) for link in self._links.values() for name in REWRITES)

    def of(self, source: bytes) -> Link | None:
        return self._by_address.get(source)

    def fate(self, link: Link, length: int, now_ns: int, wall_ns: int = 0) -> Fate:
        """Decide about a packet of this size that arrives now, by a monotonic clock and the wall clock. The wait for the rate is added to its delay."""
        shape, link.seen = link.shape, link.seen + 1
        if shape.get("clogged"):
            return HELD
        if _is_down(shape, wall_ns) or self._happens(shape.get("loss_ppm", 0)):
            link.dropped += 1
            return LOST
        at_ns = now_ns
        if rate_bps := shape.get("rate_bps"):
            at_ns = max(now_ns, link.free_ns) + length * 8 * SECOND_NS // rate_bps
            if at_ns - now_ns > BACKLOG_NS:
                link.dropped += 1
                return LOST
            link.free_ns = at_ns
        at_ns += shape.get("delay_ns", 0)
        if jitter_ns := shape.get("jitter_ns", 0):
            at_ns += self._random.randint(0, jitter_ns)
        if self._happens(shape.get("reorder_ppm", 0)):
            at_ns += self._random.randint(*OVERTAKEN_NS)
        rewrites = tuple(name for name in REWRITES if self._happens(shape.get(name, 0)))
        link.rewritten += bool(rewrites)
        return Fate(at_ns, rewrites)

    def counters(self) -> dict[str, dict[str, int]]:
        return {
            name: {"seen": link.seen, "dropped": link.dropped, "rewritten": link.rewritten, "held": len(link.held)}
            for name, link in self._links.items()
        }

    def _happens(self, ppm: int) -> bool:
        return ppm > 0 and self._random.randrange(ONE_MILLION) < ppm


def shape_problem(shape: Any) -> str | None:
    """Return why this cannot be a shape; None when it can."""
    if not isinstance(shape, dict):
        return "is not an object"
    for name in _NUMBERS:
        if type(shape.get(name, 0)) is not int or not 0 <= shape.get(name, 0) < NUMBER_LIMIT:
            return f"has no whole number {name}"
    flaps = shape.get("flaps_ns", [])
    if not isinstance(flaps, list) or not all(type(period) is int and 0 < period < NUMBER_LIMIT for period in flaps):
        return "has no list flaps_ns of periods"
    try:
        packed_addresses(shape.get("addresses", ()))
    except (AttributeError, TypeError, ValueError):
        return "has no list of addresses"
    return None


def _is_down(shape: Shape, wall_ns: int) -> bool:
    return any(wall_ns % period_ns < period_ns // 2 for period_ns in shape.get("flaps_ns", ()))


def flipped(packet: bytes, random: Random) -> bytes:
    """Return the packet with one bit of its transport header or data flipped. The IP header was already checked before."""
    if not packet:
        return packet
    first = (packet[0] & 0x0F) * 4 if packet[0] >> 4 == 4 else 40
    if first >= len(packet):
        return packet
    at = random.randrange(first, len(packet))
    changed = bytearray(packet)
    changed[at] ^= 1 << random.randrange(8)
    return bytes(changed)


TCP, UDP = 6, 17
_CHECKSUM_AT = {TCP: 16, UDP: 6}
_SHORTEST = {TCP: 20, UDP: 8}


def with_flipped_data(packet: bytes, random: Random) -> bytes:
    """Flip one bit of the application's data and correct the checksum, so that the network does not notice. A packet without data and a fragment stay
    unchanged.

    Only data of TCP and UDP changes: with other ports or sequence numbers it would be another packet. The transport's checksum is updated (RFC 1624),
    so that the receiver's kernel hands the bytes to the application.
    """
    transport, protocol, end = _transport(packet)
    if protocol not in _CHECKSUM_AT or end - transport < _SHORTEST[protocol]:
        return packet
    data = transport + (8 if protocol == UDP else max(20, (packet[transport + 12] >> 4) * 4))
    if data >= end:
        return packet
    at = random.randrange(data, end)
    changed = bytearray(packet)
    changed[at] ^= 1 << random.randrange(8)
    checksum_at = transport + _CHECKSUM_AT[protocol]
    old = int.from_bytes(packet[checksum_at : checksum_at + 2], "big")
    if old or protocol == TCP:
        # UDP's zero says that there is no checksum.
        word = at - (at - transport) % 2
        new = carried(old, _word(packet, word, end), _word(changed, word, end))
        if protocol == UDP:
            new = new or 0xFFFF
        changed[checksum_at : checksum_at + 2] = new.to_bytes(2, "big")
    return bytes(changed)


def carried(checksum: int, before: int, after: int) -> int:
    """The checksum of a packet after one of its 16-bit words was replaced."""
    total = (~checksum & 0xFFFF) + (~before & 0xFFFF) + after
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _transport(packet: bytes) -> tuple[int, int, int]:
    """The start of the transport's header, the transport's number (0 if unknown), and the end of the packet."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        is_whole = int.from_bytes(packet[6:8], "big") & 0x3FFF == 0
        return (packet[0] & 15) * 4, packet[9] if is_whole else 0, min(len(packet), int.from_bytes(packet[2:4], "big"))
    if len(packet) >= 40 and packet[0] >> 4 == 6:
        return 40, packet[6], min(len(packet), 40 + int.from_bytes(packet[4:6], "big"))
    return 0, 0, len(packet)


def _word(packet: bytes | bytearray, at: int, end: int) -> int:
    """An odd last byte counts as followed by a zero."""
    return packet[at] << 8 | (packet[at + 1] if at + 1 < end else 0)


REWRITES: Mapping[str, Callable[[bytes, Random], bytes]] = {"corrupt_ppm": flipped, "flip_ppm": with_flipped_data}
"""Change of a packet, by the name of its chance in a shape."""

_NUMBERS = ("loss_ppm", "reorder_ppm", "delay_ns", "jitter_ns", "rate_bps", *REWRITES)


def rewritten(packet: bytes, rewrites: Iterable[str], random: Random) -> bytes | None:
    """Return the packet after these changes; None if there are none, so that the kernel keeps its own."""
    changed = packet
    for name in rewrites:
        changed = REWRITES[name](changed, random)
    return changed if rewrites else None


def packed_addresses(addresses: Iterable[str]) -> list[bytes]:
    return [ipaddress.ip_address(address.partition("%")[0]).packed for address in addresses]
