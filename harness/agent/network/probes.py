"""Reachability: numbered UDP packets to all other vertices, under the same firewall rules as the system's own traffic.

Every packet carries the sender's name, its *epoch* and a sequence number. The harness raises the epoch after a change: a packet of
the new epoch was sent after the change was in force everywhere, so whether one arrives is evidence about the new state only.
A packet that comes from another address than the configured one (address translation) moves that peer's return address.

After the magic there is a keyed digest of the rest (`burst`): a fault may damage packets, and any user of a host may send here. A changed digit, or a
forger's packet, must not look like a newer epoch.

Bursts (`burst`), which show what a link does to packets, use the same sockets.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from typing import Any

from . import burst

MAGIC = b"TRIB3 "
PERIOD_S = 0.1
PACKETS_A_SECOND = 3000
"""The packet rate over the whole cluster; with many vertices the period grows, so that probing does not become the load."""

NUMBER_LIMIT = 1 << 63
BUFFER_BYTES = 8 << 20


class Probes:
    def __init__(self, name: str, port: int, any_port: bool) -> None:
        self.name, self.epoch, self.period_s = name, 0, PERIOD_S
        self._peers: dict[str, tuple[str, int]] = {}
        self._heard: dict[str, list[int]] = {}
        self._lock = threading.Lock()
        self._sequence = 0
        self._arrivals = burst.Arrivals()
        self._sending: set[int] = set()
        self._sockets = _open(port, any_port)
        self.port: int = self._sockets[0].getsockname()[1]
        self._wake = threading.Event()
        for each in self._sockets:
            threading.Thread(target=self._receive, args=(each,), daemon=True).start()
        threading.Thread(target=self._send_for_ever, daemon=True).start()

    def configure(self, peers: dict[str, list[Any]]) -> None:
        """Configure the probes; `peers` maps the other vertices to [address, port]."""
        found = {name: (str(address), int(port)) for name, (address, port) in peers.items()}
        if not all(0 < port < 1 << 16 for _, port in found.values()):
            raise ValueError("a port of a peer is not valid")
        with self._lock:
            self._peers = found
            vertices = len(peers) + 1
            self.period_s = max(PERIOD_S, vertices * (vertices - 1) / PACKETS_A_SECOND)

    def raise_epoch(self, epoch: int) -> None:
        with self._lock:
            self.epoch = max(self.epoch, epoch)
        self._wake.set()

    def heard(self) -> dict[str, list[int]]:
        """Return for each sender: newest epoch, newest sequence number, packets heard, age of the last in ns."""
        now_ns = time.monotonic_ns()
        with self._lock:
            return {name: [*seen[:3], now_ns - seen[3]] for name, seen in self._heard.items()}

    def send_burst(self, number: int, sizes: dict[str, int], count: int, every_ns: int) -> None:
        """Send a burst to the peers in `sizes`, in the background."""
        with self._lock:
            peers = {name: self._peers[name] for name in sizes if name in self._peers}
            self._sending.add(number)

        def send() -> None:
            burst.send(number, self.name, peers, sizes, count, every_ns, self._socket_for)
            with self._lock:
                self._sending.discard(number)

        threading.Thread(target=send, daemon=True).start()

    def is_sending(self, number: int) -> bool:
        """Return whether this host still has packets of this burst to send."""
        with self._lock:
            return number in self._sending

    def arrived(self, number: int) -> dict[str, Any]:
        """Return a summary of the received packets of this burst, by sender (`burst.summary`)."""
        return self._arrivals.of(number)

    def arrived_count(self, number: int) -> int:
        return self._arrivals.count(number)

    def _socket_for(self, address: str) -> socket.socket | None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return next((each for each in self._sockets if each.family == family), None)

    def _send_for_ever(self) -> None:
        while True:
            self._send_to_all()
            if self._wake.wait(self.period_s):
                self._wake.clear()
                # A lost packet must not look like a cut: three more of the new epoch, at once.
                for _ in range(3):
                    self._send_to_all()
                    time.sleep(0.015)

    def _send_to_all(self) -> None:
        with self._lock:
            self._sequence += 1
            packet = written_packet(self.name, self.epoch, self._sequence)
            peers = list(self._peers.values())
        for address, port in peers:
            each = self._socket_for(address)
            if each is not None:
                # A packet that is not sent is not heard, and the receiver reports that. A cut may cause such an error here.
                with contextlib.suppress(OSError):
                    each.sendto(packet, (address, port))

    def _receive(self, each: socket.socket) -> None:
        while True:
            try:
                packet, source = each.recvfrom(2048)
            except OSError:
                continue
            try:
                if packet.startswith(burst.MAGIC):
                    self._arrivals.note(packet, time.monotonic_ns(), self._peers)
                elif packet.startswith(MAGIC):
                    self._note(*read_packet(packet), source)
                else:
                    raise ValueError("it is not a packet of a probe")
            except Exception:
                # Whatever else arrives at this port must not keep this thread from hearing the next. A prober sends nothing else, so from its host it is damage.
                self._note_damaged(source[0])

    def _note_damaged(self, address: str) -> None:
        with self._lock:
            senders = [
                name for name, peer in self._peers.items() if peer[0].partition("%")[0] == address.partition("%")[0]
            ]
        for name in senders:
            self._arrivals.note_damaged(name)

    def damaged(self) -> dict[str, int]:
        """Return by sender the total of packets from its host to this port that were not packets of a probe."""
        return self._arrivals.damaged()

    def _note(self, name: str, epoch: int, sequence: int, source: Any) -> None:
        with self._lock:
            if name not in self._peers:
                return
            seen = self._heard.setdefault(name, [0, 0, 0, 0])
            self._heard[name] = [max(seen[0], epoch), sequence, seen[2] + 1, time.monotonic_ns()]
            self._peers[name] = (source[0], source[1])


def written_packet(name: str, epoch: int, sequence: int) -> bytes:
    return burst.sealed(MAGIC, json.dumps([name, epoch, sequence]).encode())


def read_packet(packet: bytes) -> tuple[str, int, int]:
    """Sender, epoch and sequence number. Raises `ValueError` for anything but a packet of a probe."""
    try:
        name, epoch, sequence = json.loads(burst.opened(MAGIC, packet))
    except (TypeError, RecursionError):
        raise ValueError("it is not a list of three items") from None
    if not isinstance(name, str) or not all(type(n) is int and 0 <= n < NUMBER_LIMIT for n in (epoch, sequence)):
        raise ValueError("it is not a name and two numbers")
    return name, epoch, sequence


def _open(port: int, any_port: bool) -> list[socket.socket]:
    """One socket per family on the same port; a host without IPv6 has only one."""
    first = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        first.bind(("", port))
    except OSError:
        if not any_port:
            raise
        first.bind(("", 0))
    opened = [first]
    try:
        second = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        second.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        second.bind(("::", first.getsockname()[1]))
        opened.append(second)
    except OSError:
        pass
    for each in opened:
        # A burst that the agent is too slow to read must wait, or it would look like loss.
        with contextlib.suppress(OSError):
            each.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_RCVBUFFORCE", 33), BUFFER_BYTES)
    return opened
