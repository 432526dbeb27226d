"""With whom this node syncs, and when: one session at a time, all peers one after the other in each interval; and what it has heard of their vectors.

An ask costs two small messages where two nodes are even. So everybody is asked, and what one node knows all know an interval later, however many they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...config.cluster import MemoryConfig
from ..interface.cluster_messages import MemoryAsk, MemoryChunk
from ..interface.outbox import Outbox
from .records.store import Store
from .records.vector import Vector
from .sync import ASKS_LIMIT, CAPPED_PATIENCE_NS, PATIENCE_NS, Asking, Cap, Teller, chunk_bytes_under

ENVELOPE_BYTES = 160
"""Of a chunk's message and frame, besides its data."""


class Syncing:
    def __init__(
        self, options: MemoryConfig, out: Outbox, store: Store, peers: Callable[[], Sequence[str]], first_session: int
    ) -> None:
        """`first_session` is drawn anew in each life: a teller may remember the sessions of the last one."""
        self._options, self._out, self._store, self._peers = options, out, store, peers
        self._teller = Teller(store, chunk_bytes_under(options.bandwidth_bps, options.chunk_bytes))
        self._cap = Cap(options.bandwidth_bps)
        self._patience_ns = CAPPED_PATIENCE_NS if options.bandwidth_bps else min(PATIENCE_NS, options.sync_ns // 4)
        """How long a peer may take to answer at all."""
        self._asking: Asking | None = None
        self._session = first_session
        self._turn = 0
        self._gap_ns = 0
        """How long the last chunk took to come."""
        self._vectors: dict[str, Vector] = {}
        """By peer: its vector when the last complete sync from it began. One that it says in an ask would not do: what it did before it saw a deletion may be on its way yet."""
        self._heard: dict[str, None] = {}
        """Peers from whom a sync was complete in this life."""
        self._due: dict[str, None] = {}
        """Peers to ask, in this order."""
        self._cut: dict[str, None] = {}
        """Peers whose connection is gone."""
        self.sent_bytes = 0

    def periodic(self, now_ns: int) -> None:
        """An interval is over. Everything crosses with `full_snapshot`, so that only the next in turn is asked for it."""
        order = self._in_turn()
        self._due |= dict.fromkeys(order[:1] if self._options.sync == "full_snapshot" else order)
        self.look_on(now_ns)

    def begin(self, now_ns: int, peer: str | None = None) -> str | None:
        """Ask this peer, or the next in turn, now. Returns who is asked; None when there is nobody of that name, or at all."""
        if peer is None:
            peer = next(iter(self._in_turn()), None)
        if peer is None or peer not in self._peers():
            return None
        self._due.pop(peer, None)
        self._session += 1
        vector = {} if self._options.sync == "full_snapshot" else dict(self._store.vector)
        self._asking = Asking(peer, self._session, vector, now_ns)
        self._send(self._asking, self._asking.ask(now_ns))
        return peer

    def on_ask(self, now_ns: int, peer: str, ask: MemoryAsk, time_ms: int, gate: int | None) -> None:
        vector = {who: n for who, n in ask.vector.items() if type(n) is int}
        chunk = self._teller.tell(peer, MemoryAsk(ask.session, ask.chunk, vector), time_ms)
        if chunk is not None:
            self.put(now_ns, peer, chunk, len(chunk.data), gate)

    def put(self, now_ns: int, peer: str, message: Any, size: int, gate: int | None) -> None:
        """Send it when the cap allows; never before what it tells of is durable here."""
        self._cap.put(now_ns, peer, (message, gate), size + ENVELOPE_BYTES)

    @property
    def dropped(self) -> int:
        """Messages for which the cap left no room."""
        return self._cap.dropped

    def send_due(self, now_ns: int) -> int | None:
        """Send what may go; when the next may."""
        for peer, (message, gate) in self._cap.due(now_ns):
            self.sent_bytes += len(getattr(message, "data", "")) + ENVELOPE_BYTES
            self._out.send(peer, message, gate)
        return self._cap.next_ns

    def expects(self, peer: str, chunk: MemoryChunk) -> Asking | None:
        """The session that this is the next chunk of. One that came early is kept."""
        asking = self._asking
        if asking is None or (asking.peer, asking.session) != (peer, chunk.session):
            return None
        if asking.chunk < chunk.chunk < asking.ahead:
            asking.early[chunk.chunk] = chunk
        return asking if chunk.chunk == asking.chunk else None

    @property
    def heard_all(self) -> bool:
        """Whether a sync from each peer was complete in this life."""
        return all(peer in self._heard for peer in self._peers())

    def next_early(self) -> MemoryChunk | None:
        """The next chunk, when it came before its turn."""
        return None if self._asking is None else self._asking.early.pop(self._asking.chunk, None)

    def took(self, now_ns: int, chunk: MemoryChunk, theirs: Vector, records: int, size: int) -> bool:
        """That chunk is in. True when it was the last, and all that `theirs` covers is here; otherwise the next is asked for."""
        asking = self._asking
        assert asking is not None
        asking.records += records
        asking.bytes += size
        self._gap_ns = now_ns - asking.asked_ns
        if chunk.last:
            self._asking = None
            self._heard[asking.peer] = None
            self._vectors[asking.peer] = theirs
            return True
        asking.chunk += 1
        asking.asks = 1
        self._send(asking, asking.ask(now_ns))
        return False

    def look_on(self, now_ns: int) -> None:
        """Ask the next who is due; an empty memory asks one peer after the other, until one of them has something."""
        if self._asking is not None:
            return
        peers = self._peers()
        due = [peer for peer in self._due if peer in peers and peer not in self._cut]
        if not self._store.records:
            due += [peer for peer in peers if peer not in self._heard]
        if due:
            self.begin(now_ns, due[0])

    def on_tick(self, now_ns: int) -> None:
        asking = self._asking
        if asking is None:
            self.look_on(now_ns)
            return
        if not asking.begun and now_ns - asking.asked_ns >= self._patience_ns:
            # Perhaps it stands still, or is gone. The others are not to wait for it; it is due again in the next interval.
            self._asking = None
            self.look_on(now_ns)
            return
        if not asking.late(now_ns, self._gap_ns):
            return
        if asking.peer not in self._peers() or asking.asks >= ASKS_LIMIT:
            self._asking = None
            self.look_on(now_ns)
            return
        asking.asks += 1
        self._send(asking, asking.again(now_ns))

    def on_connected(self, now_ns: int, peer: str) -> None:
        """What was on the way is lost: the same chunk again. Whoever is there again is asked soon."""
        self._cut.pop(peer, None)
        if self._asking is not None and self._asking.peer == peer:
            self._send(self._asking, self._asking.again(now_ns))
        elif self._options.sync in ("delta_only", "continuous"):
            self._due[peer] = None

    def on_disconnected(self, now_ns: int, peer: str) -> None:
        self._cut[peer] = None
        if self._asking is not None and self._asking.peer == peer and not self._asking.begun:
            self._asking = None
            self.look_on(now_ns)

    def vectors(self) -> list[Vector] | None:
        """Of all peers; None while one of them has not said its vector."""
        peers = list(self._peers())
        if any(peer not in self._vectors for peer in peers):
            return None
        return [self._vectors[peer] for peer in peers]

    def fingerprint(self) -> Any:
        asking = self._asking
        under_way = None if asking is None else [asking.peer, asking.session, asking.chunk, asking.asks]
        return [
            under_way,
            self._session,
            list(self._due),
            list(self._cut),
            self._teller.fingerprint(),
            len(self._cap.queue),
            self._vectors,
        ]

    def _in_turn(self) -> list[str]:
        """All peers, another one first each time."""
        peers = list(self._peers())
        self._turn += 1
        first = self._turn % len(peers) if peers else 0
        return peers[first:] + peers[:first]

    def _send(self, asking: Asking, asks: list[MemoryAsk]) -> None:
        for ask in asks:
            self._out.send(asking.peer, ask)
