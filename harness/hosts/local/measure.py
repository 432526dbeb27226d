"""Check of a lab's regions against the requested distances: round trips and rates, measured with sockets of its hosts before anything runs there.

The first hosts of each pair of regions are measured. A round trip cannot be quicker than both delays, and the quickest of many is not much slower; a
burst takes as long as the rate makes it. A busy machine is given time; a value that is too quick is an error at once.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ...errors import HostError
from ...wan import Regions, Way
from ..base import Host
from .supervisor.between import burst_bytes

MakeSocket = Callable[[str | None, int, int, float], socket.socket]
"""Place, family, kind, deadline in s."""

PATIENCE_S = 20.0
ANSWER_S = 10.0
FEWEST_ROUNDS = 5
SLACK_MS, SLACK_SHARE = 10.0, 0.2
"""How much slower than requested the quickest round trip may be: the greater of these. Jitter is random, and its smallest value counts."""
TOO_QUICK_SHARE = 0.98
SIZE = 1400
HEADERS = 42
"""Bytes of a datagram's Ethernet, IP and UDP headers, which count for the rate too."""
BURST_S = 0.25
LEAST_RATE, MOST_RATE = 0.6, 1.15


@dataclass(frozen=True, slots=True)
class Measured:
    """Between two regions: the quickest round trip, and bits per second each way (None: no rate was requested)."""

    pair: tuple[str, str]
    rtt_ms: float
    there_bps: float | None = None
    back_bps: float | None = None

    def described(self) -> str:
        rates = [
            f"{rate / 1e6:.2f} Mbit/s {way}"
            for rate, way in ((self.there_bps, "there"), (self.back_bps, "back"))
            if rate
        ]
        return ", ".join([f"{self.rtt_ms:.1f} ms there and back", *rates])


def require(regions: Regions, hosts: Sequence[Host], make: MakeSocket) -> list[Measured]:
    """Measure all pairs at the same time. Raises one `HostError` that names each pair that is not as requested."""
    first = {regions.of(host.name) or "": host for host in reversed(hosts)}
    names = list(regions.sizes)
    pairs = [(a, b) for at, a in enumerate(names) for b in names[at + 1 :]]
    wrong: list[str] = []

    def measured(pair: tuple[str, str]) -> Measured:
        a, b = (_socket_of(first[region], make) for region in pair)
        with a, b:
            way = regions.way(*pair)
            rtt_ms = _round_trip_ms(a, b, 2 * way.delay_ns / 1e6)
            there, back = (_rate_bps(*ends, way) if way.rate_bps else None for ends in ((a, b), (b, a)))
        wrong.extend(f"{pair[0]}-{pair[1]}: {what}" for what in unlike(way, rtt_ms, there, back))
        return Measured(pair, rtt_ms, there, back)

    with ThreadPoolExecutor(len(pairs), thread_name_prefix="measure") as pool:
        found = list(pool.map(measured, pairs))
    if wrong:
        raise HostError(
            "the lab's regions are not as requested:\n" + "\n".join(f"  {each}" for each in sorted(wrong)),
            hint="is the machine overloaded? supervisor.log in the lab's directory may say more",
        )
    return found


def unlike(way: Way, rtt_ms: float, *rates_bps: float | None) -> list[str]:
    """Return the differences from what was requested, in words. Pure."""
    asked_ms = 2 * way.delay_ns / 1e6
    differences = []
    if not asked_ms * TOO_QUICK_SHARE <= rtt_ms <= _slowest_ms(asked_ms):
        differences.append(f"a round trip takes {rtt_ms:.1f} ms, not {asked_ms:g} ms")
    for rate in rates_bps:
        if rate is not None and not LEAST_RATE <= rate / way.rate_bps <= MOST_RATE:
            differences.append(f"{rate / 1e6:.3f} Mbit/s get through, not {way.rate_bps / 1e6:g}")
    return differences


def _slowest_ms(asked_ms: float) -> float:
    return asked_ms + max(SLACK_MS, asked_ms * SLACK_SHARE)


def _socket_of(host: Host, make: MakeSocket) -> socket.socket:
    made = make(host.name, socket.AF_INET, socket.SOCK_DGRAM, ANSWER_S)
    made.bind((host.address, 0))
    return made


def _round_trip_ms(a: socket.socket, b: socket.socket, asked_ms: float) -> float:
    """The quickest round trip; measured again while it is too slow and there is patience."""
    least_ms, rounds, deadline_s = float("inf"), 0, time.monotonic() + PATIENCE_S
    while rounds < FEWEST_ROUNDS or (least_ms > _slowest_ms(asked_ms) and time.monotonic() < deadline_s):
        started_s = time.monotonic()
        for sender, receiver in ((a, b), (b, a)):
            sender.sendto(b"round", receiver.getsockname())
            _receive(receiver)
        least_ms, rounds = min(least_ms, (time.monotonic() - started_s) * 1e3), rounds + 1
    return least_ms


def _rate_bps(sender: socket.socket, receiver: socket.socket, way: Way) -> float:
    """The rate of a burst, without what may pass at once; measured again while it is too slow and there is patience."""
    best, deadline_s = 0.0, time.monotonic() + PATIENCE_S
    while best < LEAST_RATE * way.rate_bps and time.monotonic() < deadline_s:
        best = max(best, _burst_bps(sender, receiver, way))
    return best


def _burst_bps(sender: socket.socket, receiver: socket.socket, way: Way) -> float:
    free = burst_bytes(way) // (SIZE + HEADERS) + 1
    count = free + max(8, int(way.rate_bps / 8 * BURST_S / (SIZE + HEADERS)))
    time.sleep(2 * burst_bytes(way) * 8 / way.rate_bps)
    for _ in range(count):
        sender.sendto(bytes(SIZE), receiver.getsockname())
    came_s: list[float] = []
    try:
        while len(came_s) < count:
            _receive(receiver)
            came_s.append(time.monotonic())
    except HostError:
        # Some were lost: those that came are enough.
        pass
    slow = came_s[free:]
    if len(slow) < 2:
        return 0.0
    return (len(slow) - 1) * (SIZE + HEADERS) * 8 / (slow[-1] - slow[0])


def _receive(receiver: socket.socket) -> None:
    try:
        receiver.recv(2048)
    except TimeoutError:
        address = receiver.getsockname()[0]
        raise HostError(
            f"nothing arrives at {address} from another region within {ANSWER_S:g} s",
            hint="supervisor.log in the lab's directory may say more",
        ) from None
