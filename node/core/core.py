"""The node as one pure state machine: events in, effects out.

    core = Core(NodeConfig.from_json({...}))
    effects = core.step(now_ns, [Start(incarnation=1, seed=7, files={})])

`Core` knows no protocol. It passes a message, a datagram or a timer to the machine named by the prefix of its tag or key. It passes each signal to
every machine that handles its type, until none is left. At the end of a step every machine flushes, so all events of the step share one batch on disk
and one round of messages. `composition.py` lists the machines.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..bounded import id_problem, reply_id
from ..config.node import NodeConfig
from ..errors import CorruptionError
from ..flaws.switch import Flaws
from .composition import Composition
from .interface.datagrams import decode_datagram
from .interface.effects import Effect
from .interface.entry import canonical
from .interface.events import (
    ClientGone,
    Connected,
    Datagram,
    DialRefused,
    Disconnected,
    Event,
    Received,
    Request,
    Start,
    StorageDone,
    TaskDone,
    TimerFired,
)
from .interface.machine import Machine
from .interface.messages import MESSAGES
from .interface.outbox import Outbox
from .interface.wall_clock import Wall

_OWNERS = {kind: kind.TAG.partition(".")[0] for kind in MESSAGES}


class Core:
    """`step` is the only way to change a node's state. The first event must be `Start`. After `Halt` nothing happens.

    The data on disk or in a snapshot is checked where it is read: a `CorruptionError` from any machine becomes a `Halt`.
    """

    def __init__(self, config: NodeConfig) -> None:
        self.config = config
        self._flaws = Flaws.from_names(config.flaws)
        self._out = Outbox()
        self._wall = Wall()
        self._incarnation = 0
        self._composition: Composition
        self._machines: dict[str, Machine] = {}
        self._garbage = 0
        """Datagrams that are not of this cluster, or that no machine here takes."""
        self._handlers: dict[type[Any], list[Callable[[int, Any], None]]] = {}
        self._receivers: dict[type[Any], Callable[[int, str, Any], None]] = {}
        """Which machine takes which message."""
        self._flushes: list[Callable[[int], None]] = []
        self._events: dict[type[Any], Callable[[int, Any], None]] = {
            Start: self._start,
            Received: self._received,
            StorageDone: self._stored,
            TimerFired: self._timer_fired,
            Request: self._request,
            ClientGone: lambda now, event: self._composition.clients.on_client_gone(event),
            Datagram: self._datagram,
            TaskDone: self._task_done,
            Connected: self._connection,
            Disconnected: self._connection,
            DialRefused: lambda now, event: self._composition.raft.on_dial_refused(now, event),
        }

    def step(self, now_ns: int, events: Sequence[Event]) -> list[Effect]:
        """Process all events of one turn, in order, and return the effects. `now_ns` is monotonic."""
        out = self._out
        for event in events:
            if out.halted is not None:
                break
            kind = type(event)
            assert self._machines or kind is Start, f"{kind.__name__} came before Start"
            self._wall.observe(event)
            try:
                self._events[kind](now_ns, event)
                if out.signals:
                    self._drain(now_ns)
            except CorruptionError as error:
                out.halt(str(error))
        if out.halted is None:
            self._flush(now_ns)
        return out.take()

    def check(self) -> None:
        """Assert every invariant, in full. Linear in the log: for tests and occasional checks."""
        if self._out.halted is None:
            for machine in self._machines.values():
                machine.check()

    def state_digest(self) -> str:
        """A digest of the whole state: equal after equal inputs."""
        parts = [self._incarnation, self._out.halted]
        parts += [machine.fingerprint() for machine in self._machines.values()]
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def status(self) -> dict[str, Any]:
        """Return the answer to `{"admin": "status"}`."""
        merged: dict[str, Any] = {"node": self.config.node, "incarnation": self._incarnation}
        for machine in self._machines.values():
            merged.update(machine.status())
        if self.config.membership is not None:
            merged["garbage"] = self._garbage
        return merged

    def counters(self) -> dict[str, Any]:
        """Counters for metrics beyond the status: what was dropped and what failed. Clients do not get them."""
        return {"held_dropped": dict(self._out.dropped), **self._composition.counters()}

    def _received(self, now_ns: int, event: Received) -> None:
        peer = event.peer
        if peer in self._composition.roster and peer != self.config.node:
            receive = self._receivers.get(type(event.message))
            if receive is not None:
                receive(now_ns, peer, event.message)

    def _datagram(self, now_ns: int, event: Datagram) -> None:
        try:
            note = decode_datagram(self.config.cluster, event.data)
        except ValueError:
            self._garbage += 1
            return
        if note.sender == self.config.node:
            return  # A broadcast also reaches its sender.
        member = self._composition.members.get(note.tag.partition(".")[0])
        if member is None:
            self._garbage += 1
        else:
            member.on_datagram(now_ns, event, note)

    def _task_done(self, now_ns: int, event: TaskDone) -> None:
        self._composition.on_task(now_ns, event)

    def _timer_fired(self, now_ns: int, event: TimerFired) -> None:
        if self._out.current_timer(event.key, event.generation):
            self._machines[event.key.partition("/")[0]].on_timer(now_ns, event.key)

    def _connection(self, now_ns: int, event: Connected | Disconnected) -> None:
        for machine in self._machines.values():
            machine.on_connection(now_ns, event)

    def _start(self, now_ns: int, event: Start) -> None:
        assert not self._machines, "Start comes once"
        self._incarnation = event.incarnation
        composition = self._composition = Composition(self.config, self._out, self._wall, event)
        for machine in composition.all:
            self._machines[machine.name] = machine
            handled: Mapping[type[Any], Callable[[int, Any], None]] = machine.signals
            for kind, handler in handled.items():
                self._handlers.setdefault(kind, []).append(handler)
        self._flushes = [machine.flush for machine in composition.all]
        self._receivers = {
            kind: self._machines[owner].on_message for kind, owner in _OWNERS.items() if owner in self._machines
        }
        composition.raft.start(now_ns, event)
        for member in composition.members.values():
            member.start(now_ns)

    def _stored(self, now_ns: int, event: StorageDone) -> None:
        """Halt on a disk error. What it did to the data is unknown, and a retry would hide that."""
        if event.error is not None and not self._flaws.fsync_error_ignored:
            reason = f"storage operation {event.op} failed: {event.error}"
            self._out.halt(f"{reason}\nhint: check the disk under this node's data directory, then start it again")
            return
        for machine in self._machines.values():
            machine.on_storage(now_ns, event.op)

    def _request(self, now_ns: int, event: Request) -> None:
        if isinstance(event.body, Mapping) and "memory" in event.body:
            self._composition.on_memory_request(now_ns, event)
            return
        admin = event.body.get("admin") if isinstance(event.body, Mapping) else None
        if admin not in ("status", "digest", "trace-marker"):
            self._composition.clients.on_request(now_ns, event)
            return
        problem = id_problem(event.body["id"]) if "id" in event.body else None
        if problem is None and admin == "trace-marker":
            problem = _marker_problem(event.body.get("marker"))
        id_, node = reply_id(event.body), self.config.node
        if problem is not None:
            refused = {"id": id_, "status": "fail", "error": "bad-request", "message": problem, "node": node}
            self._out.reply(event.client, refused)
            return
        answer: dict[str, Any] = {}
        if admin == "status":
            answer = self.status()
        elif admin == "digest":
            application = self._composition.application
            answer = {"index": application.applied, "digest": application.digest()}
            self._out.trace("digest", **answer)
        else:
            self._out.trace("marker", marker=event.body.get("marker"))
        self._out.reply(event.client, {"id": id_, "status": "ok", "node": node, **answer})

    def _drain(self, now_ns: int) -> None:
        signals, handlers = self._out.signals, self._handlers
        while signals and self._out.halted is None:
            signal = signals.popleft()
            for handler in handlers.get(type(signal), ()):
                handler(now_ns, signal)

    def _flush(self, now_ns: int) -> None:
        """Flush every machine. Flushing may release reads, whose answers are due in this step too; these stage nothing new for long."""
        while True:
            for flush in self._flushes:
                flush(now_ns)
            if not self._out.signals or self._out.halted is not None:
                return
            self._drain(now_ns)


MARKER_CHARACTERS = 1024


def _marker_problem(marker: Any) -> str | None:
    """Return what is wrong with a marker, which goes into the trace unchanged."""
    size = len(canonical(marker))
    return None if size <= MARKER_CHARACTERS else f"marker is {size} characters as JSON, more than {MARKER_CHARACTERS}"
