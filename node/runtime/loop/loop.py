"""The loop: passes events to a pure core, and performs its effects. One thread serves all sockets and timers, another one the disk.

A turn of the loop: wait; collect finished disk operations, received messages and due timers; call `step` once with all of them; perform the effects;
write traces; send. All events of a turn share one step, so one append, one fsync and one round of messages serve them all.

Order within a turn: storage completions, then the network, then timers. A message that arrived before an election timer expired is handled before it,
however late the turn began.
"""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ...bounded import reply_id
from ...core.interface.effects import (
    Broadcast,
    CancelTimer,
    DropTask,
    Effect,
    Halt,
    Meet,
    Part,
    Reply,
    RunTask,
    Send,
    SendDatagram,
    SetTimer,
    StorageEffect,
    Trace,
)
from ...core.interface.events import Event, Start, StorageDone, TimerFired
from ...core.interface.messages import AppendEntries, Heartbeat, Message, to_wire
from ...wire import MAX_PAYLOAD, encode_payload
from ..disk.disk import DirectoryDisk, Disk
from ..disk.home import Home
from ..disk.storage import StorageThread
from ..network.network import Incoming, Network, too_large_reply
from ..network.secrecy import shared_of
from ..options import EXIT_ENVIRONMENT, EXIT_HALTED, EXIT_STOPPED, RuntimeOptions
from ..telemetry.logs import NodeLog, TraceFile
from ..telemetry.recording import effect_crc, encode_header, encode_step
from .gate import Gate
from .handlers import HANDLERS, load_handlers
from .inputs import InputsWriter
from .tasks import TaskThreads
from .timers import TimerTable

if TYPE_CHECKING:
    from ..network.shared import Shared
    from ..telemetry.metrics import Metrics


class StepCore(Protocol):
    """Interface of the driven core: `tribulation.node.core.core.Core`, or a scripted stand-in for it in the drivers' conformance suite."""

    def step(self, now_ns: int, events: Sequence[Event]) -> list[Effect]: ...


class Runtime:
    """The runtime of one incarnation. `run` blocks until `stop`, a halt of the core, or an error of this host; it returns the exit code."""

    def __init__(self, options: RuntimeOptions, core: StepCore, disk: Disk | None = None) -> None:
        self._options = options
        self._core = core
        self._home = Home(options.directory)
        self._disk: Disk = disk if disk is not None else DirectoryDisk(self._home.data)
        self._timers = TimerTable()
        self._gate = Gate()
        self._stopping = threading.Event()
        self._halted: str | None = None
        self._now_ns = 0
        self._sent: Message | None = None
        self._sent_payload = b""
        """The last message of a kind that goes to several peers, and its payload."""
        self._lines_lost = 0
        """Trace lines of this turn that the gate had no room for."""
        self._log: NodeLog
        self._trace: TraceFile
        self._inputs: InputsWriter | None = None
        self._shared: Shared
        self._network: Network | None = None
        self._storage: StorageThread
        self._tasks: TaskThreads | None = None
        self._metrics: Metrics | None = None
        self.address: str | None = None
        self.udp_port: int | None = None

    def run(self) -> int:
        incarnation = self._home.next_incarnation()
        self._log = NodeLog(self._home.log, node=self._options.node, incarnation=incarnation)
        self._trace = TraceFile(self._home.trace, self._options.node, incarnation)
        self._shared = shared_of(self._options, incarnation, self._log)
        network = self._network = Network(self._options, self._shared)
        self._storage = StorageThread(self._disk, network.wake)
        self._storage.start()
        if self._options.workers:
            handlers = HANDLERS if self._options.handlers is None else load_handlers(self._options.handlers)
            self._tasks = TaskThreads(self._options.workers, network.wake, handlers)
            self._tasks.start()
        if self._options.record_inputs:
            self._inputs = InputsWriter(
                self._home.inputs, incarnation, lambda why: self._log.warning("inputs recording ended", reason=why)
            )
            self._inputs.add(encode_header(self._options.node, self._options.config))
        try:
            return self._serve(network, self._start_event(incarnation))
        except Exception:
            self._log.error("the node crashed", traceback=traceback.format_exc())
            raise
        finally:
            self._shut_down(network)

    def stop(self) -> None:
        """Stop the node in order. May be called from any thread and from signal handlers."""
        self._stopping.set()
        if self._network is not None:
            self._network.wake()

    def reload(self) -> None:
        """Read new certificates and keys from their files now. May be called from any thread and from signal handlers."""
        if self._network is not None:
            self._shared.reload()
            self._network.wake()

    def _start_event(self, incarnation: int) -> Start:
        seed = self._options.seed
        if seed is None:
            seed = int.from_bytes(os.urandom(8), "big") >> 1
        return Start(incarnation, seed, self._home.files(), time.time_ns())

    def _serve(self, network: Network, start: Start) -> int:
        try:
            self.address = network.listen()
            self.udp_port = network.udp_port
        except OSError as error:
            self._log.error(
                "cannot listen",
                address=str(self._options.listen),
                reason=str(error),
                hint="is the port taken? ss -ltnp",
            )
            return EXIT_ENVIRONMENT
        if not self._serve_metrics(network):
            return EXIT_ENVIRONMENT
        self._log.info("started", address=self.address, seed=start.seed, files=sorted(start.files))
        self._turn(network, [(start, None)])
        if self._halted is None:
            self._home.mark_ready(start.incarnation, self.address)
        while self._halted is None and not self._stopping.is_set():
            until_ns = self._timers.next_ns()
            arrived = network.poll(until_ns)
            done = self._storage.drain()
            incoming: list[Incoming] = [(StorageDone(op, error), None) for op, error in done]
            if self._tasks is not None:
                incoming += [(ended, None) for ended in self._tasks.drain()]
            incoming += arrived
            now_ns = time.monotonic_ns()
            due = self._timers.due(now_ns)
            if due:
                wall_ns = network.wall_ns()
                incoming += [(TimerFired(key, generation, wall_ns), None) for key, generation in due]
            self._now_ns = now_ns
            for op, failure in done:
                self._gate.settle(op, failure is None)
            if incoming:
                self._turn(network, incoming)
            else:
                network.flush()
            if self._metrics is not None and self._metrics.wanted:
                self._metrics.publish({**self._status(), "metrics_refused": self._metrics.refused})
        if self._halted is not None:
            self._log.error("halted", reason=self._halted)
            return EXIT_HALTED
        self._log.info("stopped")
        return EXIT_STOPPED

    def _serve_metrics(self, network: Network) -> bool:
        """Start serving metrics. Returns False when the address is not available."""
        address = self._options.metrics
        if address is None or not hasattr(self._core, "status"):
            return True
        try:
            # Imported here, as few nodes serve metrics, and the server's module takes time to load.
            from ..telemetry.metrics import Metrics

            self._metrics = Metrics(address, network.wake)
        except OSError as error:
            hint = "is the port taken? ss -ltnp"
            self._log.error("cannot serve metrics", address=list(address), reason=str(error), hint=hint)
            return False
        self._metrics.start()
        return True

    def _status(self) -> dict[str, Any]:
        network = {} if self._network is None else self._network.status()
        own = {
            **self._shared.status(),
            **network,
            "trace_unwritten": self._trace.unwritten,
            "log_rotated": self._log.rotated,
        }
        own["log_unwritten"] = self._log.unwritten
        return {**self._core.status(), **self._core.counters(), **own}  # type: ignore[attr-defined]

    def _turn(self, network: Network, incoming: list[Incoming]) -> None:
        now_ns = self._now_ns = time.monotonic_ns()
        effects = self._core.step(now_ns, [event for event, _ in incoming])
        crc = self._perform(network, effects)
        if self._inputs is not None:
            self._inputs.add(encode_step(now_ns, incoming, crc))
        if self._lines_lost:
            self._trace.lost(now_ns, self._lines_lost, "gate")
            self._shared.drop("trace-held", self._lines_lost)
            self._lines_lost = 0
        self._trace.flush()
        network.flush()

    def _perform(self, network: Network, effects: list[Effect]) -> int:
        """Perform the core's effects, in order. Returns their checksum."""
        crc = 0
        storage: list[StorageEffect] = []
        for effect in effects:
            payload: bytes | None = None
            if self._halted is not None:
                pass  # Effects after a halt are not performed, but count in the checksum.
            elif isinstance(effect, Send):
                payload = self._send(network, effect)
            elif isinstance(effect, Reply):
                payload = self._reply(network, effect)
            elif isinstance(effect, SetTimer):
                self._timers.set(effect.key, effect.generation, effect.at_ns)
            elif isinstance(effect, CancelTimer):
                self._timers.cancel(effect.key)
            elif isinstance(effect, Trace):
                self._trace_line(effect)
            elif isinstance(effect, Halt):
                self._halted = effect.reason
            elif isinstance(effect, (SendDatagram, Broadcast, Meet, Part)):
                self._reach_out(network, effect)
            elif isinstance(effect, (RunTask, DropTask)):
                self._work(effect)
            else:
                self._gate.emitted(effect.op, effect.after)
                storage.append(effect)
            if self._inputs is not None:
                crc = effect_crc(effect, payload, crc)
        if storage and self._halted is None:
            self._storage.submit(storage)
        return crc

    def _send(self, network: Network, effect: Send) -> bytes:
        payload = self._payload(effect.message)
        if not effect.after:
            network.send(effect.peer, payload)
        elif not self._gate.perform(effect.after, lambda: network.send(effect.peer, payload)):
            self._shared.drop("message-held")
        return payload

    def _payload(self, message: Message) -> bytes:
        """Encode a message. The same entries and the same heartbeat go to several peers, and are encoded once. (In other messages, values that are equal
        may be written differently.)
        """
        if type(message) is not AppendEntries and type(message) is not Heartbeat:
            return encode_payload(to_wire(message))
        if message != self._sent:
            self._sent, self._sent_payload = message, encode_payload(to_wire(message))
        return self._sent_payload

    def _reach_out(self, network: Network, effect: SendDatagram | Broadcast | Meet | Part) -> None:
        if isinstance(effect, SendDatagram):
            network.datagram(effect.host, effect.port, effect.data)
        elif isinstance(effect, Broadcast):
            network.broadcast(effect.port, effect.data)
        elif isinstance(effect, Meet):
            network.meet(effect.peer, effect.host, effect.port)
        else:
            network.part(effect.peer)

    def _work(self, effect: RunTask | DropTask) -> None:
        if self._tasks is None:
            self._log.error("a task was dropped: this node has no task threads", run=effect.run)
        elif isinstance(effect, RunTask):
            self._tasks.submit(effect)
        else:
            self._tasks.drop(effect.run)

    def _reply(self, network: Network, effect: Reply) -> bytes:
        payload = encode_payload(effect.body)
        fitting = payload
        if len(payload) > MAX_PAYLOAD:
            fitting = too_large_reply(reply_id(effect.body), self._options.node, len(payload))
        if not effect.after:
            network.reply(effect.client, fitting)
        elif not self._gate.perform(effect.after, lambda: network.reply(effect.client, fitting)):
            self._shared.drop("reply-held")
        return payload

    def _trace_line(self, effect: Trace) -> None:
        # `mono_ns` is the time of the release: from then on the line was true for others.
        event, fields = effect.event, effect.fields
        if not effect.after:
            self._trace.add(self._now_ns, event, fields)
        elif not self._gate.perform(effect.after, lambda: self._trace.add(self._now_ns, event, fields)):
            self._lines_lost += 1

    def _shut_down(self, network: Network) -> None:
        self._home.mark_not_ready()
        if self._metrics is not None:
            self._metrics.stop()
        self._network = None
        network.close()
        if self._tasks is not None and not self._tasks.stop(timeout_s=1.0):
            self._log.warning("tasks did not end", **self._tasks.counts)
        if not self._storage.stop(timeout_s=5.0 if self._halted is None else 0.2):
            self._log.warning("the disk did not finish what was queued", pending=self._gate.pending)
        if self._inputs is not None:
            self._inputs.close()
        self._trace.close()
        self._log.close()
