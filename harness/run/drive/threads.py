"""The driver for real systems: a thread for each client, a few for the nemesis, and the main thread, which alone talks to the runner.

Clients that are processes need no thread for an operation: the main thread sends it and waits for all their answers at once (`SplitClient`). A hop
between threads costs more than the operation.

An operation that does not end by its deadline (a client library that hangs) is recorded as `info`. Its thread is abandoned and a
new one takes its slot, so that a hung client never hangs a run. Every wait here is bounded.
"""

from __future__ import annotations

import os
import queue
import select
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from ...errors import DeployError
from ...foreign import put_back_time
from ...nemesis.faults.triggers import Happened
from ...systems.base import Client, Dial, Outcome
from ...workloads.sized import Sizes
from ..plan.plan import Plan
from .actions import ActionDone, FaultAction
from .causes import CLIENT_ERROR
from .journal import Journal
from .nemesis import Nemesis
from .runner import Completion, Invocation, OpDone, Phase, Runner
from .worker import GRACE_S, Answer, RunClock, Worker

HANG_GRACE_NS = 1_000_000_000
"""How long after its deadline a client may still answer before it counts as hung."""

LONGEST_WAIT_NS = 200_000_000
"""The main thread wakes up at least this often: for hung clients, for progress and for Ctrl-C."""

TICK_NS = 100_000_000
"""Time between reports of progress, which also follow a change of the phase: their text costs more than an operation."""

STEP_S = 30.0
"""Longest time of a step, which takes microseconds: in a longer one a workload's generator hangs, and with it everything, healing and Ctrl-C
included.
"""

NEMESIS_THREADS = 16

GRACE_NS = round(GRACE_S * 1e9)

BROKEN_CLIENT = 20
"""After so many client errors in a row at the start, before any operation ended ok, the run ends: later operations would fail as well."""


class Events:
    """Events that the main thread waits for: reports of other threads, and descriptors of clients that can be read. Only `put` is for other threads."""

    def __init__(self) -> None:
        # No SimpleQueue: in CPython 3.11 its `get` waits forever when a signal's handler outlasts the timeout.
        self._reports: queue.Queue[object] = queue.Queue()
        self._poll: select.poll | None = None
        """From the first watched descriptor on. Users' clients in threads may close any descriptor, and there it is not needed."""
        self._wakes = self._wake = -1
        self.watched: dict[int, int] = {}
        """By slot, the descriptor on which its answer comes."""
        self._slots: dict[int, int] = {}

    def __del__(self) -> None:
        # Not earlier: a thread of a hung client may report at any time.
        for descriptor in {self._wakes, self._wake} - {-1}:
            os.close(descriptor)

    def put(self, report: object) -> None:
        self._reports.put(report)
        if self._wake >= 0:
            with suppress(BlockingIOError):  # full: the main thread wakes anyway
                os.write(self._wake, b"\0")

    def watch(self, slot: int, descriptor: int) -> None:
        if self._poll is None:
            self._poll = select.poll()
            self._wakes, wake = os.pipe()
            os.set_blocking(wake, False)
            # What was reported before is looked for at once.
            os.write(wake, b"\0")
            self._wake = wake
            self._poll.register(self._wakes, select.POLLIN)
        self.watched[slot] = descriptor
        self._slots[descriptor] = slot
        self._poll.register(descriptor, select.POLLIN)

    def unwatch(self, slot: int) -> None:
        assert self._poll is not None, "watch comes first"
        descriptor = self.watched.pop(slot)
        # The descriptor of a process that was forgotten may belong to the client of another slot by now.
        if self._slots[descriptor] == slot:
            self._poll.unregister(descriptor)
            del self._slots[descriptor]

    def wait(self, timeout_s: float) -> tuple[list[int], list[object]]:
        """Return slots whose answer may be there, and reports, as soon as there is one of either or the time is over."""
        slots: list[int] = []
        reports: list[object] = []
        if self._poll is None:
            with suppress(queue.Empty):
                reports.append(self._reports.get(timeout=timeout_s) if timeout_s > 0 else self._reports.get_nowait())
        else:
            found = [descriptor for descriptor, _ in self._poll.poll(max(0.0, timeout_s * 1e3))]
            if self._wakes in found:
                os.read(self._wakes, 4096)
            slots = [self._slots[descriptor] for descriptor in found if descriptor != self._wakes]
        with suppress(queue.Empty):
            while not self._reports.empty():
                reports.append(self._reports.get_nowait())
        return slots, reports


@dataclass(slots=True)
class ThreadDriver:
    """Driver of a plan to its end, or until `stop_asked`. `tick(now_ns, phase)` is called a few times a second, for progress."""

    plan: Plan
    make_client: Callable[[], Client]
    dial: Dial
    nemesis: Nemesis
    journal: Journal
    clock: RunClock
    tick: Callable[[int, Phase], None]
    stop_asked: Callable[[], bool] = lambda: False
    client_of: Callable[[int], Callable[[], Client]] | None = None
    """The factory of the clients of a slot, where it is not the same for all."""
    _running: dict[int, Invocation] = field(default_factory=dict)
    _workers: dict[int, Worker] = field(default_factory=dict)
    _events: Events = field(default_factory=Events)
    _sizes: Sizes = field(init=False)
    _next_tick_ns: int = 0
    _ticked: Phase | None = None
    _broken: int | None = 0
    """Client errors in a row; None once an operation ended ok."""

    def __post_init__(self) -> None:
        self._sizes = self.plan.sizes

    def happened(self, event: Happened) -> None:
        """Report an event that faults may wait for; from any thread."""
        self._events.put(event)

    def run(self) -> Runner:
        """Return the runner at its end. When asked to stop, the load ends and everything is healed first. The same happens after a KeyboardInterrupt,
        which is then raised again.
        """
        with _bounded_step():
            runner = Runner(self.plan, keeps_issued=False)
        # Events from before the run do not count.
        self._events.wait(0)
        interrupted: KeyboardInterrupt | None = None
        with self.nemesis.trouble.watching(), ThreadPoolExecutor(NEMESIS_THREADS, thread_name_prefix="nemesis") as pool:
            completions: list[Completion] = []
            while True:
                try:
                    if replaced := put_back_time():
                        text = f"a client replaced {', '.join(f'time.{name}' for name in replaced)}, which the run uses to wait and to measure"
                        self.nemesis.trouble.error(
                            f"{text}; these functions were restored\nhint: only replace functions in the client's own module"
                        )
                    if self.stop_asked() or self._clients_are_broken():
                        runner.stop()
                    with _bounded_step():
                        step = runner.step(self.clock.now_ns(), completions)
                    completions = []
                    if step.phase is Phase.DONE:
                        break
                    self._begin(step.invocations)
                    for action in step.actions:
                        pool.submit(self._act, action)
                    completions = self._wait(step.wake_ns)
                    self._progress(step.phase)
                except KeyboardInterrupt as error:
                    interrupted = error
                    runner.stop()
        if runner.unhealed:
            self.nemesis.trouble.error(runner.unhealed)
        for worker in self._workers.values():
            worker.close()
        if interrupted is not None:
            raise interrupted
        return runner

    def _progress(self, phase: Phase) -> None:
        now_ns = self.clock.now_ns()
        if now_ns >= self._next_tick_ns or phase is not self._ticked:
            self._next_tick_ns, self._ticked = now_ns + TICK_NS, phase
            self.tick(now_ns, phase)

    def _begin(self, invocations: Sequence[Invocation]) -> None:
        for invocation in invocations:
            slot = invocation.slot.slot
            if slot not in self._workers:
                self._workers[slot] = self._worker(slot, 0)
            self._running[slot] = invocation
            self.journal.invoked(self.clock.now_ns(), invocation)
            worker = self._workers[slot]
            if (descriptor := worker.begin(invocation)) is None:
                worker.submit(invocation)
            else:
                self._events.watch(slot, descriptor)

    def _worker(self, slot: int, generation: int) -> Worker:
        make = self.make_client if self.client_of is None else self.client_of(slot)
        return Worker(make, self.dial, self.clock, self._events, slot, generation, self._sizes)

    def _act(self, action: FaultAction) -> None:
        # A bug of Tribulation must end the run as a bug, not leave it waiting for this action.
        done = ActionDone(action, failed=True, why="a bug in Tribulation")
        with self.nemesis.trouble.caught(f"{action.verb.value} {action.intent.id if action.intent else ''}".rstrip()):
            done = self.nemesis.carry_out(action)
        self._events.put(done)

    def _wait(self, wake_ns: int | None) -> list[Completion]:
        now = self.clock.now_ns()
        until = min(now + LONGEST_WAIT_NS, wake_ns if wake_ns is not None else now + LONGEST_WAIT_NS)
        if (
            oldest := next(iter(self._running.values()), None)
        ) is not None and oldest.slot.slot in self._events.watched:
            until = min(until, oldest.deadline_ns + GRACE_NS)
        completions: list[Completion] = []
        slots, reports = self._events.wait(max(0.0, (until - now) / 1e9))
        for slot in slots:
            completions += self._answered(slot)
        for report in reports:
            completions += self._taken(report)
        return completions + self._overdue()

    def _answered(self, slot: int, is_late: bool = False) -> list[Completion]:
        worker = self._workers[slot]
        if (answer := worker.answer(self._running[slot], is_late)) is None:
            return []
        self._events.unwatch(slot)
        if not answer.dropped:
            return self._taken(answer)
        worker.drop(answer)
        return []

    def _taken(self, event: object) -> list[Completion]:
        if isinstance(event, ActionDone | Happened):
            return [event]
        assert isinstance(event, Answer)
        if self._workers[event.slot].generation != event.generation:
            return []
        self._look_for_broken_clients(event)
        return [self._complete(event.slot, event.outcome, event.dropped, event.traceback)]

    def _complete(self, slot: int, outcome: Outcome, dropped: bool = False, traceback: str = "") -> OpDone:
        self.journal.completed(self.clock.now_ns(), self._running.pop(slot), outcome, traceback)
        return OpDone(slot, outcome, dropped)

    def _look_for_broken_clients(self, answer: Answer) -> None:
        if self._broken is None or self._clients_are_broken():
            return
        if answer.outcome.type == "ok":
            self._broken = None
            return
        self._broken = self._broken + 1 if answer.outcome.error == CLIENT_ERROR else 0
        if self._clients_are_broken():
            self.nemesis.trouble.error(
                f"the run was ended: its first {BROKEN_CLIENT} operations were all errors of the client, the last one: "
                f"{_raised(answer)}\nhint: `invoke` must return an Outcome and raise no exception; see docs/guides/own-system.md"
            )

    def _clients_are_broken(self) -> bool:
        return self._broken is not None and self._broken >= BROKEN_CLIENT

    def _overdue(self) -> list[Completion]:
        """End the operations whose time is over. All have the same time, so the oldest one is the first."""
        now = self.clock.now_ns()
        oldest = next(iter(self._running.values()), None)
        if oldest is None or now < oldest.deadline_ns + GRACE_NS:
            return []
        for slot in [slot for slot in self._events.watched if now >= self._running[slot].deadline_ns + GRACE_NS]:
            self._answered(slot, is_late=True)
        hung = [slot for slot, running in self._running.items() if now > running.deadline_ns + HANG_GRACE_NS]
        completions: list[Completion] = []
        for slot in hung:
            worker = self._workers[slot]
            worker.close()
            self._workers[slot] = self._worker(slot, worker.generation + 1)
            completions.append(self._complete(slot, Outcome("info", error="client-hung")))
        return completions


class _Expired(BaseException):
    """Expiry of a step. It is not an `Exception`, which a generator might catch."""


@contextmanager
def _bounded_step() -> Iterator[None]:
    """Raise `DeployError` when the body does not end in time. Only the main thread has signals; elsewhere nothing is bounded."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def expired(*_: object) -> None:
        raise _Expired

    before = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, STEP_S)
    try:
        yield
    except _Expired as error:
        raise DeployError(
            f"the generator of a workload did not end within {STEP_S:g} s",
            hint="a generator says what a client tries next, and waits for nothing; see docs/guides/plugins.md",
        ) from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _raised(answer: Answer) -> str:
    """Return what was raised and where, in one line; of a client program, its error.

    The full traceback is printed with the causes that the run counts.
    """
    message = str(answer.outcome.extra.get("message", "without a traceback"))
    lines = [line.strip() for line in answer.traceback.strip().splitlines()] or [message]
    where = next((line for line in reversed(lines) if line.startswith("File ")), "")
    return f"{lines[-1]} ({where})" if where else lines[-1]
