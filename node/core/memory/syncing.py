"""Schedule of syncs: one session at a time, all peers one after the other in each interval; and the last known version vector of each peer.

A sync costs two small messages when two nodes have the same changes. So every peer is asked in each interval, and a change on one node reaches all
others within an interval, however many they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...config.cluster import MemoryConfig
from ..interface.cluster_messages import MemoryAsk, MemoryChunk
from ..interface.outbox import Outbox
from .records.store import Store
from .records.vector import Vector
from .sync import ASKS_LIMIT, CAPPED_PATIENCE_NS, PATIENCE_NS, Cap, SyncReceiver, SyncSource, chunk_bytes_under

ENVELOPE_BYTES = 160
"""Bytes of a chunk's message and frame, in addition to its data."""


class Syncing:
    def __init__(
        self, options: MemoryConfig, out: Outbox, store: Store, peers: Callable[[], Sequence[str]], first_session: int
    ) -> None:
        """`first_session` is random in each life: a sender may remember the sessions of the last one."""
        self._options, self._out, self._store, self._peers = options, out, store, peers
        self._source = SyncSource(store, chunk_bytes_under(options.bandwidth_bps, options.chunk_bytes))
        self._cap = Cap(options.bandwidth_bps)
        self._patience_ns = CAPPED_PATIENCE_NS if options.bandwidth_bps else min(PATIENCE_NS, options.sync_ns // 4)
        """How long a peer may take for a first answer."""
        self._receiver: SyncReceiver | None = None
        self._session = first_session
        self._turn = 0
        self._gap_ns = 0
        """How long the last chunk took to arrive."""
        self._vectors: dict[str, Vector] = {}
        """By peer: its vector when the last complete sync from it began. The vector in its own request would not do: what it did before it saw a
        deletion may still be in flight.
        """
        self._heard: dict[str, None] = {}
        """Peers from which a sync was completed in this life."""
        self._due: dict[str, None] = {}
        """Peers to sync from, in this order."""
        self._cut: dict[str, None] = {}
        """Peers whose connection is lost."""
        self.sent_bytes = 0

    def periodic(self, now_ns: int) -> None:
        """Begin the next interval. With `full_snapshot` everything is sent, so only the next peer in turn is asked."""
        order = self._in_turn()
        self._due |= dict.fromkeys(order[:1] if self._options.sync == "full_snapshot" else order)
        self.look_on(now_ns)

    def begin(self, now_ns: int, peer: str | None = None) -> str | None:
        """Begin a sync from this peer, or from the next in turn, now. Returns the peer; None when there is none of that name, or none at all."""
        if peer is None:
            peer = next(iter(self._in_turn()), None)
        if peer is None or peer not in self._peers():
            return None
        self._due.pop(peer, None)
        self._session += 1
        vector = {} if self._options.sync == "full_snapshot" else dict(self._store.vector)
        self._receiver = SyncReceiver(peer, self._session, vector, now_ns)
        self._send(self._receiver, self._receiver.ask(now_ns))
        return peer

    def on_ask(self, now_ns: int, peer: str, ask: MemoryAsk, time_ms: int, gate: int | None) -> None:
        vector = {who: n for who, n in ask.vector.items() if type(n) is int}
        chunk = self._source.chunk(peer, MemoryAsk(ask.session, ask.chunk, vector), time_ms)
        if chunk is not None:
            self.put(now_ns, peer, chunk, len(chunk.data), gate)

    def put(self, now_ns: int, peer: str, message: Any, size: int, gate: int | None) -> None:
        """Send the message when the cap allows; never before its content is durable here."""
        self._cap.put(now_ns, peer, (message, gate), size + ENVELOPE_BYTES)

    @property
    def dropped(self) -> int:
        """Return the number of messages dropped because of the bandwidth cap."""
        return self._cap.dropped

    def send_due(self, now_ns: int) -> int | None:
        """Send what may be sent now; return when the next may."""
        for peer, (message, gate) in self._cap.due(now_ns):
            self.sent_bytes += len(getattr(message, "data", "")) + ENVELOPE_BYTES
            self._out.send(peer, message, gate)
        return self._cap.next_ns

    def expects(self, peer: str, chunk: MemoryChunk) -> SyncReceiver | None:
        """Return the session of which this is the next chunk, or None. A chunk that came early is kept."""
        receiver = self._receiver
        if receiver is None or (receiver.peer, receiver.session) != (peer, chunk.session):
            return None
        if receiver.chunk < chunk.chunk < receiver.ahead:
            receiver.early[chunk.chunk] = chunk
        return receiver if chunk.chunk == receiver.chunk else None

    @property
    def heard_all(self) -> bool:
        """Return whether a sync from each peer was completed in this life."""
        return all(peer in self._heard for peer in self._peers())

    def next_early(self) -> MemoryChunk | None:
        """Return the next chunk, if it came early."""
        return None if self._receiver is None else self._receiver.early.pop(self._receiver.chunk, None)

    def took(self, now_ns: int, chunk: MemoryChunk, theirs: Vector, records: int, size: int) -> bool:
        """Record that this chunk was applied. After the last chunk, return True: every change that `theirs` covers is here. Otherwise request the
        next chunk.
        """
        receiver = self._receiver
        assert receiver is not None
        receiver.records += records
        receiver.bytes += size
        self._gap_ns = now_ns - receiver.asked_ns
        if chunk.last:
            self._receiver = None
            self._heard[receiver.peer] = None
            self._vectors[receiver.peer] = theirs
            return True
        receiver.chunk += 1
        receiver.asks = 1
        self._send(receiver, receiver.ask(now_ns))
        return False

    def look_on(self, now_ns: int) -> None:
        """Begin the next sync that is due. An empty memory asks one peer after the other, until one of them has something."""
        if self._receiver is not None:
            return
        peers = self._peers()
        due = [peer for peer in self._due if peer in peers and peer not in self._cut]
        if not self._store.records:
            due += [peer for peer in peers if peer not in self._heard]
        if due:
            self.begin(now_ns, due[0])

    def on_tick(self, now_ns: int) -> None:
        receiver = self._receiver
        if receiver is None:
            self.look_on(now_ns)
            return
        if not receiver.begun and now_ns - receiver.asked_ns >= self._patience_ns:
            # The peer may be paused or gone. The others must not wait for it; it is due again in the next interval.
            self._receiver = None
            self.look_on(now_ns)
            return
        if not receiver.late(now_ns, self._gap_ns):
            return
        if receiver.peer not in self._peers() or receiver.asks >= ASKS_LIMIT:
            self._receiver = None
            self.look_on(now_ns)
            return
        receiver.asks += 1
        self._send(receiver, receiver.again(now_ns))

    def on_connected(self, now_ns: int, peer: str) -> None:
        """Request the same chunk again, because messages in flight are lost. A peer that is back is asked soon."""
        self._cut.pop(peer, None)
        if self._receiver is not None and self._receiver.peer == peer:
            self._send(self._receiver, self._receiver.again(now_ns))
        elif self._options.sync in ("delta_only", "continuous"):
            self._due[peer] = None

    def on_disconnected(self, now_ns: int, peer: str) -> None:
        self._cut[peer] = None
        if self._receiver is not None and self._receiver.peer == peer and not self._receiver.begun:
            self._receiver = None
            self.look_on(now_ns)

    def vectors(self) -> list[Vector] | None:
        """Return the vectors of all peers; None while one is unknown."""
        peers = list(self._peers())
        if any(peer not in self._vectors for peer in peers):
            return None
        return [self._vectors[peer] for peer in peers]

    def fingerprint(self) -> Any:
        receiver = self._receiver
        under_way = None if receiver is None else [receiver.peer, receiver.session, receiver.chunk, receiver.asks]
        return [
            under_way,
            self._session,
            list(self._due),
            list(self._cut),
            self._source.fingerprint(),
            len(self._cap.queue),
            self._vectors,
        ]

    def _in_turn(self) -> list[str]:
        """Return all peers, each time beginning with another one."""
        peers = list(self._peers())
        self._turn += 1
        first = self._turn % len(peers) if peers else 0
        return peers[first:] + peers[:first]

    def _send(self, receiver: SyncReceiver, asks: list[MemoryAsk]) -> None:
        for ask in asks:
            self._out.send(receiver.peer, ask)
