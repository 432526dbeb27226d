"""Anti-entropy between two nodes: one asks with its vector, the other tells what it has beyond it, in chunks.

The asker asks for one chunk at first and then for two at a time, so what is on the way is bounded, and a cut costs no more than these: they are asked for again. The teller keeps for each
asker the list of records of its session; it sends their states as they are when their chunk is due, which is never less than the session promised.

Both are pure: what they return is sent by their owner.
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
"""How long to wait for a chunk before it is asked for again, at least."""
PATIENCE_MAX_NS = 60 * SECOND
CAPPED_PATIENCE_NS = 10 * SECOND
"""For a first chunk under a bandwidth cap, which may stand in a row behind those of others."""
ASKS_LIMIT = 6
"""Asks for one chunk without an answer, after which another peer is tried."""
FIRST_RECORDS = 64
PLAIN_BYTES = 720 << 10
"""Of a TRMM that travels as it is: with base64 and its envelope it fits a frame of 1 MiB."""
UNPACKED_BYTES = 64 << 20
"""Of one that was packed, at most."""
QUEUE_NS = PATIENCE_MAX_NS
"""How long a message may wait for its turn under a bandwidth cap: whoever asked has asked again by then."""
QUEUE_BYTES = 32 << 20
"""Of what waits under a cap, at most."""
AHEAD = 2
"""Chunks of a long session that are asked for before the first of them is in, so that one side makes while the other takes."""


@dataclass(slots=True)
class Asking:
    """A session under way with `peer`: the next chunk is `chunk`, asked for `asks` times, last at `asked_ns`."""

    peer: str
    session: int
    vector: Vector
    began_ns: int
    chunk: int = 1
    ahead: int = 0
    """The first chunk that was not asked for."""
    early: dict[int, MemoryChunk] = field(default_factory=dict)
    """Chunks that have overtaken the next one."""
    sent: dict[Key, None] = field(default_factory=dict)
    """What came so far."""
    asks: int = 1
    asked_ns: int = 0
    records: int = 0
    bytes: int = 0

    def ask(self, now_ns: int) -> list[MemoryAsk]:
        """For the next chunk, and, once the session is known to be long, for those after it that were not asked for yet."""
        self.asked_ns = now_ns
        end = self.chunk + (AHEAD if self.chunk > 1 else 1)
        first, self.ahead = max(self.chunk, self.ahead), max(self.ahead, end)
        return [MemoryAsk(self.session, chunk, self.vector) for chunk in range(first, end)]

    def again(self, now_ns: int) -> list[MemoryAsk]:
        """What was asked for may be lost."""
        self.ahead = self.chunk
        return self.ask(now_ns)

    def late(self, now_ns: int, gap_ns: int) -> bool:
        """`gap_ns`: how long chunks take to come."""
        return now_ns - self.asked_ns >= min(PATIENCE_MAX_NS, max(PATIENCE_NS, 4 * gap_ns))

    @property
    def begun(self) -> bool:
        """Whether the peer has answered."""
        return self.chunk > 1


@dataclass(slots=True)
class Telling:
    """What is told to one asker. `starts`: where in `keys` each chunk that was sent began, the next one's last."""

    session: int
    keys: list[Key]
    said: Mapping[str, Any]
    """The metadata of its chunks: the teller's vector and floor when the session began, and whether that is the `whole` memory."""
    starts: list[int] = field(default_factory=lambda: [0])
    bytes: int = 0
    """Of all chunks so far."""


class Teller:
    """About `chunk_bytes` of records go into a chunk, by their JSON."""

    def __init__(self, store: Store, chunk_bytes: int) -> None:
        self._store = store
        self._chunk_bytes = chunk_bytes
        self._tellings: dict[str, Telling] = {}

    def tell(self, peer: str, ask: MemoryAsk, time_ms: int) -> MemoryChunk | None:
        """The chunk that was asked for; None when that session is not known here any more."""
        telling = self._tellings.get(peer)
        if telling is None or telling.session != ask.session:
            if ask.chunk != 1:
                return None
            whole = not includes(ask.vector, self._store.floor)
            keys = list(self._store.records) if whole else list(self._store.beyond(ask.vector))
            said = {"vector": dict(self._store.vector), "floor": self._store.floor, "whole": whole}
            telling = self._tellings[peer] = Telling(ask.session, keys, said)
        if not 1 <= ask.chunk < len(telling.starts) + AHEAD:
            return None
        while ask.chunk > len(telling.starts):
            # Asks may overtake each other: where this chunk begins is where the one before ends.
            self._made(telling, len(telling.starts), time_ms)
        data = self._made(telling, ask.chunk, time_ms)
        last = telling.starts[ask.chunk] >= len(telling.keys)
        packed, text = pack(data)
        return MemoryChunk(ask.session, ask.chunk, last, packed, text)

    def _made(self, telling: Telling, chunk: int, time_ms: int) -> bytes:
        """Where a chunk ends is settled when it is first made: the asker may take that one, although it has asked again."""
        start = telling.starts[chunk - 1]
        settled = chunk < len(telling.starts)
        count = telling.starts[chunk] - start if settled else self._count(telling)
        while True:
            some = telling.keys[start : start + count]
            data = encode(Trmm(True, time_ms, None, self._some(some), [], telling.said))
            if settled or count <= 1 or len(data) <= self._chunk_bytes:
                break
            count //= 2
        if not settled:
            telling.starts.append(start + len(some))
            telling.bytes += len(data)
        return data

    def fingerprint(self) -> Any:
        return [[peer, t.session, len(t.keys), t.starts] for peer, t in self._tellings.items()]

    def _count(self, telling: Telling) -> int:
        """How many records are likely to fill a chunk, by those that were sent; at first a few."""
        sent = telling.starts[-1]
        if not sent:
            return FIRST_RECORDS
        return max(1, self._chunk_bytes * 9 // 10 * sent // telling.bytes)

    def _some(self, keys: list[Key]) -> list[Item]:
        """A record that was collected meanwhile is left out."""
        found = ((key, self._store.records.get(key)) for key in keys)
        return [(*key, state) for key, state in found if state is not None]


def pack(data: bytes) -> tuple[bool, str]:
    """As it travels. One record alone may be so large that it would not fit a message; what makes it so is text, of which little is left by zlib."""
    packed = len(data) > PLAIN_BYTES
    if packed:
        data = zlib.compress(data, 6)
    return packed, base64.b64encode(data).decode("ascii")


def unpack(packed: bool, text: str) -> bytes:
    """Raises ValueError for what `pack` does not make, and beyond `UNPACKED_BYTES`."""
    data = base64.b64decode(text, validate=True)
    if not packed:
        return data
    unpacker = zlib.decompressobj()
    try:
        out = unpacker.decompress(data, UNPACKED_BYTES)
    except zlib.error as error:
        raise ValueError(f"the chunk is no zlib: {error}") from None
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError(f"the chunk is cut, or has more than {UNPACKED_BYTES} bytes")
    return out


@dataclass(slots=True)
class Cap:
    """A bandwidth cap: messages leave one after the other, each when it would have gone through a line of `bits_per_s`. 0: no cap."""

    bits_per_s: int
    free_ns: int = 0
    queue: deque[tuple[int, str, Any, int]] = field(default_factory=deque)
    bytes: int = 0
    """Of what waits."""
    dropped: int = 0

    def put(self, now_ns: int, peer: str, message: Any, size: int) -> None:
        """`size` in bytes. What would wait for too long, or take too much room, is dropped and counted: a later sync brings it."""
        cost_ns = size * 8 * SECOND // self.bits_per_s if self.bits_per_s else 0
        free_ns = max(self.free_ns, now_ns) + cost_ns
        if self.queue and (free_ns - now_ns > QUEUE_NS or self.bytes + size > QUEUE_BYTES):
            self.dropped += 1
            return
        self.free_ns = free_ns
        self.bytes += size
        self.queue.append((self.free_ns if self.bits_per_s else now_ns, peer, message, size))

    def due(self, now_ns: int) -> list[tuple[str, Any]]:
        """Take what may be sent now."""
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
    """With a cap a chunk takes half a second at most, so that it is kept in every second, and not only in the mean."""
    if not cap_bits_per_s:
        return wanted
    return max(512, min(wanted, cap_bits_per_s * CAPPED_CHUNK_NS // (8 * SECOND) * 3 // 4))
