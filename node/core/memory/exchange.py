"""What this node and its peers send each other about memory: syncs, changes that are pushed, states that are fetched; and what becomes of tombstones.

Whatever comes is judged before it is joined, and written down before anybody is told that it is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import CorruptionError
from ...flaws import Flaws
from ..cluster_messages import MemoryAsk, MemoryChunk, MemoryFetch, MemoryPush, MemoryState, MemoryStored
from ..outbox import Outbox
from .keeper import Keeper
from .store import Key, Store
from .sync import unpack
from .syncing import Syncing
from .trmm import Item, decode


class Exchange:
    def __init__(self, out: Outbox, store: Store, keeper: Keeper, syncing: Syncing, flaws: Flaws) -> None:
        self._out, self._store, self._keeper, self._syncing, self._flaws = out, store, keeper, syncing, flaws

    def on_ask(self, now_ns: int, peer: str, message: MemoryAsk, time_ms: int) -> None:
        self._syncing.on_ask(now_ns, peer, message, time_ms, self._keeper.gate)

    def on_fetch(self, peer: str, message: MemoryFetch) -> None:
        state = self._store.records.get((message.kind, message.record))
        self._out.send(peer, MemoryState(message.number, {"state": state}), self._keeper.gate)

    def on_push(self, peer: str, message: MemoryPush) -> None:
        work = message.work
        moved: dict[str, int] = {}
        joined = self.join([work.get("record")], peer, keep=False)
        if joined is None:
            return
        dot = work.get("dot")
        if isinstance(dot, list) and len(dot) == 2 and isinstance(dot[0], str) and type(dot[1]) is int:
            moved = self._store.heard(dot[0], dot[1])
        if joined or moved:
            self._keeper.keep(joined, moved)
        if message.wanted:
            self._out.send(peer, MemoryStored(message.number), self._keeper.gate)

    def on_chunk(self, now_ns: int, peer: str, message: MemoryChunk) -> None:
        asking = self._syncing.expects(peer, message)
        if asking is None:
            return
        try:
            data = unpack(message.packed, message.data)
            records = decode(data).records
        except (ValueError, CorruptionError) as error:
            self._out.trace("memory-garbage", peer=peer, reason=str(error))
            return
        if self.join(records, peer) is None:
            return
        vector = self._syncing.took(now_ns, message, len(records), len(data))
        if vector is not None:
            moved = self._store.advance(vector)
            if moved:
                self._keeper.keep([], moved)
            self._out.trace(
                "memory-synced",
                peer=peer,
                records=asking.records,
                bytes=asking.bytes,
                took_ns=now_ns - asking.began_ns,
                full=not asking.vector,
                digest=f"{self._store.digest:032x}",
                vector=dict(self._store.vector),
            )
            self._syncing.look_on(now_ns)
        early = self._syncing.next_early()
        if early is not None:
            self.on_chunk(now_ns, peer, early)

    def join(self, records: Sequence[Any], peer: str, *, keep: bool = True) -> list[Item] | None:
        """The records whose state changed by it, written down if `keep`; None when something there is no record."""
        joined = []
        for item in records:
            problem = self._store.problem(item)
            if problem is not None:
                self._out.trace("memory-garbage", peer=peer, reason=problem)
                return None
            kind, record, state = item
            if self._store.conflicting(kind, record, state):
                self._out.trace("memory-conflict", kind=kind, record=record, peer=peer)
            after = self._store.join(kind, record, state)
            if after is not None:
                joined.append((kind, record, after))
        if joined and keep:
            self._keeper.keep(joined, {})
        return joined

    def collect(self) -> None:
        """Tombstones that everybody has seen go."""
        vectors = self._syncing.vectors()
        if vectors is None and not self._flaws.tombstone_collected_early:
            return
        gone: list[Key] = self._store.collectable([] if self._flaws.tombstone_collected_early else vectors or [])
        for key in gone:
            self._store.collect(key)
        if gone:
            self._keeper.forget(gone)
            self._out.trace("memory-collected", records=[list(key) for key in gone])
