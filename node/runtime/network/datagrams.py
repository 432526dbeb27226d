"""The node's UDP socket: beacons, probes and rumours, sent and received without waiting. A datagram that cannot be sent at once is dropped, as UDP
allows.
"""

from __future__ import annotations

import fcntl
import socket
import struct
from ipaddress import ip_address

from ...core.interface.datagrams import LIMIT
from ..options import Address
from ..security.authentic import OVERHEAD, Signer, Verifier
from ..telemetry.rates import Rates
from ..telemetry.refusals import Refused
from .connection import READ
from .shared import Shared

_TAKEN_A_TURN = 256
"""Datagrams read in one turn, at most, so that a flood delays connections only slightly."""
_BUFFER_BYTES = 1024 * 1024
_SIOCGIFBRDADDR = 0x8919
_SIOCGIFFLAGS = 0x8913
_IFF_UP, _IFF_BROADCAST = 0x1, 0x2


class Datagrams:
    """`receive` yields (host, port, data). With a key, a datagram without a valid signature, or a replayed one, is dropped before the core sees it.

    The socket is IPv4 unless the node listens on an IPv6 address. IPv6 has no broadcast, so the nodes find each other through seeds there.
    """

    def __init__(self, shared: Shared, listen: Address, port: int) -> None:
        self._shared, self._listen, self._port = shared, listen, port
        self._socket: socket.socket | None = None
        self._longest = LIMIT if shared.datagram_keys is None else LIMIT + OVERHEAD
        self._rates = Rates(shared.limits.datagrams_per_s, shared.limits.datagrams_burst)
        self._signer = Signer(shared.cluster, shared.node, shared.incarnation)
        self._verifier = Verifier(shared.cluster, shared.node)

    def open(self) -> None:
        """Bind the port on every address, which broadcasts need. Raises `OSError`."""
        family = self._listen.family
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            sock.setblocking(False)
            loopback = ip_address(str(self._listen.sockaddr[0]).partition("%")[0]).is_loopback
            # A node that listens only on loopback must not be open to the network through its beacons.
            sock.bind((self._listen.sockaddr[0] if loopback else "", self._port))
        except OSError:
            sock.close()
            raise
        self._socket = sock
        self._shared.selector.register(sock, READ, self)

    @property
    def port(self) -> int | None:
        """The bound port, once it is bound."""
        return None if self._socket is None else int(self._socket.getsockname()[1])

    def meet(self, sender: str, incarnation: int) -> None:
        """Record that a certificate vouched for this sender in this incarnation."""
        self._verifier.meet(sender, incarnation)

    def receive(self, now_ns: int) -> list[tuple[str, int, bytes]]:
        """Yield what has arrived, up to a bound; the selector reports when there is more."""
        assert self._socket is not None
        taken: list[tuple[str, int, bytes]] = []
        for _ in range(_TAKEN_A_TURN):
            try:
                data, sender = self._socket.recvfrom(self._longest + 1)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                continue  # An ICMP error about an earlier datagram.
            self._shared.guard.run(self, self._take, str(sender[0]), int(sender[1]), data, now_ns, taken)
        return taken

    def _take(self, host: str, port: int, data: bytes, now_ns: int, taken: list[tuple[str, int, bytes]]) -> None:
        try:
            if not self._rates.allow(host, now_ns):
                raise Refused("flood", "it sends too many datagrams")
            opened = self._open(data)
        except Refused as refused:
            self._shared.refusals.add(host, refused)
            return
        if opened is not None:
            taken.append((host, port, opened))

    def abandon(self, reason: str) -> None:
        """Drop a datagram that caused an error; there is no connection to close."""

    def send(self, host: str, port: int, data: bytes) -> None:
        self._send(host, port, self._sign(data))

    def _open(self, data: bytes) -> bytes | None:
        keys = self._shared.datagram_keys
        return data if keys is None else self._verifier.open(keys.value, data)

    def _sign(self, data: bytes) -> bytes:
        keys = self._shared.datagram_keys
        return data if keys is None else self._signer.sign(keys.value, data)

    def _send(self, host: str, port: int, data: bytes) -> None:
        if self._socket is None:
            return
        try:
            # Resolving a name could take seconds; addresses are numbers here.
            ip_address(host.partition("%")[0])
            self._socket.sendto(data, (host, port))
        except (OSError, ValueError):
            self._shared.lost_datagrams += 1

    def broadcast(self, port: int, data: bytes) -> None:
        signed = self._sign(data)
        try:
            addresses = broadcast_addresses()
        except OSError:
            # Perhaps out of descriptors.
            self._shared.lost_datagrams += 1
            return
        for address in addresses:
            self._send(address, port, signed)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def broadcast_addresses() -> list[str]:
    """Return the broadcast address of each interface that is up and has one. A datagram to 255.255.255.255 would leave through one interface only, or
    through none without a default route.
    """
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                flags = struct.unpack_from("H", fcntl.ioctl(probe, _SIOCGIFFLAGS, request), 16)[0]
                if flags & _IFF_UP and flags & _IFF_BROADCAST:
                    found.append(socket.inet_ntoa(fcntl.ioctl(probe, _SIOCGIFBRDADDR, request)[20:24]))
            except OSError:
                continue  # The interface has no IPv4 address, or has just disappeared.
    return [address for address in dict.fromkeys(found) if address != "0.0.0.0"]
