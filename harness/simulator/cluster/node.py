"""One simulated node: a core, its disk, its clocks, and the loop that feeds it.

The loop is that of the socket runtime: everything that arrived since the last turn goes into one `step`, and its effects are carried
out in order. Effects with `after` wait at the runtime's own gate until the named storage operations succeeded. The node does not know its network;
sends, replies and traces go to its `World`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any, Protocol

from tribulation.node.core.interface.effects import (
    DROPPED,
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
    Trace,
    trace_number,
)
from tribulation.node.core.interface.events import Datagram, Event, Received, Request, Start, StorageDone, TimerFired
from tribulation.node.runtime.loop.gate import Gate

from ...keyed_random import draw, happens, key_of
from ..disk.disk import Disk
from ..disk.storage import Storage
from ..errors import SimulationError
from ..event_loop import Kernel
from ..options import SimOptions
from .backlog import ordered
from .clocks import HostClock
from .tasks import SimTasks


class Process(Enum):
    DOWN = "down"
    RUNNING = "running"
    PAUSED = "paused"
    HALTED = "halted"


WHOLE = 1_000_000
CPU_PERIOD_NS = 100_000_000

# Names of their own: looking a member up in its enumeration takes ten times as long.
DOWN, RUNNING, PAUSED, HALTED = Process


class Stepper(Protocol):
    """Interface of a core to the simulator."""

    def step(self, now_ns: int, events: list[Event]) -> list[Effect]: ...


class World(Protocol):
    """Receiver of a node's effects, and observer of its steps."""

    def send(self, node: str, effect: Send) -> None: ...

    def reply(self, node: str, effect: Reply) -> None: ...

    def trace(self, node: SimNode, effect: Trace) -> None: ...

    def datagram(self, node: str, effect: SendDatagram) -> None: ...

    def broadcast(self, node: str, effect: Broadcast) -> None: ...

    def halted(self, node: SimNode, reason: str) -> None: ...

    def stepped(self, node: SimNode, mono_ns: int, events: list[Event], effects: list[Effect]) -> None: ...


class SimNode:
    """One simulated node. `process` is the state of its process, `powered` that of its host. `core` is None while no process runs."""

    def __init__(
        self,
        kernel: Kernel,
        name: str,
        config: Any,
        make: Callable[[Any], Stepper],
        seed: int,
        options: SimOptions,
        world: World,
    ) -> None:
        self._kernel, self._make, self._seed, self._options, self._world = kernel, make, seed, options, world
        self.name, self.config = name, config
        self.key = key_of(name)
        self.clock = HostClock(seed, self.key, options)
        self.disk = Disk(seed, self.key)
        self.process, self.powered = DOWN, True
        self.core: Stepper | None = None
        self.incarnation = 0
        self.first_of_boot: list[int] = [1]
        """For each boot of the host its first incarnation."""
        self.trace_seq = 0
        self.turn_mono_ns = 0
        """The reading of the monotonic clock at the beginning of the latest turn; all of a turn happens at one instant."""
        self.steps = 0
        self.stale_timers = 0
        self.halt_reason: str | None = None
        self.share_ppm = WHOLE
        """Share of a processor: turns of a starved process begin only in the part of each period that belongs to it."""
        self.storage_held = False
        self.storage: Storage | None = None
        self.tasks: SimTasks
        self._check: Callable[[], None] | None = None
        # Looked up by class: a `match` over effects costs as much as the rest of a turn.
        self._releases: dict[type[Any], Callable[[Any], None]] = {
            Send: partial(world.send, name),
            Reply: partial(world.reply, name),
            Trace: partial(world.trace, self),
        }
        self._outward: dict[type[Any], Callable[[Any], None]] = {
            SendDatagram: partial(world.datagram, name),
            Broadcast: partial(world.broadcast, name),
            RunTask: lambda effect: self.tasks.submit(effect),
            DropTask: lambda effect: self.tasks.drop(effect.run),
            # Here all nodes are connected from the start, and a core receives nothing from a node that it has not met.
            Meet: _ignore,
            Part: _ignore,
        }
        self._reset()

    @property
    def alive(self) -> bool:
        return self.core is not None

    def mono_ns(self) -> int:
        return self.clock.mono_ns(self._kernel.now_ns)

    def wall_ns(self) -> int:
        return self.clock.wall_ns(self._kernel.now_ns)

    def start(self) -> None:
        """Boot the host if it has no power, and start a process on what its disk holds."""
        if self.alive:
            return
        if not self.powered:
            self.powered = True
            self.clock.boot(self._kernel.now_ns)
            self.first_of_boot.append(self.incarnation + 1)
        self._reset()
        self.incarnation += 1
        self.trace_seq = 0
        self.halt_reason = None
        self.process = RUNNING
        self.core = self._make(self.config)
        self._check = getattr(self.core, "check", None) if self._options.check_every else None
        key = draw(self._seed, self.key, self.incarnation)
        self.tasks = SimTasks(self._kernel, draw(key, 0x7A5C), _workers(self.config), self.push)
        self.storage = Storage(self._kernel, self.disk, key, self._options, self._storage_ended)
        seed = draw(key, 0x5EED) >> 1
        self.storage.held = self.storage_held
        self._inbox.append(Start(self.incarnation, seed, self.disk.files(), self.wall_ns()))
        self._schedule_turn(0)

    def kill(self) -> None:
        """Kill the process (SIGKILL): the page cache stays."""
        self._die(DOWN, torn=True)

    def power_loss(self, whole: bool = False) -> None:
        """Stop the host; the disk's draws decide what survives of unsynced writes. `whole`: all of it is gone, and no write is torn."""
        self._die(DOWN, torn=False)
        if self.powered:
            self.powered = False
            if whole:
                self.disk.lose(None)
            else:
                self.disk.power_loss()

    def pause(self) -> None:
        """Stop the process (SIGSTOP): events pile up, timers fall due, storage operations that the kernel has begun end."""
        if self.process is RUNNING and self.storage is not None:
            self.process = PAUSED
            self.storage.pause(True)

    def resume(self) -> None:
        if self.process is PAUSED and self.storage is not None:
            self.process = RUNNING
            self.storage.pause(False)
            if self._inbox:
                self._inbox[:] = ordered(self._inbox, draw(self.key, self.incarnation, self.steps))
                self._schedule_turn(self._options.turn_ns)

    def push(self, event: Event) -> None:
        """Add an event, which must not be shared with another receiver, to the next turn; drop it when there is no process."""
        if self.core is None:
            return
        self._inbox.append(event)
        if not self._turn_scheduled and self.process is RUNNING:
            self._schedule_turn(self._options.turn_ns)

    def _reset(self) -> None:
        self._inbox: list[Event] = []
        self._turn_scheduled = False
        self._timers: dict[str, int] = {}
        self._gate = Gate()

    def _die(self, process: Process, *, torn: bool) -> None:
        if self.alive and self.storage is not None:
            self.storage.end(torn=torn)
            self.tasks.stop()
        self.process, self.core, self.storage = process, None, None
        self._reset()

    def hold_storage(self, held: bool) -> None:
        """Hold or release this node's disk: while held, it begins no operation, in later incarnations too."""
        self.storage_held = held
        if self.storage is not None:
            self.storage.held = held
            self.storage.pump()

    def _schedule_turn(self, delay_ns: int) -> None:
        self._turn_scheduled = True
        kernel = self._kernel
        at_ns = kernel.now_ns + delay_ns
        if self.share_ppm < WHOLE:
            at_ns = self._when_it_has_time(at_ns)
        kernel.schedule_step(self.key, at_ns, self._turn, self.incarnation)

    @property
    def turn_is_due(self) -> bool:
        """Whether the time of its next turn is fixed, whatever is decided about its share now."""
        return self._turn_scheduled

    def _when_it_has_time(self, at_ns: int) -> int:
        """Return when a starved process may run, as a kernel divides a processor: after its part of a period it waits for the next."""
        into_ns = (at_ns + self.key) % CPU_PERIOD_NS
        own_ns = CPU_PERIOD_NS * self.share_ppm // WHOLE
        return at_ns if into_ns < own_ns else at_ns + CPU_PERIOD_NS - into_ns

    def _turn(self, incarnation: int) -> None:
        if incarnation != self.incarnation:
            return
        self._turn_scheduled = False
        if self.process is not RUNNING or self.core is None or not self._inbox:
            return
        self.turn_mono_ns, wall_ns = self.clock.read(self._kernel.now_ns)
        events, self._inbox = self._inbox, []
        self._take_in(events, wall_ns)
        effects = self._step(self.turn_mono_ns, events)
        self.steps += 1
        self._world.stepped(self, self.turn_mono_ns, events, effects)
        releases = self._releases
        for effect in effects:
            release = releases.get(type(effect))
            if release is None:
                self._perform(effect)
            elif effect.after:  # type: ignore[union-attr]
                held = self._gate.perform(effect.after, partial(release, effect))  # type: ignore[union-attr]
                if not held and type(effect) is Trace:
                    self._world.trace(self, Trace(DROPPED, {"count": 1, "where": "gate"}))
            else:
                release(effect)
            if self.core is None:
                return
        assert self.storage is not None
        if self.storage.fresh:
            self.storage.pump()

    def _take_in(self, events: list[Event], wall_ns: int) -> None:
        """Put the turn's wall clock into events; `Start` carries that of the boot.

        What waited for storage goes out now, at the beginning of the turn that learns of its end: a stopped process sends nothing.
        """
        for event in events:
            kind = type(event)
            if kind is StorageDone:
                self._gate.settle(event.op, event.error is None)  # type: ignore[union-attr]
            elif kind in _SET_WALL:
                # No other node has this event; copying every one would cost as much as delivering it.
                _SET_WALL[kind](event, wall_ns)

    def _step(self, mono_ns: int, events: list[Event]) -> list[Effect]:
        assert self.core is not None
        try:
            effects = self.core.step(mono_ns, events)
            if self._check is not None and self.steps % self._options.check_every == 0:
                self._check()
            return effects
        except SimulationError:
            raise
        except Exception as error:
            raise SimulationError(
                f"the core of {self.name} raised {type(error).__name__}: {error} at {self._kernel.now_ns} ns "
                f"(incarnation {self.incarnation}, step {self.steps}) on {_short(events)}",
                "run the same seed again; a core must not raise on any input of the simulator",
            ) from error

    def _perform(self, effect: Effect) -> None:
        kind = type(effect)
        if kind is SetTimer:
            self._set_timer(effect)  # type: ignore[arg-type]
        elif kind is CancelTimer:
            self._timers.pop(effect.key, None)  # type: ignore[union-attr]
        elif kind is Halt:
            self._halt(effect.reason)  # type: ignore[union-attr]
        elif kind in self._outward:
            self._outward[kind](effect)
        else:
            assert self.storage is not None
            self._gate.emitted(effect.op, effect.after)  # type: ignore[union-attr]
            self.storage.submit(effect)  # type: ignore[arg-type]

    def _set_timer(self, effect: SetTimer) -> None:
        self._timers[effect.key] = effect.generation
        self._schedule_timer(self.incarnation, effect.key, effect.generation, effect.at_ns)

    def _schedule_timer(self, incarnation: int, key: str, generation: int, at_ns: int) -> None:
        true_ns = self.clock.true_ns(at_ns)
        self._kernel.schedule_step(~self.key, true_ns, self._timer_due, incarnation, key, generation, at_ns)

    def _timer_due(self, incarnation: int, key: str, generation: int, at_ns: int) -> None:
        if incarnation != self.incarnation or not self.alive:
            return
        if self.mono_ns() < at_ns:
            # The clock was slowed meanwhile; a timer is never early by the clock that it was set by.
            self._schedule_timer(incarnation, key, generation, at_ns)
            return
        if self._timers.get(key) == generation:
            del self._timers[key]
        elif not happens(draw(self.key, incarnation, key_of(key), generation), self._options.stale_timer_ppm):
            return
        else:
            self.stale_timers += 1
        self.push(TimerFired(key, generation))

    def _storage_ended(self, op: int, error: str | None) -> None:
        self.push(StorageDone(op, error))

    def _halt(self, reason: str) -> None:
        self._die(HALTED, torn=False)
        self.halt_reason = reason
        self._world.halted(self, reason)


_SET_WALL: dict[type[Any], Callable[[Any, int], None]] = {
    kind: vars(kind)["wall_ns"].__set__ for kind in (Received, TimerFired, Request, Datagram)
}


def _workers(config: Any) -> int:
    agents = getattr(config, "agents", None)
    return 1 if agents is None else int(agents.workers)


def _ignore(effect: Effect) -> None:
    pass


def _short(events: list[Event]) -> str:
    text = ", ".join(type(event).__name__ if isinstance(event, Start) else repr(event) for event in events)
    return text if len(text) < 1500 else text[:1500] + " …"


def trace_line(node: SimNode, effect: Trace) -> dict[str, Any]:
    """Return a trace line, in the form of docs/reference/traces.md."""
    seq = trace_number(node.trace_seq, effect.event, effect.fields)
    node.trace_seq = seq + 1
    return {
        "node": node.name,
        "incarnation": node.incarnation,
        "seq": seq,
        "mono_ns": node.turn_mono_ns,
        "event": effect.event,
        **effect.fields,
    }
