"""All sockets of a node: the listener, one link to each peer, the accepted connections; frames in, events out.

`poll` waits once and returns the events of that turn, each with its raw JSON; `send` and `reply` queue; `flush` ends the turn. It does not know the
core or the disk.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from contextlib import suppress

from ...core.interface.events import Connected, Datagram, DialRefused, Disconnected, Event
from ...wire import MAX_PAYLOAD, encode_payload
from ..options import RuntimeOptions, numeric
from ..telemetry.rates import origin
from ..telemetry.refusals import Refused
from .clients import Clients
from .connection import READ, Connection, tune
from .datagrams import Datagrams
from .inbound import Inbound, Role
from .link import Link
from .shared import Shared

_ACCEPTS_A_TURN = 64

Incoming = tuple[Event, "bytes | None"]


class Network:
    def __init__(self, options: RuntimeOptions, shared: Shared) -> None:
        self._options = options
        self._shared = shared
        self._listener: socket.socket | None = None
        self._links = {
            peer: Link(peer, address, shared, self._link_up, self._link_down, self._dial_refused)
            for peer, address in sorted(options.peers.items())
            if peer != options.node
        }
        shared.set_peer_count(len(self._links))
        self._datagrams: Datagrams | None = None
        if options.udp_port is not None:
            self._datagrams = Datagrams(shared, options.listen, options.udp_port)
        self._unknown: dict[str, None] = {}
        """Peers whose unknown address was logged."""
        self._inbound: dict[Inbound, None] = {}
        self._clients = Clients(shared.limits)
        self._accepted = 0
        self._events: list[Incoming] = []
        self._wall_ns = 0
        self._next_housekeeping_ns = 0
        self._listen_again = False
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        shared.selector.register(self._wake_read, READ, None)

    def listen(self) -> str:
        """Open the port. Returns the address; raises `OSError`."""
        address = self._options.listen
        listener = socket.socket(address.family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setblocking(False)
            listener.bind(address.sockaddr)
            listener.listen(512)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        self._shared.selector.register(listener, READ, listener)
        if self._datagrams is not None:
            self._datagrams.open()
        host, port = listener.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def udp_port(self) -> int | None:
        return None if self._datagrams is None else self._datagrams.port

    def wake(self) -> None:
        """End the wait of `poll`. May be called from any thread and from signal handlers."""
        # Full: earlier wakes are unread, so the loop will wake. Closed: the loop has ended, and the disk's thread may not know yet.
        with suppress(OSError):
            self._wake_write.send(b"w")

    def poll(self, until_ns: int | None) -> list[Incoming]:
        """Wait until a socket is ready, `until_ns` is reached or housekeeping is due. Read, and return the events."""
        now_ns = time.monotonic_ns()
        wait_ns = self._next_housekeeping_ns - now_ns
        if until_ns is not None:
            wait_ns = min(wait_ns, until_ns - now_ns)
        ready = self._shared.selector.select(max(0, wait_ns) / 1e9)
        now_ns = time.monotonic_ns()
        self._wall_ns = time.time_ns()
        for key, mask in ready:
            owner = key.data
            if owner is None:
                with suppress(OSError):
                    self._wake_read.recv(65536)
            elif owner is self._listener:
                self._accept(now_ns)
            elif owner is self._datagrams:
                self._take_datagrams()
            else:
                self._shared.guard.run(owner, owner.on_ready, mask, now_ns)
        # After reading: a node that was paused must see what arrived meanwhile before it counts a peer as silent.
        if now_ns >= self._next_housekeeping_ns:
            self._next_housekeeping_ns = now_ns + self._shared.limits.housekeeping_ns * self._shared.slowness
            self._housekeeping(now_ns)
        events, self._events = self._events, []
        return events

    def send(self, peer: str, payload: bytes) -> None:
        link = self._links.get(peer)
        if link is None:
            self._shared.drop("message-no-address")
            if peer not in self._unknown:
                self._unknown[peer] = None
                self._shared.log.warning("messages to a peer without an address are dropped", peer=peer)
        elif len(payload) > MAX_PAYLOAD:
            self._shared.drop("message-too-large")
            self._shared.log.error("a message above 1 MiB was dropped", peer=peer, bytes=len(payload))
        else:
            self._shared.guard.run(link, link.send, payload)

    def meet(self, peer: str, host: str, port: int) -> None:
        """Connect to this peer at this address from now on, and accept its connections."""
        address = numeric(host, port)
        if address is None:
            self._shared.log.warning("a peer's address is not numeric and was not used", peer=peer, host=host)
            return
        link = self._links.get(peer)
        if link is not None and link.address == address:
            return
        if link is not None:
            link.close()
        self._unknown.pop(peer, None)
        self._shared.log.info("peer met", peer=peer, address=str(address))
        link = self._links[peer] = Link(peer, address, self._shared, self._link_up, self._link_down, self._dial_refused)
        self._shared.set_peer_count(len(self._links))
        self._shared.guard.run(link, link.tick, time.monotonic_ns())

    def part(self, peer: str) -> None:
        """Remove a peer."""
        link = self._links.pop(peer, None)
        if link is not None:
            link.close()
        self._shared.set_peer_count(len(self._links))
        for inbound in list(self._inbound):
            if inbound.role is Role.NODE and inbound.name == peer:
                inbound.close("it is no longer a peer")

    def datagram(self, host: str, port: int, data: bytes) -> None:
        if self._datagrams is not None:
            self._datagrams.send(host, port, data)

    def broadcast(self, port: int, data: bytes) -> None:
        if self._datagrams is not None:
            self._datagrams.broadcast(port, data)

    def reply(self, client: str, payload: bytes) -> None:
        inbound = self._clients.get(client)
        if inbound is None:
            self._shared.drop("reply-client-gone")
        else:
            self._shared.guard.run(inbound, inbound.reply, payload)

    def status(self) -> dict[str, int]:
        """Return the metrics of the clients."""
        return {"clients": len(self._clients), "clients_evicted": self._clients.evicted}

    def flush(self) -> None:
        """Send the bytes queued in this turn."""
        for who in self._shared.take_dirty():
            self._shared.guard.run(who, who.flush)

    def close(self) -> None:
        for link in self._links.values():
            link.close()
        for inbound in list(self._inbound):
            inbound.connection.close()
        if self._listener is not None:
            self._listener.close()
        if self._datagrams is not None:
            self._datagrams.close()
        self._shared.selector.close()
        self._wake_read.close()
        self._wake_write.close()

    # What links and accepted connections report

    def admit(self, inbound: Inbound, incarnation: object, now_ns: int) -> str | None:
        if inbound.role is Role.CLIENT:
            return self._clients.admit(inbound, now_ns)
        if self._datagrams is not None and inbound.identity is not None and type(incarnation) is int:
            self._datagrams.meet(inbound.name, incarnation)
        link = self._links.get(inbound.name)
        if link is None:
            return f"{inbound.name!r} is not a peer of {self._options.node}"
        for other in list(self._inbound):
            if other is not inbound and other.role is Role.NODE and other.name == inbound.name:
                other.close("the peer dialled again")
        link.reset_backoff()
        return None

    def deliver(self, event: Event, raw: bytes | None) -> None:
        self._events.append((event, raw))

    def wall_ns(self) -> int:
        return self._wall_ns

    def left(self, inbound: Inbound) -> None:
        self._inbound.pop(inbound, None)
        self._clients.left(inbound)

    def _link_up(self, peer: str) -> None:
        self.deliver(Connected(peer), None)

    def _link_down(self, peer: str) -> None:
        self.deliver(Disconnected(peer), None)

    def _dial_refused(self, peer: str) -> None:
        self.deliver(DialRefused(peer), None)

    def _take_datagrams(self) -> None:
        assert self._datagrams is not None
        for host, port, data in self._datagrams.receive(time.monotonic_ns()):
            self.deliver(Datagram(host, port, data, self._wall_ns), None)

    def _accept(self, now_ns: int) -> None:
        assert self._listener is not None
        for _ in range(_ACCEPTS_A_TURN):
            try:
                sock, address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                # Perhaps out of descriptors. The listener stays ready, so it is left alone until the next housekeeping.
                self._shared.log.warning("cannot accept a connection", reason=str(error))
                self._listen_again = True
                self._shared.selector.unregister(self._listener)
                break
            self._accepted += 1
            self._shared.guard.run(_Accepted(sock), self._take_in, sock, str(address[0]), now_ns)
        self._evict_unidentified()

    def _take_in(self, sock: socket.socket, host: str, now_ns: int) -> None:
        shared = self._shared
        if shared.tls is not None and not shared.handshakes.allow(host, now_ns):
            shared.refusals.add(host, Refused("rate", "it connects too often"))
            sock.close()
            return
        tune(sock, shared.limits)
        inbound = Inbound(self._accepted, shared, self, now_ns, host)
        queue_bytes = shared.limits.client_queue_bytes
        inbound.connection = Connection(sock, shared.selector, inbound, queue_bytes, now_ns, shared.session(None))
        self._inbound[inbound] = None

    def _evict_unidentified(self) -> None:
        """Too many connections without a hello: close the oldest ones of the address that has most, so that others still get in."""
        unnamed = [inbound for inbound in self._inbound if inbound.role in (Role.UNIDENTIFIED, Role.CLOSING)]
        excess = len(unnamed) - self._shared.limits.unidentified
        if excess <= 0:
            return
        held: dict[str, deque[Inbound]] = {}
        for inbound in unnamed:
            held.setdefault(origin(inbound.host), deque()).append(inbound)
        for _ in range(excess):
            max(held.values(), key=len).popleft().close("too many connections without a hello")

    def _housekeeping(self, now_ns: int) -> None:
        if self._listen_again and self._listener is not None:
            self._listen_again = False
            self._shared.selector.register(self._listener, READ, self._listener)
        self._shared.look_at_files(now_ns)
        for link in self._links.values():
            self._shared.guard.run(link, link.tick, now_ns)
        for inbound in list(self._inbound):
            self._shared.guard.run(inbound, inbound.tick, now_ns)


class _Accepted:
    """An accepted socket without an owner yet."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def abandon(self, reason: str) -> None:
        self._sock.close()


def too_large_reply(reply_id: object, node: str, size: int) -> bytes:
    """Make the reply that replaces one too large for a frame. Its status is not `fail`, because the command may have taken effect."""
    message = f"the answer has {size} bytes; a frame carries at most {MAX_PAYLOAD}"
    return encode_payload(
        {"id": reply_id, "status": "info", "error": "reply-too-large", "message": message, "node": node}
    )
