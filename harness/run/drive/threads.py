"""The driver for real systems: a thread for each client, a few for the nemesis, and the main thread, which alone talks to the runner.

An operation that does not end by its deadline (a client library that hangs) is recorded as `info`. Its thread is abandoned and a
new one takes its slot, so that a hung client never hangs a run. Every wait here is bounded.
"""

from __future__ import annotations

import queue
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
from .worker import Answer, RunClock, Worker

HANG_GRACE_NS = 1_000_000_000
"""How long after its deadline a client may still answer before it counts as hung."""

LONGEST_WAIT_NS = 200_000_000
"""The main thread wakes up at least this often: for hung clients, for progress and for Ctrl-C."""

TICK_NS = 100_000_000
"""Progress is looked at so often, and when the phase changes: its text costs more than an operation."""

STEP_S = 30.0
"""A step takes microseconds. In a longer one a workload's generator hangs, and with it everything, the healing and Ctrl-C included."""

NEMESIS_THREADS = 16

BROKEN_CLIENT = 20
"""After so many client errors in a row at the start, before any operation ended ok, the run ends: later operations would fail as well."""


@dataclass(slots=True)
class ThreadDriver:
    """Runs a plan to its end, or until `stop_asked`. `tick(now_ns, phase)` is called a few times a second, for progress."""

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
    # No SimpleQueue: in CPython 3.11 its `get` waits forever when a signal's handler outlasts the timeout.
    _events: queue.Queue[object] = field(default_factory=queue.Queue)
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
        """Return the runner at its end. When asked to stop, the load ends and everything is healed first. The same happens after a KeyboardInterrupt, which is then raised again."""
        with _bounded_step():
            runner = Runner(self.plan, keeps_issued=False)
        # Events from before the run do not count.
        while not self._events.empty():
            self._events.get_nowait()
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
            self._workers[slot].submit(invocation)

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
        completions: list[Completion] = []
        with suppress(queue.Empty):
            event = (
                self._events.get(timeout=max(0.0, (until - now) / 1e9)) if until > now else self._events.get_nowait()
            )
            while True:
                completions += self._taken(event)
                event = self._events.get_nowait()
        return completions + self._hung()

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

    def _hung(self) -> list[Completion]:
        now = self.clock.now_ns()
        hung = [slot for slot, running in self._running.items() if now > running.deadline_ns + HANG_GRACE_NS]
        completions: list[Completion] = []
        for slot in hung:
            worker = self._workers[slot]
            worker.close()
            self._workers[slot] = self._worker(slot, worker.generation + 1)
            completions.append(self._complete(slot, Outcome("info", error="client-hung")))
        return completions


class _Expired(BaseException):
    """No `Exception`: a generator that catches its own would catch it."""


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
    """What was raised and where, in one line; the full traceback is printed with the causes that the run counts. Of a client program: what it did wrong."""
    message = str(answer.outcome.extra.get("message", "without a traceback"))
    lines = [line.strip() for line in answer.traceback.strip().splitlines()] or [message]
    where = next((line for line in reversed(lines) if line.startswith("File ")), "")
    return f"{lines[-1]} ({where})" if where else lines[-1]
