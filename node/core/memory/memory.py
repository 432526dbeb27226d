"""Agent memory of this node: accepts changes, writes them to disk, and exchanges them with the other nodes (docs/concepts/memory.md).

A change is durable before it is acknowledged or sent to another node. So no dot (replica and number of a change) is ever assigned twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...bounded import reply_id
from ...config.cluster import MS, SECOND
from ...config.node import NodeConfig
from ...flaws.switch import Flaws
from ..interface.cluster_messages import MemoryAsk, MemoryChunk, MemoryFetch, MemoryPush, MemoryState, MemoryStored
from ..interface.events import Connected, Disconnected, Request, Start
from ..interface.machine import Member
from ..interface.messages import Message
from ..interface.outbox import Outbox
from ..interface.rng import Chance
from ..interface.signals import (
    Applied,
    Changed,
    QuorumLost,
    QuorumRegained,
    ReadReady,
    ReadRequest,
    Restore,
    VotersChanged,
)
from ..interface.wall_clock import Wall
from .disk.files import recover
from .exchange import Exchange
from .keeper import Keeper
from .quorum import Quorums, Waiting
from .records.conflicts import conflicts_of
from .records.store import Full, Store
from .request import MemoryRequest, parse
from .syncing import Syncing

TICK = "memory/tick"
SYNC = "memory/sync"
SEND = "memory/send"
TICK_NS = 200 * MS
FIRST_NS = SECOND // 2
"""Time from the start to the first sync, at most."""
PENDING_LIMIT = 4096
FIRST_TOKEN = -2_000_000_000
"""Tokens of this machine's reads: below those of all other machines."""


class MemoryMachine(Member):
    name = "memory"

    def __init__(
        self,
        config: NodeConfig,
        out: Outbox,
        wall: Wall,
        event: Start,
        chance: Chance,
        peers: Callable[[], Sequence[str]],
    ) -> None:
        """`peers()`: the other nodes that are to receive everything. Recovers from the files of `event`."""
        assert config.memory is not None
        self._me, self._options, self._out, self._wall = config.node, config.memory, out, wall
        self._flaws = Flaws.from_names(config.flaws)
        self._peers = peers
        found = recover(event.files, event.incarnation)
        drawn = chance.between("memory", "replica", 0, (1 << 32) - 1)
        replica = config.node if self._flaws.crdt_id_reuse else f"{config.node}.{event.incarnation}.{drawn:08x}"
        self._store = Store(
            conflicts_of(config.memory.conflicts, self._flaws),
            replica,
            found.metadata.get("vector", {}),
            found.metadata.get("floor"),
        )
        self._keeper = Keeper(out, found, self._store, config.memory.delta_every)
        self._quorums = Quorums(config.node, self._flaws)
        self._quorums.voters = dict(config.voters)
        first_session = chance.between("memory", "session", 0, (1 << 48) - 1)
        self._syncing = Syncing(config.memory, out, self._store, peers, first_session)
        self._exchange = Exchange(config.node, out, self._store, self._keeper, self._syncing, self._flaws)
        self._reads: dict[int, tuple[str, MemoryRequest, int, int | None]] = {}
        """By token: linearizable reads (client, request, deadline, index to be applied)."""
        self._ops = 0
        self._number = chance.between("memory", "number", 0, (1 << 48) - 1)
        """Number of the last request to peers. Its start is random, so that no late answer to an earlier life counts for this one."""
        self._token = FIRST_TOKEN
        self._applied = 0
        self._contact = True
        self._sending = False
        self.signals: Mapping[type[Any], Callable[[int, Any], None]] = {
            Changed: self._on_changed,
            VotersChanged: self._on_voters,
            ReadReady: self._on_read_ready,
            Applied: self._on_applied,
            Restore: self._on_restore,
            QuorumLost: lambda now, signal: self._on_contact(False),
            QuorumRegained: lambda now, signal: self._on_contact(True),
        }
        self._damage = [*found.damaged, *([found.torn] if found.torn else [])]

    def start(self, now_ns: int) -> None:
        """Trace the recovery. This happens after the start of Raft, because the first trace line of an incarnation must be that of the Raft log."""
        records = len(self._store.records)
        self._out.trace("memory-start", replica=self._store.replica, records=records)
        for place in self._damage:
            self._out.trace("memory-damage", place=place)
        self._out.set_timer(TICK, now_ns + TICK_NS)
        self._out.set_timer(SYNC, now_ns + min(FIRST_NS, self._options.sync_ns))

    def on_request(self, now_ns: int, event: Request) -> None:
        """Handle a client's request about memory, except changes at level `linearizable`, which go to the log."""
        try:
            request = parse(event.body)
        except ValueError as error:
            self._fail(event.client, reply_id(event.body), "bad-request", str(error))
            return
        under_way = len(self._quorums.waiting) + len(self._reads)
        if under_way >= PENDING_LIMIT:
            self._fail(event.client, request.id, "busy", f"{PENDING_LIMIT} requests are under way at this node")
        elif request.level == "quorum" and not self._contact:
            self._fail(
                event.client,
                request.id,
                "no-quorum",
                "this node has had no contact with a quorum for one election timeout",
            )
        elif request.operation in ("change", "delete"):
            self._change(now_ns, event.client, request)
        elif request.operation == "sync":
            peer = self._syncing.begin(now_ns, request.peer)
            if peer is None:
                self._fail(event.client, request.id, "not-found", f"there is no peer {request.peer or ''} to sync from")
            else:
                self._answer(event.client, request.id, {"from": peer})
        elif request.level == "linearizable":
            self._token -= 1
            self._reads[self._token] = (event.client, request, now_ns + request.deadline_ms * MS, None)
            self._out.emit(ReadRequest(self._token))
        elif request.level == "quorum" and request.operation == "get":
            self._number += 1
            message = MemoryFetch(self._number, request.kind, request.record)
            self._wait(now_ns, event.client, request, message, None)
        else:
            self._answer(event.client, request.id, self._read(request))

    def next_op(self) -> str:
        """Return an `op` that is unique among all commands for the log, across all incarnations and nodes."""
        self._ops += 1
        return f"{self._store.replica}/{self._ops}"

    def on_message(self, now_ns: int, peer: str, message: Message) -> None:
        if isinstance(message, MemoryAsk):
            self._exchange.on_ask(now_ns, peer, message, self._wall.ns // MS)
        elif isinstance(message, MemoryChunk):
            self._exchange.on_chunk(now_ns, peer, message)
        elif isinstance(message, MemoryPush):
            self._exchange.on_push(peer, message)
        elif isinstance(message, MemoryFetch):
            self._exchange.on_fetch(peer, message)
        elif isinstance(message, MemoryState):
            waiting = self._quorums.waiting.get(message.number)
            state = message.work.get("state")
            if waiting is None or (state is not None and self._exchange.join([(*waiting.key, state)], peer) is None):
                return  # Too late, or garbage: its sender has not reported what it holds.
            self._complete(self._quorums.answered(peer, message.number))
        elif isinstance(message, MemoryStored):
            self._complete(self._quorums.answered(peer, message.number))

    def on_timer(self, now_ns: int, key: str) -> None:
        if key == SYNC:
            self._out.set_timer(SYNC, now_ns + self._options.sync_ns)
            if self._options.sync != "on_demand":
                self._syncing.periodic(now_ns)
            if self._options.conflicts == "merge":
                # A timestamp that is forgotten could not win against a clock that is behind.
                self._exchange.collect()
        elif key == TICK:
            self._out.set_timer(TICK, now_ns + TICK_NS)
            self._expire(now_ns)
            self._syncing.on_tick(now_ns)
        else:
            self._sending = False

    def on_storage(self, now_ns: int, op: int) -> None:
        self._keeper.done(op)
        for waiting in self._quorums.durable(op):
            self._complete(waiting)

    def on_connection(self, now_ns: int, event: Connected | Disconnected) -> None:
        if isinstance(event, Connected):
            self._syncing.on_connected(now_ns, event.peer)
        else:
            self._syncing.on_disconnected(now_ns, event.peer)

    def flush(self, now_ns: int) -> None:
        self._release_reads()
        for peer, message in self._quorums.to_send(now_ns):
            self._out.send(peer, message, self._keeper.gate)
        self._keeper.flush(self._wall.ns // MS)
        next_ns = self._syncing.send_due(now_ns)
        if next_ns is not None and not self._sending:
            self._sending = True
            self._out.set_timer(SEND, next_ns)

    def status(self) -> dict[str, Any]:
        return {
            "memory_records": sum(self._store.live.values()),
            "memory_tombstones": len(self._store.tombstones),
            "memory_digest": self._digest(),
            "memory_synced_bytes": self._syncing.sent_bytes,
        }

    @property
    def dropped(self) -> int:
        """Return the number of memory messages that were dropped because of the bandwidth cap."""
        return self._syncing.dropped

    def check(self) -> None:
        self._store.check()

    def fingerprint(self) -> Any:
        waiting = [[w.number, list(w.answered), w.gate] for w in self._quorums.waiting.values()]
        return [
            self._digest(),
            self._store.vector,
            self._syncing.fingerprint(),
            waiting,
            list(self._reads),
            self._applied,
        ]

    def _change(self, now_ns: int, client: str, request: MemoryRequest) -> None:
        wall_ms, key = self._wall.ns // MS, (request.kind, request.record)
        try:
            if request.operation == "delete":
                state = self._store.delete(*key, wall_ms)
            else:
                self._make_room(request.kind, request.record, wall_ms)
                state = self._store.change(*key, request.fields or {}, wall_ms)
        except Full as full:
            self._fail(client, request.id, "memory-full", str(full))
            return
        if state is None:
            self._fail(client, request.id, "not-found", f"there is no {key[0]} {key[1]} here")
            return
        dot = (self._store.replica, self._store.number)
        gate = self._keeper.keep([(*key, state)], {dot[0]: dot[1]})
        answer = {"dot": list(dot), **({"w": state["w"]} if "w" in state else {})}
        push = MemoryPush(0, False, {"record": [*key, state], "dot": list(dot)})
        if request.level == "quorum":
            self._number += 1
            self._wait(now_ns, client, request, MemoryPush(self._number, True, push.work), gate, answer)
            return
        self._answer(client, request.id, answer)
        if self._options.sync == "continuous":
            for peer in self._peers():
                self._syncing.put(now_ns, peer, push, len(ascii(state)), gate)

    def _make_room(self, kind: str, record: str, wall_ms: int) -> None:
        """Remove records by the declared policy only."""
        if self._options.retention != "oldest" or not self._store.full(kind, record):
            return
        victim = self._store.oldest(kind)
        if victim is not None:
            state = self._store.delete(kind, victim, wall_ms)
            dot = (self._store.replica, self._store.number)
            self._out.trace("memory-evicted", kind=kind, record=victim, dot=list(dot))
            if state is not None:
                self._keeper.keep([(kind, victim, state)], {dot[0]: dot[1]})

    def _wait(
        self,
        now_ns: int,
        client: str,
        request: MemoryRequest,
        message: Any,
        gate: int | None,
        answer: dict[str, Any] | None = None,
    ) -> None:
        deadline_ns = now_ns + request.deadline_ms * MS
        key = (request.kind, request.record)
        waiting = Waiting(self._number, client, request.id, deadline_ns, key, message, gate, answer)
        self._complete(self._quorums.begin(waiting))

    def _complete(self, waiting: Waiting | None) -> None:
        if waiting is None:
            return
        more = waiting.answer or {"record": self._store.shown(*waiting.key)}
        self._answer(waiting.client, waiting.id, more)

    def _expire(self, now_ns: int) -> None:
        for waiting in self._quorums.expired(now_ns):
            if waiting.answer is not None:
                message = "it is here, and was not seen durable on a quorum before the deadline"
                body = {"id": waiting.id, "status": "info", "error": "timeout", "message": message, "node": self._me}
                self._out.reply(waiting.client, body)
            else:
                self._fail(waiting.client, waiting.id, "timeout", "no quorum answered before the deadline")
        for token, (client, request, deadline_ns, _) in list(self._reads.items()):
            if deadline_ns <= now_ns:
                del self._reads[token]
                self._fail(client, request.id, "timeout", "what is committed was not known before the deadline")

    def _on_changed(self, now_ns: int, signal: Changed) -> None:
        if signal.app == self.name:
            self._exchange.join([signal.view[name] for name in signal.ids if name in signal.view], "log")

    def _on_voters(self, now_ns: int, signal: VotersChanged) -> None:
        self._quorums.voters = dict(signal.voters)

    def _on_contact(self, contact: bool) -> None:
        self._contact = contact

    def _on_read_ready(self, now_ns: int, signal: ReadReady) -> None:
        read = self._reads.get(signal.token)
        if read is not None:
            self._reads[signal.token] = (*read[:3], signal.index)

    def _on_applied(self, now_ns: int, signal: Applied) -> None:
        self._applied = signal.entries[-1].index

    def _on_restore(self, now_ns: int, signal: Restore) -> None:
        self._applied = signal.index

    def _release_reads(self) -> None:
        """Release reads whose index is applied, once what was applied is in this memory."""
        for token, (client, request, _, index) in list(self._reads.items()):
            if index is not None and (index <= self._applied or self._flaws.memory_read_before_applied):
                del self._reads[token]
                self._answer(client, request.id, {**self._read(request), "index": index})

    def _read(self, request: MemoryRequest) -> dict[str, Any]:
        if request.operation == "get":
            return {"record": self._store.shown(request.kind, request.record)}
        if request.operation == "list":
            return {"records": self._store.ids(request.kind)}
        return {
            "digest": self._digest(),
            "live": dict(self._store.live),
            "vector": dict(self._store.vector),
            "replica": self._store.replica,
        }

    def _digest(self) -> str:
        return f"{self._store.digest:032x}"

    def _answer(self, client: str, id_: Any, more: Mapping[str, Any]) -> None:
        """Answer once everything that the answer may show is durable."""
        body = {"id": id_, "status": "ok", **more, "node": self._me}
        self._out.reply(client, body, None if self._flaws.memory_answered_before_fsync else self._keeper.gate)

    def _fail(self, client: str, id_: Any, error: str, message: str) -> None:
        self._out.reply(client, {"id": id_, "status": "fail", "error": error, "message": message, "node": self._me})
