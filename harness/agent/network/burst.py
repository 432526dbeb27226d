"""Bursts: numbered UDP packets with the time at which each was sent, so that arrivals show what a link does to packets.

They use the probes' port on both sides, under the same rules as all traffic. Times are those of each host's monotonic clock, which no fault changes;
the harness knows the differences between these.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import socket
import statistics
import struct
import threading
import time
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

Json = dict[str, Any]
MAGIC = b"TRIBB "
HEAD = struct.Struct("!IIQ")
"""Which burst, number, ns."""
SEAL_BYTES = 8
"""BLAKE2b of all bytes that follow, with the run's key: a packet that differs from the sent one only counts as damaged. Any user of a host may send
to this port.
"""
KEY_BYTES = 64
REMEMBERED = 8
"""Bursts whose packets a receiver still counts; older ones are forgotten."""
COUNTED = 1 << 18
"""The most packets of one burst from one sender; more must be forged."""
NAME_ENDS = b"\n"


_key = b""


def use_key(key: bytes) -> None:
    """Use the run's key from now on, in this process."""
    global _key
    _key = key[:KEY_BYTES]


def sealed(magic: bytes, body: bytes) -> bytes:
    return magic + _seal(body) + body


def _seal(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=SEAL_BYTES, key=_key).digest()


def opened(magic: bytes, packet: bytes) -> bytes:
    """Return the body of a packet with this magic. Raises `ValueError` if it was changed on the way."""
    seal, body = packet[len(magic) : len(magic) + SEAL_BYTES], packet[len(magic) + SEAL_BYTES :]
    if not hmac.compare_digest(seal, _seal(body)):
        raise ValueError("it was changed, or sent by something else")
    return body


class Arrivals:
    """The packets of each burst and sender that arrived, in order: (number, delay by two clocks, arrival time), times in ns."""

    def __init__(self) -> None:
        self._seen: dict[int, dict[str, list[tuple[int, int, int]]]] = {}
        self._damaged: dict[str, int] = {}
        self._lock = threading.Lock()

    def note_damaged(self, sender: str) -> None:
        """Record that a packet from there was damaged or forged."""
        with self._lock:
            self._damaged[sender] = self._damaged.get(sender, 0) + 1

    def damaged(self) -> dict[str, int]:
        """The total by sender."""
        with self._lock:
            return dict(self._damaged)

    def note(self, packet: bytes, now_ns: int, known: Container[str]) -> None:
        """Note the arrival of a packet. Raises `ValueError` for anything but a packet of a burst from one of the `known` senders."""
        try:
            body = opened(MAGIC, packet)
            burst, number, sent_ns = HEAD.unpack_from(body)
        except struct.error:
            raise ValueError("too short for a packet of a burst") from None
        name = body[HEAD.size :].partition(NAME_ENDS)[0].decode()
        if name not in known:
            raise ValueError("its sender is not a known vertex")
        with self._lock:
            if burst not in self._seen and len(self._seen) >= REMEMBERED:
                del self._seen[next(iter(self._seen))]
            came = self._seen.setdefault(burst, {}).setdefault(name, [])
            if len(came) < COUNTED:
                came.append((number, now_ns - sent_ns, now_ns))

    def count(self, burst: int) -> int:
        """Number of packets received from that burst, copies included."""
        with self._lock:
            return sum(map(len, self._seen.get(burst, {}).values()))

    def of(self, burst: int) -> dict[str, Json]:
        with self._lock:
            seen = {name: list(packets) for name, packets in self._seen.get(burst, {}).items()}
        return {name: summary(packets) for name, packets in seen.items()}


def summary(packets: Sequence[tuple[int, int, int]]) -> Json:
    """Summarise a burst. `overtaken` counts the numbers that arrived after a greater one, without copies."""
    came: set[int] = set()
    overtaken, greatest = 0, -1
    for number, _, _ in packets:
        if number not in came:
            overtaken += number < greatest
            came.add(number)
            greatest = max(greatest, number)
    took_ns = [took_ns for _, took_ns, _ in packets]
    return {
        "came": len(came),
        "twice": len(packets) - len(came),
        "overtaken": overtaken,
        "least_ns": min(took_ns),
        "median_ns": int(statistics.median(took_ns)),
        "most_ns": max(took_ns),
        "span_ns": packets[-1][2] - packets[0][2],
    }


def send(
    burst: int,
    name: str,
    peers: Mapping[str, tuple[str, int]],
    sizes: Mapping[str, int],
    count: int,
    every_ns: int,
    socket_for: Callable[[str], socket.socket | None],
) -> None:
    """Send `count` packets to each peer, with the size for this peer (0: the smallest), one round every `every_ns`. A packet that cannot be sent is
    skipped.
    """
    tail = name.encode() + NAME_ENDS
    began_ns = time.monotonic_ns()
    for number in range(count):
        wait_ns = began_ns + number * every_ns - time.monotonic_ns()
        if wait_ns > 0:
            time.sleep(wait_ns / 1e9)
        for vertex, address in peers.items():
            each = socket_for(address[0])
            if each is not None:
                body = HEAD.pack(burst, number, time.monotonic_ns()) + tail
                body = body.ljust(sizes.get(vertex, 0) - len(MAGIC) - SEAL_BYTES, b".")
                with contextlib.suppress(OSError):
                    each.sendto(sealed(MAGIC, body), address)
