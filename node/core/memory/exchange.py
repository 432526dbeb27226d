"""Exchange of memory with peers: syncs, changes that are pushed, states that are fetched; and the collection of tombstones.

Everything received is checked before it is joined, and is durable before it is acknowledged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import CorruptionError
from ...flaws.switch import Flaws
from ..interface.cluster_messages import MemoryAsk, MemoryChunk, MemoryFetch, MemoryPush, MemoryState, MemoryStored
from ..interface.outbox import Outbox
from .keeper import Keeper
from .records.record import NOTHING
from .records.store import Key, Store, known
from .records.trmm import Item, decode
from .records.vector import Vector, covers, joined, vector_problem
from .sync import SyncReceiver, unpack
from .syncing import Syncing


class Exchange:
    def __init__(self, me: str, out: Outbox, store: Store, keeper: Keeper, syncing: Syncing, flaws: Flaws) -> None:
        self._me, self._closed = me, False
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
        if _is_dot_of(dot, known(work["record"][2])):
            if self._flaws.vector_skips_a_gap:
                moved = self._store.advance({dot[0]: dot[1]})
            else:
                moved = self._store.heard(dot[0], dot[1])
        if joined or moved:
            self._keeper.keep(joined, moved)
        if message.wanted:
            self._out.send(peer, MemoryStored(message.number), self._keeper.gate)

    def on_chunk(self, now_ns: int, peer: str, message: MemoryChunk) -> None:
        receiver = self._syncing.expects(peer, message)
        if receiver is None:
            return
        try:
            data = unpack(message.packed, message.data)
            trmm = decode(data)
            theirs, floor = _vector(trmm.metadata, "vector"), _vector(trmm.metadata, "floor")
        except (ValueError, CorruptionError) as error:
            self._out.trace("memory-garbage", peer=peer, reason=str(error))
            return
        if self.join(trmm.records, peer, theirs) is None:
            return
        if self._flaws.sync_counted_before_its_end:
            self._keeper.keep((), self._store.advance(theirs))
        receiver.sent |= {(kind, record): None for kind, record, _ in trmm.records}
        if self._syncing.took(now_ns, message, theirs, len(trmm.records), len(data)):
            self._complete(receiver, theirs, floor, trmm.metadata.get("whole") is True)
            self._out.trace(
                "memory-synced",
                peer=peer,
                records=receiver.records,
                bytes=receiver.bytes,
                took_ns=now_ns - receiver.began_ns,
                full=not receiver.vector,
                vector=dict(self._store.vector),
            )
            self._syncing.look_on(now_ns)
        early = self._syncing.next_early()
        if early is not None:
            self.on_chunk(now_ns, peer, early)

    def _complete(self, receiver: SyncReceiver, theirs: Vector, floor: Vector, whole: bool) -> None:
        """Handle a complete sync: all that the peer held when its vector was `theirs` is here."""
        changed, gone = self._store.absent(receiver.sent, theirs) if whole else ([], [])
        moved = self._store.advance(theirs)
        self._store.floor = joined(self._store.floor, floor)
        if not self._closed and self._syncing.heard_all:
            self._closed = True
            moved |= self._store.close(self._me)
        if changed or gone or moved:
            self._keeper.keep(changed, moved, gone)
        if gone:
            self._out.trace("memory-collected", records=[list(key) for key in gone])

    def join(
        self, records: Sequence[Any], peer: str, theirs: Vector = NOTHING, *, keep: bool = True
    ) -> list[Item] | None:
        """Join records of a peer. Returns the records whose state changed, after staging them for the disk if `keep`. Returns None when an element of
        the input is not a record.
        """
        changed: list[Item] = []
        for item in records:
            problem = self._store.problem(item)
            if problem is not None:
                self._out.trace("memory-garbage", peer=peer, reason=problem)
                return None
            kind, record, state = item
            if self._store.conflicting(kind, record, state):
                self._out.trace("memory-conflict", kind=kind, record=record, peer=peer)
            after = self._store.join(kind, record, state, theirs)
            if after is not None:
                changed.append((kind, record, after))
        if changed and keep:
            self._keeper.keep(changed, {})
        return changed

    def collect(self) -> None:
        """Collect the tombstones that every node has seen: remove them."""
        vectors = self._syncing.vectors()
        early = self._flaws.tombstone_collected_early
        if vectors is None and not early:
            return
        gone: list[Key] = self._store.collectable([] if early else vectors or [])
        for key in gone:
            self._store.collect(key, noted=not early)
        if gone:
            self._keeper.keep((), {}, gone)
            self._out.trace("memory-collected", records=[list(key) for key in gone])


def _is_dot_of(dot: Any, context: Vector) -> bool:
    """Check the dot of a checked state: what may be in its context may be in a vector, too."""
    is_dot = isinstance(dot, list) and len(dot) == 2 and isinstance(dot[0], str) and type(dot[1]) is int
    return is_dot and covers(context, dot[0], dot[1]) and dot[0] in context


def _vector(metadata: Mapping[str, Any], name: str) -> Vector:
    """Return a vector from the metadata. Raises ValueError for anything that is not one."""
    vector = metadata.get(name, {})
    problem = vector_problem(vector)
    if problem is not None:
        raise ValueError(f"{name}: {problem}")
    return dict(vector)
