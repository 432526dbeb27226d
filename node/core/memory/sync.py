"""Anti-entropy between two nodes: one node sends its vector, and the other answers with the changes that this vector does not cover, in chunks.

The receiver requests one chunk at first and then two at a time, so the data in flight is bounded. A lost connection costs only these chunks, which
are requested again. For each receiver, the sender keeps the list of the records of the session. It sends the states that they have when their chunk
is due: these include at least the changes that the session promised.

Both are pure: their owner sends what they return.
"""

from __future__ import annotations

import base64
import zlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...config.cluster import MS, SECOND
from ..interface.cluster_messages import MemoryAsk, MemoryChunk
from .records.store import Key, Store
from .records.trmm import Item, Trmm, encode
from .records.vector import Vector, includes

PATIENCE_NS = 2 * SECOND
"""Least time to wait for a chunk before it is requested again."""
PATIENCE_MAX_NS = 60 * SECOND
CAPPED_PATIENCE_NS = 10 * SECOND
"""The same for a first chunk under a bandwidth cap, which may be queued behind those of others."""
ASKS_LIMIT = 6
"""Requests for one chunk without an answer, after which another peer is tried."""
FIRST_RECORDS = 64
PLAIN_BYTES = 720 << 10
"""Bytes of a TRMM that is sent unpacked: with base64 and its envelope it fits in a frame of 1 MiB."""
UNPACKED_BYTES = 64 << 20
"""Bytes of an unpacked TRMM, at most."""
QUEUE_NS = PATIENCE_MAX_NS
"""How long a message may wait for its turn under a bandwidth cap: after it, the receiver has requested it again."""
QUEUE_BYTES = 32 << 20
"""Bytes that wait under a cap, at most."""
AHEAD = 2
"""Chunks of a long session that are requested before the first of them has arrived, so that one side makes while the other takes."""


@dataclass(slots=True)
class SyncReceiver:
    """A session under way with `peer`. `chunk` is the number of the next chunk, which was requested `asks` times, the last time at `asked_ns`."""

    peer: str
    session: int
    vector: Vector
    began_ns: int
    chunk: int = 1
    ahead: int = 0
    """First chunk that was not requested."""
    early: dict[int, MemoryChunk] = field(default_factory=dict)
    """Chunks that arrived before the next one."""
    sent: dict[Key, None] = field(default_factory=dict)
    """Keys of the records that arrived so far."""
    asks: int = 1
    asked_ns: int = 0
    records: int = 0
    bytes: int = 0

    def ask(self, now_ns: int) -> list[MemoryAsk]:
        """Request the next chunk and, once the session is known to be long, those after it that were not requested yet."""
        self.asked_ns = now_ns
        end = self.chunk + (AHEAD if self.chunk > 1 else 1)
        first, self.ahead = max(self.chunk, self.ahead), max(self.ahead, end)
        return [MemoryAsk(self.session, chunk, self.vector) for chunk in range(first, end)]

    def again(self, now_ns: int) -> list[MemoryAsk]:
        """Request the outstanding chunks again: the requests or the answers may be lost."""
        self.ahead = self.chunk
        return self.ask(now_ns)

    def late(self, now_ns: int, gap_ns: int) -> bool:
        """Return whether the next chunk is late. `gap_ns`: how long chunks take to arrive."""
        return now_ns - self.asked_ns >= min(PATIENCE_MAX_NS, max(PATIENCE_NS, 4 * gap_ns))

    @property
    def begun(self) -> bool:
        """Return whether the peer has answered."""
        return self.chunk > 1


@dataclass(slots=True)
class SyncSender:
    """The state sent to one receiver. `starts`: where in `keys` each chunk that was sent began, the next one's last."""

    session: int
    keys: list[Key]
    said: Mapping[str, Any]
    """Metadata of its chunks: the sender's vector and floor when the session began, and whether that is the `whole` memory."""
    starts: list[int] = field(default_factory=lambda: [0])
    bytes: int = 0
    """Bytes of all chunks so far."""


class SyncSource:
    """Sender of chunks. A chunk holds records of about `chunk_bytes`, measured as JSON."""

    def __init__(self, store: Store, chunk_bytes: int) -> None:
        self._store = store
        self._chunk_bytes = chunk_bytes
        self._senders: dict[str, SyncSender] = {}

    def chunk(self, peer: str, ask: MemoryAsk, time_ms: int) -> MemoryChunk | None:
        """Return the requested chunk; None when that session is no longer known here."""
        sender = self._senders.get(peer)
        if sender is None or sender.session != ask.session:
            if ask.chunk != 1:
                return None
            whole = not includes(ask.vector, self._store.floor)
            keys = list(self._store.records) if whole else list(self._store.beyond(ask.vector))
            said = {"vector": dict(self._store.vector), "floor": self._store.floor, "whole": whole}
            sender = self._senders[peer] = SyncSender(ask.session, keys, said)
        if not 1 <= ask.chunk < len(sender.starts) + AHEAD:
            return None
        while ask.chunk > len(sender.starts):
            # Requests may overtake each other: this chunk begins where the previous one ends.
            self._made(sender, len(sender.starts), time_ms)
        data = self._made(sender, ask.chunk, time_ms)
        last = sender.starts[ask.chunk] >= len(sender.keys)
        packed, text = pack(data)
        return MemoryChunk(ask.session, ask.chunk, last, packed, text)

    def _made(self, sender: SyncSender, chunk: int, time_ms: int) -> bytes:
        """Make a chunk. Its end is fixed when it is first made: the receiver may take that one, although it has requested it again."""
        start = sender.starts[chunk - 1]
        settled = chunk < len(sender.starts)
        count = sender.starts[chunk] - start if settled else self._count(sender)
        while True:
            some = sender.keys[start : start + count]
            data = encode(Trmm(True, time_ms, None, self._some(some), [], sender.said))
            if settled or count <= 1 or len(data) <= self._chunk_bytes:
                break
            count //= 2
        if not settled:
            sender.starts.append(start + len(some))
            sender.bytes += len(data)
        return data

    def fingerprint(self) -> Any:
        return [[peer, t.session, len(t.keys), t.starts] for peer, t in self._senders.items()]

    def _count(self, sender: SyncSender) -> int:
        """Return how many records are likely to fill a chunk, judged by those that were sent; a few at first."""
        sent = sender.starts[-1]
        if not sent:
            return FIRST_RECORDS
        return max(1, self._chunk_bytes * 9 // 10 * sent // sender.bytes)

    def _some(self, keys: list[Key]) -> list[Item]:
        """Return the next records. One that was collected meanwhile is left out."""
        found = ((key, self._store.records.get(key)) for key in keys)
        return [(*key, state) for key, state in found if state is not None]


def pack(data: bytes) -> tuple[bool, str]:
    """Pack a chunk for transfer. One record may be too large for a message; what makes it large is text, which zlib compresses well."""
    packed = len(data) > PLAIN_BYTES
    if packed:
        data = zlib.compress(data, 6)
    return packed, base64.b64encode(data).decode("ascii")


def unpack(packed: bool, text: str) -> bytes:
    """Unpack data. Raises ValueError for data that `pack` does not make, and beyond `UNPACKED_BYTES`."""
    data = base64.b64decode(text, validate=True)
    if not packed:
        return data
    unpacker = zlib.decompressobj()
    try:
        out = unpacker.decompress(data, UNPACKED_BYTES)
    except zlib.error as error:
        raise ValueError(f"the chunk is not zlib: {error}") from None
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError(f"the chunk is cut, or has more than {UNPACKED_BYTES} bytes")
    return out


@dataclass(slots=True)
class Cap:
    """A bandwidth cap: messages leave one after the other, each when it would have passed a line of `bits_per_s`. 0: no cap."""

    bits_per_s: int
    free_ns: int = 0
    queue: deque[tuple[int, str, Any, int]] = field(default_factory=deque)
    bytes: int = 0
    """Bytes that wait."""
    dropped: int = 0

    def put(self, now_ns: int, peer: str, message: Any, size: int) -> None:
        """Queue a message of `size` bytes. One that would wait too long, or take too much room, is dropped and counted: a later sync brings it."""
        cost_ns = size * 8 * SECOND // self.bits_per_s if self.bits_per_s else 0
        free_ns = max(self.free_ns, now_ns) + cost_ns
        if self.queue and (free_ns - now_ns > QUEUE_NS or self.bytes + size > QUEUE_BYTES):
            self.dropped += 1
            return
        self.free_ns = free_ns
        self.bytes += size
        self.queue.append((self.free_ns if self.bits_per_s else now_ns, peer, message, size))

    def due(self, now_ns: int) -> list[tuple[str, Any]]:
        """Remove and return what may be sent now."""
        out = []
        while self.queue and self.queue[0][0] <= now_ns:
            _, peer, message, size = self.queue.popleft()
            self.bytes -= size
            out.append((peer, message))
        return out

    @property
    def next_ns(self) -> int | None:
        return self.queue[0][0] if self.queue else None


CAPPED_CHUNK_NS = 500 * MS


def chunk_bytes_under(cap_bits_per_s: int, wanted: int) -> int:
    """Return the chunk size under a cap: half a second at most, so that the cap holds in every second, and not only on average."""
    if not cap_bits_per_s:
        return wanted
    return max(512, min(wanted, cap_bits_per_s * CAPPED_CHUNK_NS // (8 * SECOND) * 3 // 4))
